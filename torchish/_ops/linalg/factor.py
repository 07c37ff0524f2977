"""Matrix factorisations: cholesky, qr, svd, eig, eigh, lu, and the older torch.* spellings.

Source: Anderson et al., LAPACK Users' Guide, 1999.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._autograd.apply import without_gradient
from ..._autograd.interop import host_array, is_host
from ..._autograd.require import require
from ..call.composites import Out, checked, last
from ..call.describe import scalar_name
from ..registry import Tensor, composite, op, register
from .checks import (
    SMALL,
    LinAlgError,
    adjoint,
    bad_minor,
    check_float,
    check_matrices,
    check_square,
    columns,
    finite,
    zero_pivot,
)

register("linalg", "LinAlgError", LinAlgError)

# ---------------------------------------------------------------------------- cholesky


def from_triangle(input: Any, upper: bool) -> Any:
    """The Hermitian matrix whose lower (or upper) triangle is read; its gradient is Hermitian."""
    triangle = jnp.triu(input, 1) if upper else jnp.tril(input, -1)
    diagonal = input * jnp.eye(input.shape[-1], dtype=input.dtype)
    read = triangle + adjoint(triangle) + diagonal.real.astype(input.dtype)
    even = (input + adjoint(input)) / 2
    return even + lax.stop_gradient(read - even)


def _cholesky_name(name: str = "linalg.cholesky", **_: Any) -> str:
    return "CholeskyBackward0" if name == "cholesky" else "LinalgCholeskyExBackward0"


@op(
    "none",
    into=("internal",),
    name="linalg_cholesky",
    grad_name=_cholesky_name,
    layout=columns("c"),
)
def _cholesky(input: Tensor, *, upper: bool = False, name: str = "linalg.cholesky"):
    check_square(name, input)
    check_float(name, input)
    if jnp.iscomplexobj(input):
        return _complex_cholesky(input, upper)
    return _factor(input, upper)


def _factor(input: Any, upper: bool) -> Any:
    factor = lax.linalg.cholesky(from_triangle(input, upper), symmetrize_input=False)
    return adjoint(factor) if upper else factor


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _complex_cholesky(input: Any, upper: bool) -> Any:
    """The factor with torch's gradient, which keeps imaginary parts of the diagonal's cotangent."""
    return _factor(input, upper)


def _complex_cholesky_fwd(input: Any, upper: bool) -> Any:
    made = _complex_cholesky(input, upper)
    return made, made


def _complex_cholesky_bwd(upper: bool, made: Any, cotangent: Any) -> Any:
    """gA = L^-H sym(tril(L^H gL)) L^-1 (JAX's cotangents are the conjugates of torch's)."""
    factor = adjoint(made) if upper else made
    grad = adjoint(jnp.conj(cotangent)) if upper else jnp.conj(cotangent)
    low = jnp.tril(adjoint(factor) @ grad)
    even = (low + adjoint(jnp.tril(low, -1))) / 2
    solve = functools.partial(lax.linalg.triangular_solve, factor, lower=True)
    half = solve(even, left_side=True, transpose_a=True, conjugate_a=True)
    return (jnp.conj(solve(half, left_side=False)),)


_complex_cholesky.defvjp(_complex_cholesky_fwd, _complex_cholesky_bwd)


_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {} is not positive-definite)."
)


@composite(into=("linalg",), out=True)
def cholesky(A, *, upper=False) -> Tensor:
    """`A = L L^H` with L lower triangular (or `U^H U`).

    Raises: LinAlgError for a matrix that is not positive-definite.
    """
    return checked(
        last(_cholesky, A, upper=bool(upper)),
        finite("linalg.cholesky", A, bad_minor, _NOT_POSITIVE),
    )


@composite(name="cholesky", out=True)
def old_cholesky(input, upper=False) -> Tensor:
    """`linalg.cholesky(input, upper=upper)`."""
    factor = _cholesky(input, upper=bool(upper), name="cholesky")
    finite("cholesky", input, bad_minor, _NOT_POSITIVE)(factor)
    return factor


@op(
    "none", into=("internal",), name="linalg_cholesky_ex", returns="L info",
    grad_name="LinalgCholeskyExBackward0", layout=columns("c."))  # fmt: skip
def _cholesky_ex(input: Tensor, *, upper: bool = False):
    factor = _cholesky.operator.body(input, upper=upper)
    failed = ~jnp.isfinite(factor.real).all(axis=(-1, -2)) & jnp.isfinite(input).all(axis=(-1, -2))
    return factor, failed.astype(jnp.int32)


@composite(into=("linalg",), out=True)
def cholesky_ex(A, *, upper=False, check_errors=False):
    """The factor and, in place of an error, an `info` that is not 0 where it failed.

    Differs from torch: `info` is 1, not the order of the minor that failed.
    """
    call = last(_cholesky_ex, A, upper=bool(upper))
    return (
        checked(call, finite("linalg.cholesky_ex", A, bad_minor, _NOT_POSITIVE))
        if check_errors
        else call
    )


# ---------------------------------------------------------------------------- qr


def _qr(input: Any, mode: str) -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    check_matrices("linalg.qr", input)
    check_float("linalg.qr", input)
    if mode == "r":
        return jnp.zeros(0, input.dtype), jnp.triu(lax.linalg.qr(input, full_matrices=False)[1])
    return lax.linalg.qr(input, full_matrices=mode == "complete")


@op("none", into=("internal",), name="linalg_qr", returns="Q R", layout=columns("cc"))
def linalg_qr(A: Tensor, mode: str = "reduced"):
    """`A = Q R` with Q orthonormal and R upper triangular; mode "reduced", "complete" or "r"."""
    return _qr(A, mode)


register("linalg", "qr", linalg_qr)


@op(
    "none", name="qr", returns="Q R", grad_name="LinalgQrBackward0", layout=columns("cc")
)  # fmt: skip
def old_qr(input: Tensor, some: bool = True):
    """`linalg.qr`; `some=False` is mode "complete"."""
    return _qr(input, "reduced" if some else "complete")


@op("none", returns="a tau", differentiable=False, layout=columns("c."), out_dtype="cast")
def geqrf(input: Tensor):
    """Householder vectors of a QR factorisation (R in the upper triangle), and their tau."""
    check_matrices("torch.geqrf", input, "input")
    packed, tau = jnp.linalg.qr(input, mode="raw")
    return jnp.swapaxes(packed, -1, -2), tau


def _householder(input: Any, tau: Any) -> Any:
    """The first columns of the product of `I - tau_i v_i v_i^H`, from the last to the first."""
    check_matrices("torch.linalg.householder_product", input, "input")
    if tau.shape[-1] > input.shape[-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to "
            "tau.shape[-1]"
        )
    rows, columns = input.shape[-2:]
    if rows < columns:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to "
            "input.shape[-1]"
        )
    check_float("torch.linalg.householder_product", input)
    made = jnp.broadcast_to(jnp.eye(rows, columns, dtype=input.dtype), input.shape)
    for k in reversed(range(tau.shape[-1])):
        below = jnp.arange(rows) > k
        v = jnp.where(below, input[..., k], jnp.zeros((), input.dtype))
        v = v + (jnp.arange(rows) == k).astype(input.dtype)
        projected = jnp.einsum("...i,...ij->...j", jnp.conj(v), made)
        made = made - tau[..., k, None, None] * v[..., :, None] * projected[..., None, :]
    return made


@op("none", into=("internal",), name="linalg_householder_product", layout=columns("c"),
    out_dtype="cast")  # fmt: skip
def _householder_product(A: Tensor, tau: Tensor):
    return _householder(A, tau)


def _reflections(vectors: Any, tau: Any) -> tuple[Any, Any]:
    """Both; where there are none torch leaves the gradient undefined."""
    if vectors.numel() and tau.numel():
        return vectors, tau
    return without_gradient(vectors), without_gradient(tau)


@composite(into=("linalg",), out=True)
def householder_product(A, tau) -> Tensor:
    """The orthonormal columns that Householder vectors (as of geqrf) stand for."""
    return last(_householder_product, *_reflections(A, tau))


@composite(out=True)
def orgqr(input, input2) -> Tensor:
    """`linalg.householder_product(input, input2)`."""
    return last(householder_product, input, input2)


@composite(out=True)
def ormqr(input, tau, other, left=True, transpose=False) -> Tensor:
    """`Q @ other` (or `other @ Q`, or with `Q^H`) for the full Q of Householder vectors."""
    return last(_ormqr, *_reflections(input, tau), other, bool(left), bool(transpose))


@op("none", into=("internal",), name="ormqr", layout=columns("c"))
def _ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool, transpose: bool):
    for name, array in (("input", input), ("other", other)):
        if array.ndim < 2:
            raise RuntimeError(f"torch.ormqr: {name} must have at least 2 dimensions.")
    rows = input.shape[-2]
    vectors = input[..., :rows]
    missing = rows - vectors.shape[-1]
    q = _householder(jnp.pad(vectors, [(0, 0)] * (input.ndim - 1) + [(0, missing)]), tau)
    q = adjoint(q) if transpose else q
    return q @ other if left else other @ q


# ---------------------------------------------------------------------------- svd


@functools.partial(jax.custom_jvp, nondiff_argnums=())
def _full_svd(a: Any) -> Any:
    return lax.linalg.svd(a, full_matrices=True)


@_full_svd.defjvp
def _full_svd_jvp(primals: Any, tangents: Any) -> Any:
    """The derivative of the thin factors; the columns that complete U and V get none."""
    (a,), (da,) = primals, tangents
    full_u, s, full_vh = _full_svd(a)
    k = s.shape[-1]
    u, v = full_u[..., :k], adjoint(full_vh)[..., :k]
    du, ds, dv = _svd_tangent(a, da, u, s, v)
    rest_u = jnp.zeros_like(full_u[..., k:])
    rest_v = jnp.zeros_like(full_vh[..., k:, :])
    tangent = (
        jnp.concatenate([du, rest_u], -1), ds, jnp.concatenate([adjoint(dv), rest_v], -2)
    )  # fmt: skip
    return (full_u, s, full_vh), tangent


def _svd_tangent(a: Any, da: Any, u: Any, s: Any, v: Any) -> tuple[Any, Any, Any]:
    inner = adjoint(u) @ da @ v
    ds = jnp.diagonal(inner, axis1=-2, axis2=-1).real
    eye = jnp.eye(s.shape[-1], dtype=s.dtype)
    row, column = s[..., None, :], s[..., :, None]
    gaps = 1 / ((row - column) * (row + column) + eye) - eye
    sums = inner * row.astype(inner.dtype)
    crossed = column.astype(inner.dtype) * inner
    gaps = gaps.astype(inner.dtype)
    du = u @ (gaps * (sums + adjoint(sums)))
    dv = v @ (gaps * (crossed + adjoint(crossed)))
    inverse = (1 / row).astype(inner.dtype)
    if jnp.iscomplexobj(a):
        turn = jnp.diagonal(inner, axis1=-2, axis2=-1).imag / (2 * s)
        du = du + u * (1j * turn[..., None, :]).astype(inner.dtype)
        dv = dv - v * (1j * turn[..., None, :]).astype(inner.dtype)
    rows, columns = a.shape[-2:]
    if rows > columns:
        moved = da @ v
        du = du + (moved - u @ (adjoint(u) @ moved)) * inverse
    if columns > rows:
        moved = adjoint(da) @ u
        dv = dv + (moved - v @ (adjoint(v) @ moved)) * inverse
    return du, ds, dv


def _no_driver(A: Any, full_matrices: bool = True, driver: Any = None) -> None:
    """Raise torch's error: only cuSOLVER has drivers to choose from."""
    if driver is not None and A.device.type == "cpu":
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@op(
    "none", into=("internal",), name="linalg_svd", returns="U S Vh", guard=_no_driver,
    grad_name="LinalgSvdBackward0", layout=columns("c.c"))  # fmt: skip
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None):
    """`A = U diag(S) Vh`, singular values in descending order."""
    check_matrices("linalg.svd", A)
    check_float("linalg.svd", A)
    if full_matrices and A.shape[-1] != A.shape[-2]:
        return _full_svd(A)
    return lax.linalg.svd(A, full_matrices=False)


