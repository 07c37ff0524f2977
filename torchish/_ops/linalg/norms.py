"""Norms, condition numbers and rank."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from ..._autograd.apply import without_gradient
from ..call.composites import last
from ..call.describe import scalar_name, show_size as show
from ..reduce.norms import vector_norm_of
from ..registry import Dtype, Tensor, composite, linalg, op, ops, wrap_dim, wrap_dims
from .checks import check_float, check_matrices, check_square
from .solve import batched_tolerance, cut_of, tolerances


def _cast(name: str, x: Any, dtype: Any) -> Any:
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {scalar_name(x)}"
        )
    if dtype is None:
        return x
    if jnp.iscomplexobj(x) != dtype.is_complex:
        wanted = "complex for complex" if jnp.iscomplexobj(x) else "floating point for real"
        from ..._basics.dtypes import SCALAR_NAMES

        raise RuntimeError(
            f"{name}: dtype should be {wanted} inputs, but got {SCALAR_NAMES[dtype]}"
        )
    return x.astype(dtype.np)


def _vector(x: Any, ord: float, dim: Any, keepdim: bool) -> Any:
    if (math.isinf(ord) or ord < 0) and any(x.shape[d] == 0 for d in wrap_dims(dim, x.ndim)):
        shown = ("inf" if ord > 0 else "-inf") if math.isinf(ord) else f"{ord:g}"
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {shown} norm on an empty tensor because the "
            "operation does not have an identity"
        )
    return vector_norm_of(x, ord, dim, keepdim)


@op("none", into=("internal",), name="linalg_vector_norm")
def _vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False,
                 *, dtype: Dtype = None):  # fmt: skip
    if isinstance(ord, str):
        raise TypeError("linalg_vector_norm(): argument 'ord' (position 2) must be Number, not str")
    x = _cast("linalg.vector_norm", x, dtype)
    half = x.dtype.itemsize < 4
    made = _vector(x.astype(jnp.float32) if half else x, float(ord), dim, keepdim)
    return made.astype(x.dtype) if half else made


@composite(into=("linalg",), out=True)
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """`(sum |x|^ord)^(1/ord)` over `dim` (all elements by default); inf, -inf, 0 as limits."""
    if isinstance(dim, list):
        dim = tuple(dim)
    if ord == 0:
        x = without_gradient(x)
    return last(_vector_norm, x, ord, dim, bool(keepdim), dtype=dtype)


# ---------------------------------------------------------------------------- matrices


def _matrix(x: Any, ord: Any, dim: tuple[int, int], keepdim: bool) -> Any:
    """The norm of the matrices over two dimensions."""
    first, second = dim
    if ord == "fro":
        return vector_norm_of(x, 2, dim, keepdim)
    if ord in (2, -2, "nuc"):
        moved = jnp.moveaxis(x, dim, (-2, -1))
        values = lax.linalg.svd(moved, full_matrices=False, compute_uv=False)
        if ord == "nuc":
            made = jnp.sum(values, axis=-1)
        else:
            made = values.max(-1) if ord == 2 else values.min(-1)
        return jnp.expand_dims(made, sorted(dim)) if keepdim else made
    along, across = (first, second) if abs(ord) == 1 else (second, first)
    sums = vector_norm_of(x, 1, along, True)
    made = vector_norm_of(sums, math.inf if ord > 0 else -math.inf, across, True)
    return made if keepdim else jnp.squeeze(made, dim)


def _check_order(ord: Any) -> None:
    if isinstance(ord, str):
        fits = ord in ("fro", "nuc")
    else:
        fits = abs(ord) in (1, 2, math.inf)
    if not fits:
        shown = ord if isinstance(ord, str) else f"{ord:g}"
        raise RuntimeError(f"linalg.matrix_norm: Order {shown} not supported.")


def _matrix_norm_of(A: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    name = "linalg.matrix_norm"
    _check_order(ord)
    check_matrices(name, A)
    if len(dim) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    wrapped = (wrap_dim(dim[0], A.ndim), wrap_dim(dim[1], A.ndim))
    if wrapped[0] == wrapped[1]:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return _matrix(_cast(name, A, dtype), ord, wrapped, keepdim)


@op("none", into=("internal",), name="linalg_matrix_norm", grad_name="LinalgVectorNormBackward0")
def _matrix_norm(A: Tensor, ord: Any, dim: Any, keepdim: bool, *, dtype: Dtype = None):
    return _matrix_norm_of(A, ord, dim, keepdim, dtype)


@composite(into=("linalg",), out=True)
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """The norm of matrices: "fro", "nuc", 1, -1, 2, -2, inf or -inf."""
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    return last(_matrix_norm, A, ord, dim, bool(keepdim), dtype=dtype)


@composite(into=("linalg",), out=True)
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """A vector norm, or a matrix norm where `dim` names two dimensions or `ord` asks for one."""
    if dim is not None:
        dim = (dim,) if isinstance(dim, int) else tuple(dim)
        if ord is not None and len(dim) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {show(dim)}"
            )
    elif ord is not None and not isinstance(ord, str) and A.dim() not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. "
            f"Got {A.dim()}D."
        )
    two = len(dim) == 2 if dim is not None else A.dim() == 2
    if ord is not None and (two or isinstance(ord, str)):
        return last(matrix_norm, A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return last(vector_norm, A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@composite(into=("torch",), out=True)
def nuclear_norm(input, dim=None, keepdim=False) -> Tensor:
    """The sum of the singular values."""
    return last(matrix_norm, input, "nuc", (-2, -1) if dim is None else dim, keepdim)


@composite(into=("torch",), out=True)
def frobenius_norm(input, dim=None, keepdim=False) -> Tensor:
    """The root of the sum of squares over `dim`."""
    dim = () if dim is None else dim
    dim = (dim,) if isinstance(dim, int) else tuple(dim)
    return last(vector_norm, input, 2, dim or None, keepdim)


@composite(into=("torch",))
def norm_except_dim(v, pow=2, dim=0) -> Tensor:
    """The norm over all dimensions but `dim`, which keep size 1."""
    if dim == -1:
        return vector_norm(v, pow)
    dim = wrap_dim(dim, v.dim())
    others = tuple(d for d in range(v.dim()) if d != dim)
    return vector_norm(v, pow, others, True) if others else ops.abs(v)


# ---------------------------------------------------------------------------- condition, rank


def _last_of_cond(p: Any, **_: Any) -> str:
    return "SqueezeBackward1" if p in (None, 2, -2) else "NanToNumBackward0"


@op("none", into=("internal",), name="linalg_cond", grad_name=_last_of_cond, out_dtype="cast")
def _cond(A: Tensor, p: Any):
    name = "linalg.cond"
    check_matrices(name, A)
    check_float(name, A)
    if p in (None, 2, -2):
        values = lax.linalg.svd(A, full_matrices=False, compute_uv=False)
        low, high = values[..., -1], values[..., 0]
        return low / high if p == -2 else high / low
    _check_order(p)
    shown = p if isinstance(p, str) else f"{p:g}"
    check_square(f"linalg.cond(ord={shown})", A)
    dims = (A.ndim - 2, A.ndim - 1)
    inverse = jnp.linalg.inv(A)
    made = _matrix(A, p, dims, False) * _matrix(inverse, p, dims, False)
    return jnp.where(jnp.isfinite(inverse).all(axis=(-2, -1)), made, jnp.full_like(made, jnp.inf))


@composite(into=("linalg",), out=True)
def cond(A, p=None) -> Tensor:
    """`||A||_p ||A^-1||_p`, inf for singular matrices; by default the 2-norm."""
    return last(_cond, A, p)


@op("none", into=("internal",), name="linalg_matrix_rank", differentiable=False, out_dtype="cast")
def _matrix_rank(A: Tensor, atol: Any, rtol: Any, hermitian: bool):
    check_matrices("torch.linalg.matrix_rank", A, "input")
    check_float("torch.linalg.matrix_rank", A)
    if A.size == 0:
        return jnp.zeros(A.shape[:-2], jnp.int64)
    if hermitian:
        values = jnp.abs(lax.linalg.eigh(A, symmetrize_input=False)[1])
    else:
        values = lax.linalg.svd(A, full_matrices=False, compute_uv=False)
    atol, rtol = tolerances(A, atol, rtol)
    cut = jnp.maximum(atol, values.max(-1, keepdims=True) * rtol)
    return jnp.sum(values > cut, axis=-1)


@composite(into=("linalg",), out=True)
def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False) -> Tensor:
    """The number of singular values above `max(atol, rtol * largest)`."""
    if tol is not None:
        atol, rtol = tol, 0.0
    if batched_tolerance("linalg.matrix_rank", A, atol, rtol):
        values = linalg.eigvalsh(A).abs() if hermitian else linalg.svdvals(A)
        return (values > cut_of(A, values, atol, rtol)).sum(-1)
    if not A.numel():  # the tolerances, whatever their shapes, do not matter
        atol = rtol = 0.0
    return last(_matrix_rank, A, atol, rtol, bool(hermitian))
