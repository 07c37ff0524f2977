"""Rules of matrix products, factorisations and Fourier transforms.

Products of half types accumulate in float32. LAPACK's routines are called a matrix at a time; where
one fails the answer is NaN, as XLA gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, is_half, rule


@rule("dot_general")
def _dot_general(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    (ca, cb), (ba, bb) = params["dimension_numbers"]
    a, b = ins
    dtype, shape = outs[0].dtype, outs[0].shape
    half = is_half(dtype) or is_half(a.dtype) or is_half(b.dtype)
    free_a = [d for d in range(a.ndim) if d not in (*ca, *ba)]
    free_b = [d for d in range(b.ndim) if d not in (*cb, *bb)]
    order_a, order_b = [*ba, *free_a, *ca], [*bb, *cb, *free_b]
    batch = [a.shape[d] for d in ba]
    inner = math.prod(a.shape[d] for d in ca)
    rows, columns = math.prod(a.shape[d] for d in free_a), math.prod(b.shape[d] for d in free_b)
    wide: Any = np.float32 if half else dtype
    two = not ba and a.ndim == b.ndim == 2 and len(ca) == 1
    flip_a, flip_b = two and ca[0] == 0, two and cb[0] == 1

    if two and not half and a.dtype == b.dtype == dtype and dtype.kind in "fc":
        return _matrices(flip_a, flip_b)

    def plain(x: Array, y: Array) -> Array:
        x, y = x.astype(wide, copy=False), y.astype(wide, copy=False)
        return np.asarray(np.matmul(x.T if flip_a else x, y.T if flip_b else y))

    def general(x: Array, y: Array) -> Array:
        x = x.astype(wide, copy=False).transpose(order_a).reshape(*batch, rows, inner)
        y = y.astype(wide, copy=False).transpose(order_b).reshape(*batch, inner, columns)
        made: Array = np.matmul(_for_blas(x), _for_blas(y))
        return made.reshape(shape)

    run = plain if two else general
    if half and is_half(dtype):
        return lambda x, y: run(x, y).astype(dtype)
    if dtype == np.bool_:
        return lambda x, y: general(x.astype(np.int64), y.astype(np.int64)).astype(dtype)
    return run


def _matrices(flip_a: bool, flip_b: bool) -> Run:
    """BLAS's product of two matrices; `dot` asks less before it calls it than `matmul` does."""
    if flip_a and flip_b:
        return lambda x, y: x.T.dot(y.T)
    if flip_a:
        return lambda x, y: x.T.dot(y)
    if flip_b:
        return lambda x, y: x.dot(y.T)
    return np.ndarray.dot


def _for_blas(x: Array) -> Array:
    """Matrices whose rows or columns are contiguous; numpy multiplies others without BLAS."""
    if x.itemsize in x.strides[-2:] or 1 in x.shape[-2:]:
        return x
    return np.ascontiguousarray(x)


