"""Determinants, powers and exponentials of matrices, Vandermonde matrices, low-rank factors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..call.composites import last
from ..call.describe import check_broadcastable, scalar_name
from ..registry import Tensor, composite, linalg, op, ops, register, wrap_dim
from .checks import check_float, check_square


def _det(input: Any) -> Any:
    check_square("linalg.det", input)
    check_float("linalg.det", input)
    if input.shape[-1] == 0:  # JAX's derivative does not take empty matrices
        return jnp.ones(input.shape[:-2], input.dtype)
    return jnp.linalg.det(input)


@op("none", into=("linalg",), name="det", grad_name="LinalgDetBackward0")
def linalg_det(A: Tensor):
    """The determinant of square matrices."""
    return _det(A)


@op("none", name="det", grad_name="LinalgDetBackward0")
def det(input: Tensor):
    """`linalg.det(input)`."""
    return _det(input)


def _slogdet(A: Tensor):
    """The sign of the determinant and the logarithm of its size."""
    check_square("linalg.slogdet", A)
    check_float("linalg.slogdet", A)
    sign, logabsdet = jnp.linalg.slogdet(A)
    return sign, logabsdet


def _slogdet_of_input(input: Tensor):
    """The sign of the determinant and the logarithm of its size."""
    return _slogdet(input)


register(
    "linalg", "slogdet",
    op("none", into=("internal",), name="linalg_slogdet", returns="sign logabsdet")(_slogdet),
)  # fmt: skip
op("none", name="slogdet", returns="sign logabsdet", grad_name="LinalgSlogdetBackward0")(
    _slogdet_of_input
)


def _last_of_logdet(input: Any) -> str:
    return "AddBackward0" if input.dtype.is_complex else "WhereBackward0"


@op("none", out=False, grad_name=_last_of_logdet)
def logdet(input: Tensor):
    """The logarithm of the determinant: nan where it is negative, -inf where it is 0."""
    check_square("linalg.slogdet", input)
    check_float("linalg.slogdet", input)
    sign, size = jnp.linalg.slogdet(input)
    if jnp.iscomplexobj(input):
        return jnp.log(sign) + size.astype(sign.dtype)
    return jnp.where(sign == -1, jnp.full_like(size, jnp.nan), size)


@op(
    "none",
    into=("internal",),
    name="linalg_matrix_power",
    grad_name="MmBackward0",
)
def _matrix_power(A: Tensor, n: int):
    check_square("linalg.matrix_power", A)
    if n == 0:
        return jnp.broadcast_to(jnp.eye(A.shape[-1], dtype=A.dtype), A.shape)
    return jnp.linalg.matrix_power(A, n)


def _power(A: Any, n: int) -> Any:
    """`A` to a power: a result, or the last product."""
    check_square("linalg.matrix_power", A)
    if n == 1:
        return A.clone()
    if n < 0:
        A, n = linalg.inv(A), -n
    if n == 1:
        return A
    return _matrix_power(A, 0) if n == 0 else last(_matrix_power, A, int(n))


@composite(into=("linalg",), name="matrix_power", out="cast")
def linalg_matrix_power(A, n) -> Tensor:
    """`A` multiplied by itself `n` times; negative `n` multiplies the inverse."""
    return _power(A, n)


@composite(out="cast")
def matrix_power(input, n) -> Tensor:
    """`linalg.matrix_power(input, n)`."""
    return _power(input, n)


def _matrix_exp(input: Any) -> Any:
    check_square("linalg.matrix_exp", input)
    if input.dtype == jnp.bfloat16:  # the one low precision that torch has here
        return _matrix_exp(input.astype(jnp.float32)).astype(input.dtype)
    check_float("linalg.matrix_exp", input)
    return jax.scipy.linalg.expm(input, max_squarings=32)


@op("none", into=("linalg",), name="matrix_exp", grad_name="LinalgMatrixExpBackward0")
def linalg_matrix_exp(A: Tensor):
    """`sum A^k / k!` of square matrices."""
    return _matrix_exp(A)


@op("none", name="matrix_exp", grad_name="LinalgMatrixExpBackward0")
def matrix_exp(input: Tensor):
    """`linalg.matrix_exp(input)`."""
    return _matrix_exp(input)


def _powers(x: Any, count: int) -> Any:
    x = x.astype(jnp.int64) if jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == bool else x
    columns = [jnp.ones_like(x)]
    for _ in range(count - 1):
        columns.append(columns[-1] * x)
    return jnp.stack(columns, -1)


@op("none", into=("linalg",), name="vander", out=False, grad_name="CatBackward0")
def linalg_vander(x: Tensor, *, N: Any = None):
    """`out[..., i, j] = x[..., i]^j` for j below `N`."""
    x = x.reshape(1) if x.ndim == 0 else x
    if (x.shape[-1] if N is None else N) <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _powers(x, x.shape[-1] if N is None else N)


@op("none", into=("linalg",), name="vecdot", grad_name="SumBackward1")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1):
    """`sum(conj(x) * y)` along `dim`, with broadcasting."""
    if x.dtype != y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{scalar_name(x)} and y of type {scalar_name(y)} instead"
        )
    check_broadcastable(x.shape, y.shape)
    axis = wrap_dim(dim, max(x.ndim, y.ndim))
    return jnp.sum(jnp.conj(x) * y, axis=axis, dtype=x.dtype)


# ---------------------------------------------------------------------------- low rank


@composite(into=("torch",))
def svd_lowrank(A, q=6, niter=2, M=None):
    """The leading `q` singular triplets by random projection; `M` is subtracted from A first.

    Source: Halko et al., 2009.
    """
    A = A if M is None else A - M.expand(A.shape)
    rows, columns = A.shape[-2:]
    if rows < columns:
        u, s, v = svd_lowrank(A.mT, q, niter)
        return v, s, u
    basis = _range(A, q, niter)
    u, s, vh = linalg.svd(basis.mH @ A, full_matrices=False)
    return basis @ u, s, vh.mH


def _range(A: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that nearly span the range of A."""
    probe = ops.randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    basis = linalg.qr(A @ probe)[0]
    for _ in range(niter):
        basis = linalg.qr(A @ linalg.qr(A.mH @ basis)[0])[0]
    return basis


@composite(into=("torch",))
def pca_lowrank(A, q=None, center=True, niter=2):
    """`svd_lowrank` of the (by default centred) rows of A.

    Source: Halko et al., 2009.
    """
    rows, columns = A.shape[-2:]
    q = min(6, rows, columns) if q is None else q
    if not 0 <= q <= min(rows, columns):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{min(rows, columns)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
