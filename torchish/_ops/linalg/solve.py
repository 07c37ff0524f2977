"""Inverses and linear systems.

Source: Anderson et al., LAPACK Users' Guide, 1999.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..call.binding import plain
from ..call.composites import checked, last
from ..call.describe import check_broadcastable, scalar_name, show_size as show
from ..registry import Tensor, composite, linalg, op, ops
from .checks import (
    adjoint,
    check_float,
    check_matrices,
    check_square,
    column_strides,
    columns,
    finite,
    zero_pivot,
)
from .factor import row_order, zero_on_diagonal

_SINGULAR = (
    "The diagonal element {} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)
_UNSOLVED = "The solver failed because the input matrix is singular."


@op(
    "none",
    into=("internal",),
    name="linalg_inv",
    grad_name="LinalgInvExBackward0",
    layout=columns("c"),
)
def _inv(A: Tensor, name: str = "linalg.inv"):
    check_square(name, A)
    check_float(name, A)
    return jnp.linalg.inv(A)


@composite(into=("linalg",), out=True)
def inv(A) -> Tensor:
    """The inverse of square matrices.

    Raises: LinAlgError for a singular matrix.
    """
    return checked(last(_inv, A), finite("linalg.inv", A, zero_pivot, _SINGULAR))


@composite(out=True)
def inverse(input) -> Tensor:
    """`linalg.inv(input)`."""
    return last(inv, input)


@op("none", into=("internal",), name="linalg_inv_ex", returns="inverse info", layout=columns("c."))
def _inv_ex(A: Tensor):
    check_square("linalg.inv_ex", A)
    check_float("linalg.inv_ex", A)
    return jnp.linalg.inv(A), zero_on_diagonal(lax.linalg.lu(lax.stop_gradient(A))[0])


@composite(into=("linalg",), out=True)
def inv_ex(A, *, check_errors=False):
    """The inverse and, in place of an error, where the diagonal of U is zero (counted from 1)."""
    call = last(_inv_ex, A)
    return (
        checked(call, finite("linalg.inv_ex", A, zero_pivot, _SINGULAR)) if check_errors else call
    )


# ---------------------------------------------------------------------------- solve


def _is_vector(A: Any, B: Any) -> bool:
    """Whether B is a stack of vectors rather than of matrices."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])


def _check_system(name: str, A: Any, B: Any, left: bool) -> None:
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{scalar_name(A)} and B of type {scalar_name(B)} instead"
        )
    if (A.shape[-2] if left else A.shape[-1]) != B.shape[-2 if left else -1]:
        sides = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {sides} "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    check_broadcastable(A.shape[:-2], B.shape[:-2])


def _left_at(position: int) -> Any:
    """The layout of a solution: column-major, row-major if the argument `left` is False."""

    def layout(avals: Any, operands: Any, key: Any) -> list[Any]:
        right = plain(key[position]) is False
        first = None if right else column_strides(tuple(avals[0].shape))
        return [first, *[None] * (len(avals) - 1)]

    return layout


def _solve(A: Tensor, B: Tensor, *, left: bool = True):
    check_square("linalg.solve", A)
    check_float("linalg.solve", A)
    vector = left and _is_vector(A, B)
    rhs = B[..., None] if vector else B
    check_matrices("linalg.solve", rhs, "B")
    _check_system("linalg.solve", A, rhs, left)
    batch = jnp.broadcast_shapes(A.shape[:-2], rhs.shape[:-2])
    A = jnp.broadcast_to(A, (*batch, *A.shape[-2:]))
    rhs = jnp.broadcast_to(rhs, (*batch, *rhs.shape[-2:]))
    if left:
        made = jnp.linalg.solve(A, rhs)
    else:
        made = jnp.swapaxes(
            jnp.linalg.solve(jnp.swapaxes(A, -1, -2), jnp.swapaxes(rhs, -1, -2)), -1, -2
        )
    return made[..., 0] if vector else made


_solve_op = op(
    "none",
    into=("internal",),
    name="linalg_solve",
    grad_name="LinalgSolveExBackward0",
    layout=_left_at(2),
)(_solve)


@composite(into=("linalg",), out=True)
def solve(A, B, *, left=True) -> Tensor:
    """The X of `A X = B` (or `X A = B`) for square A.

    Raises: LinAlgError for a singular matrix.
    """
    call = last(_solve_op, A, B, left=bool(left))
    return checked(call, finite("torch.linalg.solve", A, zero_pivot, _UNSOLVED))


@op(
    "none", into=("internal",), name="linalg_solve_ex", returns="result info",
    grad_name="LinalgSolveExBackward0", layout=_left_at(2))  # fmt: skip