@rule("fft")
def _fft(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    kind = str(getattr(params["fft_type"], "name", params["fft_type"])).upper()
    lengths = params["fft_lengths"]
    dtype = outs[0].dtype
    axes = tuple(range(-len(lengths), 0))
    import scipy.fft

    if kind.endswith("IRFFT"):
        return lambda x: scipy.fft.irfftn(x, lengths, axes).astype(dtype, copy=False)
    if kind.endswith("RFFT"):
        return lambda x: scipy.fft.rfftn(x, axes=axes).astype(dtype, copy=False)
    if kind.endswith("IFFT"):
        return lambda x: scipy.fft.ifftn(x, axes=axes).astype(dtype, copy=False)
    return lambda x: scipy.fft.fftn(x, axes=axes).astype(dtype, copy=False)


def lapack(name: str, dtype: Any) -> Any:
    """LAPACK's routine for a type; scipy is loaded when it is first needed."""
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs((name,), dtype=dtype)[0]


def matrices(x: Array, outs: Sequence[Any]) -> tuple[Array, list[Array]]:
    """Matrices of a batch in a row, and results to fill, in a row too."""
    lead = x.ndim - 2
    rows = x.reshape(math.prod(x.shape[:lead]), *x.shape[lead:])
    return rows, [np.empty((len(rows), *o.shape[lead:]), o.dtype) for o in outs]


def shaped(made: Sequence[Array], outs: Sequence[Any]) -> list[Array]:
    return [m.reshape(o.shape) for m, o in zip(made, outs, strict=True)]


@rule("cholesky")
def _cholesky(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    potrf = lapack("potrf", outs[0].dtype)
    symmetrize = params.get("symmetrize_input", True)

    def run(x: Array) -> Array:
        rows, (made,) = matrices(x, outs)
        for k, a in enumerate(rows):
            a = (a + a.conj().T) / 2 if symmetrize else a
            factor, info = potrf(a, lower=True, clean=True) if a.size else (a, 0)
            made[k] = factor if info == 0 else np.nan
        return made.reshape(outs[0].shape)

    return run


@rule("triangular_solve")
def _triangular_solve(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    left, lower = params["left_side"], params["lower"]
    transpose, conjugate = params["transpose_a"], params["conjugate_a"]
    unit, dtype = params["unit_diagonal"], outs[0].dtype
    trtrs = lapack("trtrs", dtype)

    def run(a: Array, b: Array) -> Array:
        if b.size == 0:
            return b.copy()
        made = np.empty((math.prod(b.shape[:-2]), *b.shape[-2:]), dtype)
        for k, (m, y) in enumerate(zip(a.reshape(len(made), *a.shape[-2:]), b.reshape(made.shape),
                                       strict=True)):  # fmt: skip
            if unit:
                m = m.copy()
                np.fill_diagonal(m, 1)
            if conjugate:
                m = m.conj()
            # X A = B is A^T X^T = B^T.
            flip = bool(transpose) == left
            solved, info = trtrs(m, y if left else y.T, lower=lower, trans=int(flip), unitdiag=unit)
            if info:
                with np.errstate(all="ignore"):
                    solved = _substitute(m, y if left else y.T, lower, flip)
            made[k] = solved if left else solved.T
        return made.reshape(b.shape)

    return run


def _substitute(m: Array, y: Array, lower: bool, flip: bool) -> Array:
    """Substitution that divides by zero diagonals, as BLAS's trsm does."""
    if flip:
        m, lower = m.T, not lower
    made = np.array(y)
    order = range(len(m)) if lower else range(len(m) - 1, -1, -1)
    for i in order:
        made[i] = made[i] / m[i, i]
        rest = slice(i + 1, None) if lower else slice(0, i)
        made[rest] -= np.outer(m[rest, i], made[i])
    return made


@rule("lu")
def _lu(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    getrf = lapack("getrf", outs[0].dtype)

    def run(x: Array) -> list[Array]:
        rows, (lu, pivots, order) = _each_lu(x, outs)
        for k, a in enumerate(rows):
            if a.size:
                lu[k], pivots[k], info = getrf(a)
                if info < 0:
                    lu[k] = np.nan
            order[k] = _permutation(pivots[k], a.shape[0])
        return shaped([lu, pivots, order], outs)

    return run


def _each_lu(x: Array, outs: Sequence[Any]) -> tuple[Array, list[Array]]:
    lead = x.ndim - 2
    rows = x.reshape(math.prod(x.shape[:lead]), *x.shape[lead:])
    return rows, [np.zeros((len(rows), *o.shape[lead:]), o.dtype) for o in outs]


def _permutation(pivots: Array, size: int) -> Array:
    order = np.arange(size)
    for i, p in enumerate(pivots):
        order[i], order[p] = order[p], order[i]
    return order


@rule("lu_pivots_to_permutation")
def _lu_pivots(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    size = params["permutation_size"]

    def run(pivots: Array) -> Array:
        rows = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
        made = [_permutation(p, size) for p in rows]
        return np.array(made, outs[0].dtype).reshape(outs[0].shape)

    return run


@rule("householder_product")
def _householder_product(
    params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]
) -> Run | None:
    dtype = outs[0].dtype
    name = "ungqr" if dtype.kind == "c" else "orgqr"
    gqr = lapack(name, dtype)

    def run(a: Array, taus: Array) -> Array:
        rows, (made,) = matrices(a, outs)
        factors = taus.reshape(len(rows), taus.shape[-1])
        for k, (m, t) in enumerate(zip(rows, factors, strict=True)):
            if m.size:
                made[k] = gqr(m, t)[0] if t.size else np.eye(*m.shape, dtype=dtype)
        return made.reshape(outs[0].shape)

    return run


@rule("geqrf")
def _geqrf(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    geqrf = lapack("geqrf", outs[0].dtype)

    def run(x: Array) -> list[Array]:
        rows, made = matrices(x, outs)
        for k, a in enumerate(rows):
            if a.size:
                made[0][k], made[1][k] = geqrf(a)[:2]
        return shaped(made, outs)

    return run
