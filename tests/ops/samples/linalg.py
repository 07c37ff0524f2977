"""Samples of linear algebra.

Factors that are unique only up to sign are compared in tests/ops/test_factors.py.
"""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S as _S, Sample, c, f, i


def S(*args: object, **kwargs: object) -> Sample:
    """A sample; strides are not compared: LAPACK's results are column-major in PyTorch."""
    return _S(*args, **kwargs).no_strides()


def square(*shape: int) -> np.ndarray:
    """Well-conditioned square matrices."""
    return (f(*shape) + 4 * np.eye(shape[-1])).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    """Symmetric positive-definite matrices."""
    x = f(*shape)
    return (x @ x.swapaxes(-1, -2) + 2 * np.eye(shape[-1])).astype(np.float32)


def lower(n: int) -> np.ndarray:
    """A lower triangular matrix."""
    return np.tril(square(n, n)).astype(np.float32)


_SINGULAR = np.ones((2, 2), np.float32)
_TWO = np.array([0.1, 3.0], np.float32)  # a tolerance for each of two matrices
_P, _Q = positive(3, 3), positive(2, 3, 3)
_LU = (np.array([[4.0, 1.0, 2.0], [0.5, 3.0, 1.0], [0.25, 0.5, 2.0]], np.float32),
       np.array([2, 3, 3], np.int32))  # fmt: skip
_INF = float("inf")