register("linalg", "svd", linalg_svd)


@op("none", into=("linalg",), name="svdvals", grad_name="LinalgSvdBackward0", guard=_no_driver)
def svdvals(A: Tensor, *, driver: Any = None):
    """The singular values in descending order."""
    check_matrices("linalg.svd", A)
    check_float("linalg.svd", A)
    return lax.linalg.svd(A, full_matrices=False, compute_uv=False)


@op(
    "none", name="svd", returns="U S V", grad_name="LinalgSvdBackward0", layout=columns("c..")
)  # fmt: skip
def old_svd(input: Tensor, some: bool = True, compute_uv: bool = True):
    """`input = U diag(S) V^H`; unlike linalg.svd it returns V."""
    check_matrices("linalg.svd", input)
    check_float("linalg.svd", input)
    rows, columns = input.shape[-2:]
    if not compute_uv:
        s = lax.linalg.svd(input, full_matrices=False, compute_uv=False)
        lead = input.shape[:-2]
        u = jnp.zeros((*lead, rows, rows), input.dtype)
        return u, s, jnp.zeros((*lead, columns, columns), input.dtype)
    u, s, vh = linalg_svd.operator.body(input, full_matrices=not some)
    return u, s, adjoint(vh)


# ---------------------------------------------------------------------------- eigenvalues


