"""Rules of matrix factorisations: eigenvalues, singular values, QR and forms near triangular.

XLA's CPU backend calls the LAPACK that scipy brings, and so do these rules: signs and phases of
vectors are the same. Where a routine fails all its results are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .linear import lapack, matrices, shaped
from .table import Array, Run, rule

# What one matrix gives: its results, and LAPACK's `info`.
One = Callable[..., tuple[Sequence[Array], int]]


def _batched(one: One, outs: Sequence[Any]) -> Run:
    """`one` applied to each matrix of a batch; an error's results are NaN."""

    def run(x: Array) -> list[Array]:
        rows, made = matrices(x, outs)
        for k, a in enumerate(rows):
            results, info = one(a)
            for into, result in zip(made, results, strict=True):
                into[k] = result if info == 0 else np.nan
        return shaped(made, outs)

    return run


@rule("svd")
def _svd(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    vectors, full = params["compute_uv"], params["full_matrices"]
    algorithm = getattr(params.get("algorithm"), "name", "DEFAULT")
    routine = {"DEFAULT": "gesdd", "DIVIDE_AND_CONQUER": "gesdd", "QR": "gesvd"}.get(algorithm)
    if routine is None:
        return None
    m, n = ins[0].shape[-2:]
    dtype = ins[0].dtype

    def one(a: Array) -> tuple[Sequence[Array], int]:
        if not a.size:
            sizes = (m, m, n, n) if full else (m, 0, 0, n)
            s = np.zeros(0)
            return ([s, np.eye(*sizes[:2]), np.eye(*sizes[2:])] if vectors else [s]), 0
        svd = lapack(routine, dtype)
        u, s, vt, info = svd(a, compute_uv=vectors, full_matrices=full)
        return ([s, u, vt] if vectors else [s]), info

    return _batched(one, outs)


@rule("eigh")
def _eigh(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype, lower = ins[0].dtype, params["lower"]

    def one(a: Array) -> tuple[Sequence[Array], int]:
        if not a.size:
            return [a, np.zeros(0)], 0
        w, v, info = lapack("heevd" if dtype.kind == "c" else "syevd", dtype)(a, lower=lower)
        return [v, w], info

    return _batched(one, outs)


def _complex_vectors(v: Array, imaginary: Array) -> Array:
    """Eigenvectors of a real matrix: the columns of a conjugate pair hold real and imaginary."""
    made = v.astype(np.result_type(v.dtype, np.complex64))
    for k in np.flatnonzero(imaginary > 0):
        made[:, k] = v[:, k] + 1j * v[:, k + 1]
        made[:, k + 1] = made[:, k].conj()
    return made


@rule("eig")
def _eig(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    if getattr(params.get("implementation"), "name", "LAPACK") != "LAPACK":
        return None
    left, right = params["compute_left_eigenvectors"], params["compute_right_eigenvectors"]
    dtype, count = ins[0].dtype, len(outs)

    def one(a: Array) -> tuple[Sequence[Array], int]:
        if not a.size:
            return [np.zeros(0), a, a][:count], 0
        if not np.isfinite(a).all():  # geev may not return
            return [np.zeros(len(a)), a, a][:count], -4
        geev = lapack("geev", dtype)
        if dtype.kind == "c":
            w, *both, info = geev(a, compute_vl=left, compute_vr=right)
        else:
            re, im, *both, info = geev(a, compute_vl=left, compute_vr=right)
            w = re + 1j * im
            both = [_complex_vectors(v, im) if k else v
                    for v, k in zip(both, (left, right), strict=True)]  # fmt: skip
        return [w, *[v for v, k in zip(both, (left, right), strict=True) if k]], info

    return _batched(one, outs)


@rule("schur")
def _schur(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run | None:
    if params["sort_eig_vals"]:
        return None
    dtype, count = ins[0].dtype, len(outs)

    def one(a: Array) -> tuple[Sequence[Array], int]:
        if not a.size:
            return [a, a][:count], 0
        made = lapack("gees", dtype)(lambda *_: None, a, compute_v=count == 2, sort_t=0)
        return [made[0], made[-3]][:count], made[-1]

    return _batched(one, outs)


@rule("hessenberg")
def _hessenberg(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = ins[0].dtype

    def one(a: Array) -> tuple[Sequence[Array], int]:
        if len(a) < 2:
            return [a, np.zeros(0)], 0
        made, taus, info = lapack("gehrd", dtype)(a)
        return [made, taus], info

    return _batched(one, outs)


@rule("tridiagonal")
def _tridiagonal(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype, lower = ins[0].dtype, int(params["lower"])

    def one(a: Array) -> tuple[Sequence[Array], int]:
        name = "hetrd" if dtype.kind == "c" else "sytrd"
        made, d, e, taus, info = lapack(name, dtype)(a, lower=lower)
        return [made, d, e, taus], info

    return _batched(one, outs) if ins[0].shape[-1] > 1 else _batched(_one_by_one, outs)


def _one_by_one(a: Array) -> tuple[Sequence[Array], int]:
    return [a.real, a.real.reshape(-1), np.zeros(0), np.zeros(0)], 0


@rule("geqp3")
def _geqp3(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    """QR with pivots; every column is free, which is how `qr` calls it."""
    run = _batched(lambda a: (_pivoted(a), 0), outs)
    return lambda a, pivots: run(a)


def _pivoted(a: Array) -> list[Array]:
    if not a.size:
        return [a, np.arange(1, a.shape[1] + 1), np.zeros(0)]
    made, pivots, taus = lapack("geqp3", a.dtype)(a)[:3]
    return [made, pivots, taus]


@rule("qr")
def _qr(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    pivoting, full = params["pivoting"], params["full_matrices"]
    dtype = ins[0].dtype

    def one(a: Array) -> tuple[Sequence[Array], int]:
        m, n = a.shape
        size = m if full else min(m, n)
        if not a.size:
            return [np.eye(m, size), np.zeros((size, n)), np.zeros(n)][: len(outs)], 0
        if pivoting:
            made, pivots, taus = _pivoted(a)
            pivots = pivots - 1
        else:
            made, taus = lapack("geqrf", dtype)(a)[:2]
        reflectors = np.zeros((m, size), dtype, order="F")
        reflectors[:, : min(size, n)] = made[:, : min(size, n)]
        q = lapack("ungqr" if dtype.kind == "c" else "orgqr", dtype)(reflectors, taus)[0]
        r = np.triu(made[:size])
        return ([q, r, pivots] if pivoting else [q, r]), 0

    return _batched(one, outs)


@rule("ormqr")
def _ormqr(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype, shape = outs[0].dtype, outs[0].shape
    side = "L" if params["left"] else "R"
    complex_ = dtype.kind == "c"
    trans = ("C" if complex_ else "T") if params["transpose"] else "N"

    def run(a: Array, taus: Array, c: Array) -> Array:
        if not c.size or not taus.size:
            return c
        mqr = lapack("unmqr" if complex_ else "ormqr", dtype)
        made = np.empty((int(np.prod(shape[:-2])), *shape[-2:]), dtype)
        parts = [x.reshape(len(made), *x.shape[len(shape) - 2 :]) for x in (a, taus, c)]
        for k, (m, t, x) in enumerate(zip(*parts, strict=True)):
            room = 64 * max(x.shape)
            made[k] = mqr(side, trans, np.asfortranarray(m[:, : len(t)]), t, x, room)[0]
        return made.reshape(shape)

    return run


@rule("tridiagonal_solve")
def _tridiagonal_solve(
    params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]
) -> Run | None:
    if params.get("perturb_singular"):
        return None
    dtype, shape = outs[0].dtype, outs[0].shape

    def run(dl: Array, d: Array, du: Array, b: Array) -> Array:
        if not b.size:
            return b
        made = np.empty((int(np.prod(shape[:-2])), *shape[-2:]), dtype)
        parts = [x.reshape(len(made), *x.shape[len(shape) - 2 :]) for x in (dl, d, du, b)]
        for k, (low, mid, up, y) in enumerate(zip(*parts, strict=True)):
            *_, solved, info = lapack("gtsv", dtype)(low[1:], mid, up[:-1], y)
            made[k] = solved if info == 0 else np.nan
        return made.reshape(shape)

    return run


@rule("symmetric_product")
def _symmetric_product(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    alpha, beta = dtype.type(params["alpha"]), dtype.type(params["beta"])
    return lambda a, c: np.asarray(alpha * (a @ a.swapaxes(-1, -2)) + beta * c)