SAMPLES = {
    "linalg.inv": [
        S(square(3, 3)).within(5),
        S(square(2, 3, 3)).within(5),
        S(f(2, 3)),
        S(i(2, 2)),
        S(f(2)),
    ],
    "torch.inverse": [S(square(3, 3)).within(5)],
    "linalg.inv_ex": [S(square(3, 3)).within(5)],
    "linalg.det": [
        S(square(3, 3)).within(5),
        S(square(2, 3, 3)).within(5),
        S(_SINGULAR).no_grad(),
        S(f(2, 3)),
        S(c(2, 2)).within(5),
    ],
    "torch.det": [S(square(3, 3)).within(5)],
    "linalg.slogdet": [S(square(3, 3)).within(5), S(-square(3, 3)).within(5)],
    "torch.slogdet": [S(square(3, 3)).within(5)],
    "torch.logdet": [S(_P).within(5), S(-_P[:1, :1]).no_grad()],
    "linalg.cholesky": [S(_P).within(5), S(_Q, upper=True).within(5), S(f(2, 3))],
    "torch.cholesky": [S(_P).within(5).warns(), S(_P, upper=True).within(5).warns()],
    "linalg.cholesky_ex": [S(_P).within(5)],
    "torch.cholesky_solve": [
        S(f(3, 2), lower(3)).within(5),
        S(f(3, 1), lower(3).T, True).within(5),
    ],
    "torch.cholesky_inverse": [S(lower(3)).within(5), S(lower(3).T, upper=True).within(5)],
    "linalg.qr": [
        S(f(4, 3)).only_shapes(),
        S(f(4, 3), mode="complete").only_shapes(),
        S(f(4, 3), mode="r").only_shapes(),
        S(f(4, 3), mode="x"),
        S(f(3)),
    ],
    "torch.qr": [S(f(4, 3)).only_shapes().warns()],
    "torch.geqrf": [S(f(4, 3)).only_shapes()],
    "linalg.householder_product": [S(f(4, 3), f(3)).within(5), S(f(4, 2), f(3))],
    "torch.orgqr": [S(f(4, 3), f(3)).within(5)],
    "torch.ormqr": [
        S(f(4, 3), f(3), f(4, 2)).within(20).no_grad(),
        S(f(4, 3), f(3), f(2, 4), False, True).within(20).no_grad(),
        S(np.array([[1.0, 2.0, 3.0], [0.5, 4.0, 5.0]], np.float32), _TWO, np.eye(2, dtype="f4"))
        .within(20)
        .no_grad(),
    ],
    "linalg.svd": [
        S(f(4, 3), full_matrices=False).only_shapes(),
        S(f(3, 4)).only_shapes(),
        S(i(2, 2)),
        S(f(2)),
    ],
    "torch.svd": [S(f(4, 3)).only_shapes().warns()],
    "linalg.svdvals": [S(f(4, 3)).within(10), S(f(2, 3, 3)).within(10)],
    "linalg.eig": [S(_P).within(5).only_shapes(), S(f(2, 3))],
    "linalg.eigvals": [S(_P).within(10).only_shapes()],
    "linalg.eigh": [S(_P).only_shapes(), S(_Q, UPLO="U").only_shapes(), S(_P, UPLO="X")],
    "linalg.eigvalsh": [S(_P).within(5), S(_Q).within(5)],
    "linalg.solve": [
        S(square(3, 3), f(3)).within(5),
        S(square(3, 3), f(3, 2)).within(5),
        S(square(2, 3, 3), f(2, 3)).within(5),
        S(square(3, 3), f(2, 3), left=False).within(5),
        S(square(3, 3), f(2)),
    ],
    "linalg.solve_ex": [S(square(3, 3), f(3)).within(5)],
    "linalg.solve_triangular": [
        S(lower(3), f(3, 2), upper=False).within(5),
        S(lower(3), f(2, 3), upper=False, left=False).within(5),
        S(lower(3), f(3, 1), upper=True, unitriangular=True).within(5),
    ],
    "torch.triangular_solve": [S(f(3, 2), lower(3), upper=False).within(5).warns()],
    "linalg.lstsq": [
        S(f(5, 3), f(5, 2)).within(20).no_forms(),
        S(f(5, 3), f(5)).within(20).no_forms(),
        S(f(5, 3), f(5, 2), driver="gelsd").within(20).no_grad().no_forms(),
        S(f(5, 3), f(5, 2), driver="no"),
    ],
    "linalg.lu": [S(square(3, 3)).within(5), S(f(4, 3)).within(5).no_grad()],
    "linalg.lu_factor": [S(square(3, 3)).within(5), S(_SINGULAR)],
    "linalg.lu_factor_ex": [S(square(3, 3)).within(5)],
    "linalg.lu_solve": [
        S(*_LU, f(3, 2)).within(5),
        S(*_LU, f(2, 3), left=False).within(5),
        S(*_LU, f(3, 2), adjoint=True).within(5),
    ],
    "torch.lu_solve": [S(f(3, 2), *_LU).within(5).warns()],
    "torch.lu_unpack": [S(*_LU)],
    "linalg.pinv": [
        S(f(4, 3)).within(20),
        S(_P, hermitian=True).within(20),
        S(f(2, 3, 4), rtol=0.3).no_grad().within(20),
        S(np.diag([1.0, 2.0]).astype(np.float32), atol=_TWO).no_grad().within(20),
        S(f(3)),
    ],
    "torch.pinverse": [S(f(3, 4)).within(20)],
    "linalg.matrix_rank": [
        S(f(3, 4)),
        S(_SINGULAR),
        S(_Q, hermitian=True),
        S(f(3, 3), tol=2.5),
    ],
    "linalg.matrix_power": [
        S(square(3, 3), 3).within(20),
        S(square(3, 3), 0),
        S(square(3, 3), -1).within(5),
        S(i(2, 2), 2),
        S(f(2, 3), 2),
    ],
    "torch.matrix_power": [S(square(3, 3), 2).within(5)],
    "linalg.matrix_exp": [S(f(3, 3)).within(50).no_half(), S(f(2, 3))],
    "torch.matrix_exp": [S(f(3, 3)).within(50).no_half(), S(f(2, 2, 2)).within(50).no_half()],
    "linalg.cond": [
        S(square(3, 3)).within(20),
        S(square(3, 3), 1).within(20).no_grad(),
        S(square(3, 3), "fro").within(20).no_grad(),
        S(square(3, 3), -2).within(20),
        S(f(2, 3), 1),
    ],
    "linalg.vander": [S(f(3)).within(5), S(f(2, 3), N=2), S(i(3))],
    "linalg.vecdot": [
        S(f(2, 3), f(2, 3)),
        S(c(2, 3), c(2, 3)),
        S(f(2, 3), f(3), dim=0),
        S(f(2), i(2)),
    ],
    "linalg.tensorinv": [S(square(6, 6).reshape(2, 3, 6), ind=2).within(20), S(f(2, 3, 2))],
    "linalg.tensorsolve": [S(square(6, 6).reshape(2, 3, 6), f(2, 3)).within(20), S(f(2, 3), f(2))],
    "linalg.vector_norm": [
        S(f(3, 4)),
        S(f(3, 4), 1, 1),
        S(f(3, 4), _INF, 0),
        S(f(3, 4), -_INF),
        S(f(3, 4), 0),
        S(f(3, 4), 3, (0, 1), True),
        S(f(3, 4), 2.5, -1),
        S(c(3)),
        S(i(3)),
        S(np.zeros((2, 2), np.float32), 2, 1),
        *(S(np.array(-2.0, np.float32), p, 0, True) for p in (_INF, -_INF, -2.1, 2)),
    ],
    "linalg.matrix_norm": [
        S(f(3, 4)),
        S(f(3, 4), "nuc").within(5),
        S(f(3, 4), 2).within(5),
        S(f(3, 4), -2).within(5),
        S(f(3, 4), 1),
        S(f(2, 3, 4), _INF, (0, 2), True),
        S(f(3, 4), -1),
        S(f(3, 4), 7),
        S(f(3)),
    ],
    "linalg.norm": [
        S(f(3, 4)),
        S(f(3, 4), "fro"),
        S(f(4), 1),
        S(f(3, 4), 1, 1),
        S(f(3, 4), 1, (0, 1)),
        S(f(2, 3, 4)),
        S(f(2, 3, 4), 2),
    ],
    "torch.nuclear_norm": [S(f(3, 4)).within(5).warns()],
    "torch.frobenius_norm": [S(f(3, 4), (0, 1)).warns(), S(f(3, 4), 1).warns()],
    "torch.norm_except_dim": [S(f(2, 3), 2, 0), S(f(2, 3, 4), 2, 1)],
    "torch.lu": [S(square(3, 3)).within(5).no_forms().no_half().warns()],
}