def _eig(a: Any) -> Any:
    if 0 in a.shape:  # the rule of the gradient looks for the largest element
        made = jnp.zeros(a.shape, jnp.result_type(a.dtype, jnp.complex64))
        return made[..., 0, :] if a.shape[-1] else made.reshape(a.shape[:-1]), made
    return lax.linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)


@jax.custom_jvp
def _eigvals(a: Any) -> Any:
    return lax.linalg.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]


@_eigvals.defjvp
def _eigvals_jvp(primals: Any, tangents: Any) -> Any:
    """dw = diag(V^-1 dA V)"""
    (a,), (da,) = primals, tangents
    values, vectors = _eig(a)
    moved = jnp.linalg.solve(vectors, da.astype(vectors.dtype) @ vectors)
    return values, jnp.diagonal(moved, axis1=-2, axis2=-1)


@op(
    "none",
    into=("internal",),
    name="linalg_eig",
    returns="eigenvalues eigenvectors",
    layout=columns(".c"),
    out_dtype="cast",
)
def linalg_eig(A: Tensor):
    """Eigenvalues and eigenvectors of square matrices, always complex."""
    check_square("linalg.eig", A)
    check_float("linalg.eig", A)
    return _eig(A)


register("linalg", "eig", linalg_eig)


@op("none", into=("linalg",), name="eigvals", grad_name="LinalgEigBackward0",
    out_dtype="cast")  # fmt: skip