def _solve_ex(A: Tensor, B: Tensor, *, left: bool = True):
    result = _solve(A, B, left=left)
    return result, zero_on_diagonal(lax.linalg.lu(lax.stop_gradient(A))[0])


@composite(into=("linalg",), out=True)
def solve_ex(A, B, *, left=True, check_errors=False):
    """X with A X = B, and where the factor U of A has a zero on its diagonal (0: nowhere).

    Raises: LinAlgError for a singular matrix, with `check_errors`.
    """
    call = last(_solve_ex, A, B, left=bool(left))
    found = finite("torch.linalg.solve_ex", A, zero_pivot, _UNSOLVED)
    return checked(call, found) if check_errors else call


@op(
    "none",
    into=("linalg",),
    name="solve_triangular",
    grad_name="LinalgSolveTriangularBackward0",
    layout=columns("c"),
)
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
):
    """The X of `A X = B` (or `X A = B`), reading one triangle of A."""
    name = "linalg.solve_triangular"
    check_square(name, A)
    check_matrices(name, B, "B")
    _check_system(name, A, B, left)
    return _triangular(A, B, upper, left, unitriangular)


def _triangular(
    A: Any, B: Any, upper: bool, left: bool, unit: bool, transpose: bool = False, conj: bool = False
) -> Any:
    batch = jnp.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return lax.linalg.triangular_solve(
        jnp.broadcast_to(A, (*batch, *A.shape[-2:])),
        jnp.broadcast_to(B, (*batch, *B.shape[-2:])),
        left_side=left, lower=not upper, unit_diagonal=unit, transpose_a=transpose,
        conjugate_a=conj,
    )  # fmt: skip


@op("none", returns="solution cloned_coefficient", layout=columns("cc"))
def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False,
    unitriangular: bool = False,
):  # fmt: skip
    """The X of `A X = input` (or `A^T X = input`) for triangular A, and a copy of A."""
    check_square("triangular_solve", A)
    return _triangular(A, input, upper, True, unitriangular, transpose), A


@op("none", layout=columns("c"), out_dtype="cast")
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False):
    """The X of `A X = input`, given the Cholesky factor `input2` of A."""
    for letter, array in (("b", input), ("u", input2)):
        if array.ndim < 2:
            raise RuntimeError(
                f"{letter} should have at least 2 dimensions, but has {array.ndim} dimensions "
                "instead"
            )
    batch = jnp.broadcast_shapes(input.shape[:-2], input2.shape[:-2])
    given = jnp.broadcast_to(input2, (*batch, *input2.shape[-2:]))
    rhs = jnp.broadcast_to(input, (*batch, *input.shape[-2:]))
    lower = adjoint(given) if upper else given
    # Only one triangle is read, but as in torch the gradient is that of a full factor.
    factor = lower + lax.stop_gradient(jnp.tril(lower) - lower)

    def multiply(x: Any) -> Any:
        return factor @ (adjoint(factor) @ x)

    def solve_(_: Any, b: Any) -> Any:
        half = _triangular(factor, b, False, True, False)
        return _triangular(factor, half, False, True, False, transpose=True, conj=True)

    def solve_transposed(matvec: Any, b: Any) -> Any:
        return jnp.conj(solve_(matvec, jnp.conj(b)))

    return lax.custom_linear_solve(multiply, rhs, solve_, solve_transposed)


@op("none", layout=columns("c"), out_dtype="cast")
def cholesky_inverse(input: Tensor, upper: bool = False):
    """The inverse of A, given its Cholesky factor."""
    check_square("cholesky_inverse", input)
    eye = jnp.broadcast_to(jnp.eye(input.shape[-1], dtype=input.dtype), input.shape)
    return cholesky_solve.operator.body(eye, input, upper)


def _lu_solve(LU: Any, pivots: Any, B: Any, left: bool, adjoint_: bool) -> Any:
    check_square("torch.linalg.lu_solve", LU, "LU")
    _check_system("linalg.lu_solve", LU, B, left)
    if not left:  # X A = B is A^H X^H = B^H
        return adjoint(_lu_solve(LU, pivots, adjoint(B), True, not adjoint_))
    order = row_order(pivots, LU.shape[-2])
    batch = jnp.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    order = jnp.broadcast_to(order, (*batch, order.shape[-1]))[..., None]
    B = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    if adjoint_:  # A^H = U^H L^H P^T
        half = _triangular(LU, B, True, True, False, transpose=True, conj=True)
        made = _triangular(LU, half, False, True, True, transpose=True, conj=True)
        return jnp.take_along_axis(made, jnp.argsort(order, axis=-2), axis=-2)
    half = _triangular(LU, jnp.take_along_axis(B, order, axis=-2), False, True, True)
    return _triangular(LU, half, True, True, False)


