"""Factorisations that are unique only up to sign or phase: what does not depend on it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from tests.oracle import agree

Arrays = Callable[[int, int], np.ndarray[Any, Any]]


def general(rows: int, columns: int) -> np.ndarray[Any, Any]:
    """A fixed matrix."""
    return np.random.RandomState(rows * 7 + columns).randn(rows, columns)


def hermitian(rows: int, columns: int) -> np.ndarray[Any, Any]:
    """A fixed Hermitian complex matrix."""
    stream = np.random.RandomState(5)
    x = stream.randn(rows, rows) + 1j * stream.randn(rows, rows)
    return x + x.conj().T


def qr(lib: Any, a: Any) -> Any:
    q, r = lib.linalg.qr(a)
    return [q @ r, r.abs(), q.abs()]


def qr_complete(lib: Any, a: Any) -> Any:
    q, r = lib.linalg.qr(a, mode="complete")
    return [q @ r, q @ q.mT, r.abs()]


def old_geqrf(lib: Any, a: Any) -> Any:
    packed, tau = lib.geqrf(a)
    q = lib.linalg.householder_product(packed, tau)
    return [(q @ packed[: a.shape[1]].triu()).detach()]


def svd(lib: Any, a: Any) -> Any:
    u, s, vh = lib.linalg.svd(a, full_matrices=False)
    return [s, u.abs(), vh.abs(), (u * s) @ vh]


def svd_full(lib: Any, a: Any) -> Any:
    u, s, vh = lib.linalg.svd(a)
    k = s.shape[-1]
    return [s, u[:, :k].abs(), vh[:k].abs(), (u @ u.mT).detach(), (vh @ vh.mT).detach()]


def eigh(lib: Any, a: Any) -> Any:
    values, vectors = lib.linalg.eigh(a)
    return [values, vectors.abs(), (vectors * values) @ vectors.mH]


def eig(lib: Any, a: Any) -> Any:
    values, vectors = lib.linalg.eig(a)
    order = [
        int(i) for i in np.lexsort((values.detach().numpy().imag, values.detach().numpy().real))
    ]
    return [values[order].real, values[order].imag, vectors[:, order].abs()]


def eigvals(lib: Any, a: Any) -> Any:
    values = lib.linalg.eigvals(a)
    return [values.abs().sort()[0]]


CASES: list[tuple[Any, Arrays, int, int]] = [
    (qr, general, 4, 3), (qr, general, 3, 3), (qr_complete, general, 3, 3),
    (old_geqrf, general, 4, 3), (svd, general, 4, 3), (svd, general, 3, 4), (svd, hermitian, 3, 3),
    (svd_full, general, 4, 3), (svd_full, general, 3, 4), (eigh, hermitian, 3, 3),
    (eig, general, 3, 3), (eigvals, general, 4, 4),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "make", "rows", "columns"), CASES,
    ids=[f"{c[0].__name__}-{c[1].__name__}-{c[2]}x{c[3]}" for c in CASES],
)  # fmt: skip
def test_factor(function: Any, make: Arrays, rows: int, columns: int) -> None:
    """Values and gradients equal PyTorch's."""
    found = []
    for lib in (torchish, torch):
        a = lib.from_numpy(make(rows, columns).copy()).requires_grad_()
        results = function(lib, a)
        smooth = [r for r in results if r.requires_grad]
        if smooth:
            weights = np.random.RandomState(1)
            sum((r.abs() * lib.from_numpy(weights.rand(*r.shape))).sum() for r in smooth).backward()  # type: ignore[union-attr]
        found.append([*[r.detach().numpy() for r in results], a.grad.numpy() if smooth else None])
    for own, theirs in zip(*found, strict=True):
        if theirs is not None:
            np.testing.assert_allclose(own, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, a, b: lib.linalg.inv(a),
        lambda lib, a, b: lib.linalg.inv(lib.stack([b, a])),
        lambda lib, a, b: lib.inverse(a * 1),
        lambda lib, a, b: lib.linalg.solve(a, b[0]),
        lambda lib, a, b: lib.linalg.cholesky(-b),
        lambda lib, a, b: lib.linalg.cholesky(lib.stack([b, b, a - 2])),
        lambda lib, a, b: lib.cholesky(b - 2.5),
    ],
)
def test_matrices_that_do_not_do(call: Any) -> None:
    """Singular and indefinite matrices raise LinAlgError with PyTorch's text, by the next read."""
    texts = []
    for lib in (torchish, torch):
        a, b = lib.ones(2, 2), lib.tensor([[2.0, 1.0], [1.0, 3.0]])
        with pytest.raises(lib.linalg.LinAlgError) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(lib, a, b).sum().item()
        texts.append(str(caught.value).splitlines()[0])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("options", [
    {"atol": [0.1, 3.0]}, {"rtol": [0.1, 3.0]}, {"atol": [0.1, 3.0], "hermitian": True},
    {"atol": 0.6, "rtol": [0.1, 0.9]}, {"atol": [0.0, 0.6]}, {"atol": [[0.1], [3.0]]},
])  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 2), (2, 3, 3), (2, 0, 0)])
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")  # torch's own
def test_one_tolerance_a_matrix(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    def results(library: Any) -> Any:
        a = library.arange(1.0, 10.0)[: math.prod(shape[-2:])].reshape(shape[-2:]).expand(shape)
        a = a + a.mT
        given = {
            k: v if isinstance(v, bool) else library.tensor(v, dtype=library.float32)
            for k, v in options.items()
        }
        inverse = library.linalg.pinv(a, **given)
        return library.linalg.matrix_rank(a, **given).tolist(), inverse.numpy()

    own, theirs = results(torchish), results(torch)
    assert own[0] == theirs[0]
    np.testing.assert_allclose(own[1], theirs[1], rtol=1e-4, atol=1e-4)


def singular(t: Any) -> Any:
    return t.tensor([[1.0, 2.0], [2.0, 4.0]])


def singular_late(t: Any) -> Any:
    """One of several, and not looked at before it is used."""
    return t.stack([t.eye(2), singular(t)])


def singular_large(t: Any) -> Any:
    made = t.eye(80)
    made[70, 70] = 0
    return made


@pytest.mark.parametrize("matrix", [singular, singular_late, singular_large])
@pytest.mark.parametrize(
    "call",
    [
        lambda t, A: t.linalg.lu_factor(A),
        lambda t, A: t.linalg.lu_factor_ex(A, check_errors=True),
        lambda t, A: t.linalg.solve_ex(A, A, check_errors=True),
        lambda t, A: t.linalg.inv_ex(A, check_errors=True),
    ],
)
def test_zero_pivots_raise(call: Any, matrix: Any) -> None:
    agree(lambda t: [x.tolist() for x in call(t, matrix(t))])


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (0, 2), (0, 2, 2)])
def test_factors_of_zeros_in_any_shape(shape: tuple[int, ...]) -> None:
    agree(lambda t: [x.shape for x in t.linalg.lu_factor(t.zeros(*shape))])
    agree(lambda t: t.linalg.lu_factor_ex(t.zeros(*shape)).info)