def eigvals(A: Tensor):
    """Eigenvalues of square matrices, always complex."""
    check_square("linalg.eigvals", A)
    check_float("linalg.eigvals", A)
    return _eigvals(A)


def _eigh(name: str, A: Any, UPLO: str) -> Any:
    check_square(name, A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    if not jnp.issubdtype(A.dtype, jnp.inexact):
        raise NotImplementedError(f"\"linalg_eigh_cpu\" not implemented for '{scalar_name(A)}'")
    even = from_triangle(A, UPLO.upper() == "U")
    vectors, values = lax.linalg.eigh(even, symmetrize_input=False)
    return values, vectors


@op(
    "none", into=("internal",), name="linalg_eigh", returns="eigenvalues eigenvectors",
    grad_name="LinalgEighBackward0", layout=columns(".c"))  # fmt: skip
def linalg_eigh(A: Tensor, UPLO: str = "L"):
    """Eigenvalues (ascending) and orthonormal eigenvectors of Hermitian matrices."""
    return _eigh("linalg.eigh", A, UPLO)


register("linalg", "eigh", linalg_eigh)


@op("none", into=("linalg",), name="eigvalsh", grad_name="LinalgEighBackward0")
def eigvalsh(A: Tensor, UPLO: str = "L"):
    """Eigenvalues (ascending) of Hermitian matrices."""
    return _eigh("linalg.eigvalsh", A, UPLO)[0]


# ---------------------------------------------------------------------------- lu


def _lu(name: str, A: Any, pivot: bool) -> tuple[Any, Any, Any]:
    check_matrices(name, A)
    check_float(name, A)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return lax.linalg.lu(A)


def _permutation(order: Any, dtype: Any) -> Any:
    """P with `A = P (L U)`, from the row order that pivoting left."""
    count = order.shape[-1]
    return (order[..., None, :] == jnp.arange(count, dtype=order.dtype)[:, None]).astype(dtype)


def _split(packed: Any) -> tuple[Any, Any]:
    rows, columns = packed.shape[-2:]
    k = min(rows, columns)
    lower = jnp.tril(packed[..., :, :k], -1) + jnp.eye(rows, k, dtype=packed.dtype)
    return lower, jnp.triu(packed[..., :k, :])


@op("none", into=("internal",), name="linalg_lu", returns="P L U", grad_name="LinalgLuBackward0",
    differentiable=(False, True, True))  # fmt: skip
def linalg_lu(A: Tensor, *, pivot: bool = True):
    """`A = P L U` with P a permutation, L unit lower and U upper triangular."""
    packed, _, order = _lu("linalg.lu", A, pivot)
    return (_permutation(order, A.dtype), *_split(packed))


register("linalg", "lu", linalg_lu)


@op(
    "none", into=("internal",), name="linalg_lu_factor", returns="LU pivots",
    grad_name="LinalgLuFactorExBackward0", layout=columns("c."))  # fmt: skip
def _lu_factor(A: Tensor, *, pivot: bool = True):
    packed, pivots, _ = _lu("linalg.lu_factor", A, pivot)
    return packed, pivots.astype(jnp.int32) + 1


@composite(into=("linalg",), out=True)
def lu_factor(A, *, pivot=True):
    """L and U in one matrix, and the rows that were swapped (counted from 1).

    Raises: RuntimeError for singular matrices, where `lu_solve` would divide by zero.
    """
    call = last(_lu_factor, A, pivot=bool(pivot))
    return checked(call, lambda made: _check_lu("lu_factor", A, made[0]))


def _check_lu(name: str, A: Any, packed: Any) -> None:
    """Raise for a zero on U's diagonal: now for small host matrices, else once it is read."""
    if A.numel() == 0:
        return
    if is_host(A) and A.numel() <= SMALL:
        stack = host_array(A).reshape(-1, *A.shape[-2:])
        found = [zero_pivot(m) if np.isfinite(m).all() else 0 for m in stack]
        if any(found):
            raise _would_divide(name, found, A.dim() > 2)
    else:
        require(
            f"linalg.{name}", lambda lu: lu.diagonal(0, -2, -1) == 0, [packed], [],
            lambda lu: _would_divide(name, _first_zeros(lu), lu.ndim > 2))  # fmt: skip


def _first_zeros(packed: Any) -> list[int]:
    zero = packed.diagonal(0, -2, -1) == 0
    return [int(z.argmax()) + 1 if z.any() else 0 for z in zero.reshape(-1, zero.shape[-1])]


def _would_divide(name: str, found: list[int], in_batch: bool) -> RuntimeError:
    number, k = next((n, k) for n, k in enumerate(found) if k)
    where = f"(Batch element {number}): " if in_batch else ""
    return RuntimeError(
        f"torch.linalg.{name}: {where}U[{k},{k}] is zero and using it on lu_solve would result in "
        "a division by zero. If you still want to perform the factorization, consider calling "
        "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
    )


def zero_on_diagonal(packed: Any) -> Any:
    """1-based position of the first zero on the diagonal of U, else 0."""
    zero = jnp.diagonal(packed, axis1=-2, axis2=-1) == 0
    if zero.shape[-1] == 0:
        return jnp.zeros(zero.shape[:-1], jnp.int32)
    first = jnp.argmax(zero, axis=-1).astype(jnp.int32) + 1
    return jnp.where(zero.any(axis=-1), first, jnp.zeros_like(first))


def _lu_with_info(A: Tensor, *, pivot: bool = True):
    packed, pivots, _ = _lu("linalg.lu_factor_ex", A, pivot)
    return packed, pivots.astype(jnp.int32) + 1, zero_on_diagonal(packed)


_lu_factor_ex, _old_lu_with_info = (
    op(
        "none", into=("internal",), name=name, returns="LU pivots info",
        grad_name="LinalgLuFactorExBackward0", layout=columns("c.."))(_lu_with_info)
    for name in ("linalg_lu_factor_ex", "_lu_with_info")
)  # fmt: skip


@composite(into=("linalg",), out=True)
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """LU in one matrix, the pivots, and where U has a zero on its diagonal (0: nowhere).

    Raises: RuntimeError for such a zero, with `check_errors`.
    """
    call = last(_lu_factor_ex, A, pivot=bool(pivot))
    if not check_errors:
        return call
    return checked(call, lambda made: _check_lu("lu_factor_ex", A, made[0]))


@composite(name="lu", out=Out("any", warn=False, at=3))
def old_lu(A, pivot=True, get_infos=False):
    """LU and pivots (and, with `get_infos`, where U has a zero) as a plain tuple."""
    result = _old_lu_with_info(A, pivot=bool(pivot))
    return result if get_infos else (result[0], result[1])


def row_order(pivots: Any, rows: int) -> Any:
    """The row order that swapping by 1-based `pivots` leaves."""
    return lax.linalg.lu_pivots_to_permutation(pivots.astype(jnp.int32) - 1, rows)


@op("none", into=("torch",), returns="P L U", grad_name="LuUnpackBackward0",
    differentiable=(False, True, True))  # fmt: skip
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
):
    """P, L and U from a packed factorisation."""
    empty = jnp.zeros(0, LU_data.dtype)
    lower, upper = _split(LU_data) if unpack_data else (empty, empty)
    if not unpack_pivots:
        return empty, lower, upper
    return _permutation(row_order(LU_pivots, LU_data.shape[-2]), LU_data.dtype), lower, upper