@op(
    "none", into=("linalg",), name="lu_solve", grad_name="LinalgLuSolveBackward0",
    layout=_left_at(3),
)  # fmt: skip
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False):
    """The X of `A X = B` (or `X A = B`, or with `A^H`), given A's packed LU factorisation."""
    return _lu_solve(LU, pivots, B, left, adjoint)


@op("none", name="lu_solve", grad_name="LinalgLuSolveBackward0", layout=columns("c"))
def old_lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor):
    """`linalg.lu_solve(LU_data, LU_pivots, input)`."""
    return _lu_solve(LU_data, LU_pivots, input, True, False)


# ---------------------------------------------------------------------------- pseudo-inverse


@functools.lru_cache(maxsize=64)
def _pseudo_inverse(atol: float, rtol: float, hermitian: bool) -> Any:
    """`f(A)`, the pseudo-inverse without singular values up to `max(atol, rtol * largest)`."""

    @jax.custom_jvp
    def pseudo(a: Any) -> Any:
        if hermitian:
            vectors, values = lax.linalg.eigh(a, symmetrize_input=False)
            keep = jnp.abs(values) > _cut(jnp.abs(values).max(-1, keepdims=True), atol, rtol)
            inverse = jnp.where(keep, 1 / jnp.where(keep, values, 1), 0).astype(a.dtype)
            return (vectors * inverse[..., None, :]) @ adjoint(vectors)
        u, s, vh = lax.linalg.svd(a, full_matrices=False)
        keep = s > _cut(s[..., :1], atol, rtol)
        inverse = jnp.where(keep, 1 / jnp.where(keep, s, 1), 0).astype(a.dtype)
        return (adjoint(vh) * inverse[..., None, :]) @ adjoint(u)

    @pseudo.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        """dP = -P dA P + P P^H dA^H (I - A P) + (I - P A) dA^H P^H P"""
        (a,), (da,) = primals, tangents
        p = pseudo(a)
        ph, dah = adjoint(p), adjoint(da)
        tangent = -p @ da @ p
        first, second = p @ ph @ dah, dah @ ph @ p
        tangent = tangent + first - first @ a @ p
        return p, tangent + second - p @ a @ second

    return pseudo


def _cut(largest: Any, atol: float, rtol: float) -> Any:
    return jnp.maximum(jnp.full_like(largest, atol), largest * rtol)


def tolerances(A: Any, atol: Any, rtol: Any) -> tuple[float, float]:
    """torch's defaults: `rtol = eps * max(n, m)` unless `atol` is given and positive."""
    atol = 0.0 if atol is None else float(atol)
    if rtol is None:
        rtol = 0.0 if atol > 0 else float(jnp.finfo(A.dtype).eps) * max(A.shape[-2:])
    return atol, float(rtol)


def batched_tolerance(name: str, A: Any, *tolerances: Any) -> bool:
    """Whether a tolerance is a tensor with dims, one number a matrix (of some elements).

    Raises: RuntimeError for a complex one.
    """
    tensors = [t for t in tolerances if hasattr(t, "dim")]
    for argument, t in zip(("atol", "rtol"), tolerances, strict=True):
        if hasattr(t, "dim") and t.is_complex():
            raise RuntimeError(
                f"torch.{name}: {argument} tensor of complex type is not supported. Got "
                f"{scalar_name(t)}"
            )
    return A.numel() > 0 and any(t.dim() for t in tensors)


def cut_of(A: Any, values: Any, atol: Any, rtol: Any) -> Any:
    """`max(atol, rtol * largest value)` of each matrix, to compare `values` with."""
    real = values.dtype
    atol = ops.as_tensor(0.0 if atol is None else atol, dtype=real, device=A.device)
    if rtol is None:
        eps = float(jnp.finfo(real.np).eps) * max(A.shape[-2:])
        rtol = ops.where(atol > 0, 0.0, eps).to(real)
    rtol = ops.as_tensor(rtol, dtype=real, device=A.device)
    return ops.maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * values.amax(-1, keepdim=True))


def _pinv_by_tensors(A: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    if hermitian:
        values, left = linalg.eigh(A)
        right = left
    else:
        left, values, vh = linalg.svd(A, full_matrices=False)
        right = vh.mH
    kept = values.abs() > cut_of(A, values.abs(), atol, rtol)
    inverted = ops.where(kept, 1 / ops.where(kept, values, 1.0), 0.0)
    return (right * inverted.unsqueeze(-2)) @ left.mH


@op("none", into=("internal",), name="linalg_pinv", grad_name="LinalgPinvBackward0",
    out_dtype="cast")  # fmt: skip
def _pinv(A: Tensor, atol: Any = None, rtol: Any = None, hermitian: bool = False):
    if A.ndim < 2 or not jnp.issubdtype(A.dtype, jnp.inexact):
        raise RuntimeError(
            f"linalg.pinv({scalar_name(A)}{{{show(A.shape)}}}): expected a tensor with 2 or more "
            "dimensions of float, double, cfloat or cdouble types"
        )
    if A.size == 0:
        return jnp.zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]), A.dtype)
    return _pseudo_inverse(*tolerances(A, atol, rtol), hermitian)(A)


@composite(into=("linalg",), out=True)
def pinv(A, rcond=None, *, atol=None, rtol=None, hermitian=False) -> Tensor:
    """The Moore-Penrose inverse, without singular values up to `max(atol, rtol * largest)`."""
    rtol = rcond if rtol is None else rtol
    if batched_tolerance("linalg.pinv", A, atol, rtol):
        return _pinv_by_tensors(A, atol, rtol, bool(hermitian))
    if not A.numel():
        atol = rtol = 0.0
    return last(_pinv, A, atol, rtol, bool(hermitian))


@composite()
def pinverse(input, rcond=1e-15) -> Tensor:
    """`linalg.pinv(input, rcond)`."""
    return _pinv(input, None, rcond)


# ---------------------------------------------------------------------------- least squares


@op(
    "none", into=("internal",), name="linalg_lstsq",
    returns="solution residuals rank singular_values", grad_name="LinalgLstsqBackward0",
    layout=columns("c..."), out_dtype="cast", differentiable=(True, True, False, False),
)  # fmt: skip
def _lstsq(A: Tensor, B: Tensor, rcond: Any = None, driver: str = "gelsy"):
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    check_matrices("torch.linalg.lstsq", A, "input")
    vector = _is_vector(A, B) if A.ndim > 2 else B.ndim == 1
    rhs = B[..., None] if vector else B
    if A.shape[-2] != rhs.shape[-2]:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    if A.dtype != B.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got "
            f"input's dtype {scalar_name(A)} and other's dtype {scalar_name(B)}"
        )
    rows, columns = A.shape[-2:]
    _, rtol = tolerances(A, None, rcond)
    solution = _pseudo_inverse(0.0, rtol, False)(A) @ rhs
    singular = lax.linalg.svd(lax.stop_gradient(A), full_matrices=False, compute_uv=False)
    rank = jnp.sum(singular > singular[..., :1] * rtol, axis=-1)
    empty = jnp.zeros(0, singular.dtype)
    residuals = empty
    if rows > columns and driver != "gelsy":
        gap = A @ solution - rhs
        residuals = jnp.sum((gap * jnp.conj(gap)).real, axis=-2)
    return (
        solution[..., 0] if vector else solution,
        residuals,
        jnp.zeros(0, jnp.int64) if driver == "gels" else rank,
        singular if driver in ("gelsd", "gelss") else empty,
    )


@composite(into=("linalg",), out=True)
def lstsq(A, B, rcond=None, *, driver=None):
    """The X that makes `||A X - B||` smallest, with residuals, rank and singular values."""
    return last(_lstsq, A, B, rcond, driver or "gelsy")


# ---------------------------------------------------------------------------- tensors


@composite(into=("linalg",), out="cast")
def tensorinv(A, ind=2) -> Tensor:
    """The inverse of a tensor as a map from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = tuple(A.shape)
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {columns} != {rows}"
        )
    return linalg.inv(A.reshape(rows, columns)).reshape(*shape[ind:], *shape[:ind])


@composite(into=("linalg",), out="cast")
def tensorsolve(A, B, dims=None) -> Tensor:
    """The X with `tensordot(A, X, X.ndim) == B`."""
    if dims is not None:
        moved = [dim % A.dim() for dim in dims]
        A = ops.movedim(A, moved, list(range(A.dim() - len(moved), A.dim())))
    rest = tuple(A.shape)[B.dim() :]
    rows, columns = B.numel(), math.prod(rest)
    front = math.prod(tuple(A.shape)[: B.dim()])
    if front != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {columns} != {front}"
        )
    return linalg.solve(A.reshape(rows, columns), B.reshape(-1)).reshape(rest)
