"""LDL factorisations of symmetric and Hermitian matrices, by LAPACK on the host.

XLA has none, and torch defines no derivative, so numpy arrays go in and come out.

Source: Bunch & Kaufman, 1977, as in LAPACK.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._autograd.interop import host_array, wrap_host
from ..call.return_types import return_type
from ..registry import composite
from .checks import LinAlgError, check_float, check_square, column_strides

_FACTOR = return_type("linalg_ldl_factor", "LD pivots")
_FACTOR_EX = return_type("linalg_ldl_factor_ex", "LD pivots info")


def _lapack(name: str, array: Any, hermitian: bool) -> Any:
    """scipy's wrapper of a routine: sytrf, sytrs or their Hermitian forms."""
    from scipy.linalg import lapack

    letter = {"f": "s", "d": "d", "F": "c", "D": "z"}[np.dtype(array.dtype).char]
    kind = "he" if hermitian and letter in "cz" else "sy"
    return getattr(lapack, f"{letter}{kind}{name}")


def _columns(array: Any) -> Any:
    """A tensor of column-major matrices, as LAPACK leaves them."""
    made = wrap_host(array)
    strides = column_strides(array.shape)
    return made if strides is None else made.mT.contiguous().mT


def _factor(A: Any, hermitian: bool) -> tuple[Any, Any, Any]:
    whole = host_array(A)
    check_square("torch.linalg.ldl_factor_ex", whole)
    check_float("torch.linalg.ldl_factor_ex", whole)
    *batch, n, _ = whole.shape
    factors = np.zeros(whole.shape, whole.dtype)
    pivots = np.zeros((*batch, n), np.int32)
    info = np.zeros(batch, np.int32)
    for at in np.ndindex(*batch) if n else ():
        routine = _lapack("trf", whole, hermitian)
        found, swaps, code = routine(np.tril(whole[at]), lower=1)
        factors[at], pivots[at], info[at] = np.tril(found), swaps, code
    return factors, pivots, info


@composite(into=("linalg",), out="exact")
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """`A = L D L^T` (or `L D L^H`) packed in one matrix, pivots, and where D is singular."""
    factors, pivots, info = _factor(A.detach(), bool(hermitian))
    if check_errors and info.any():
        raise LinAlgError(
            f"torch.linalg.ldl_factor_ex: The factorization could not be completed because D has "
            f"an exact zero at position {int(info[info != 0].reshape(-1)[0])}."
        )
    return _FACTOR_EX((_columns(factors), wrap_host(pivots), wrap_host(info)))


@composite(into=("linalg",), out="exact")
def ldl_factor(A, *, hermitian=False):
    """`A = L D L^T` (or `L D L^H`) packed in one matrix, and pivots."""
    return _FACTOR(ldl_factor_ex(A, hermitian=hermitian)[:2])


@composite(into=("linalg",), out="exact")
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """The X of `A X = B`, given `ldl_factor(A)`."""
    packed, swaps, right = (host_array(t.detach()) for t in (LD, pivots, B))
    check_square("torch.linalg.ldl_solve", packed)
    if B.dim() < 2:
        raise RuntimeError("torch.linalg.ldl_solve: Expected B to have at least 2 dimensions")
    batch = np.broadcast_shapes(packed.shape[:-2], right.shape[:-2])
    packed = np.broadcast_to(packed, (*batch, *packed.shape[-2:]))
    swaps = np.broadcast_to(swaps, (*batch, swaps.shape[-1]))
    solved = np.array(np.broadcast_to(right, (*batch, *right.shape[-2:])))
    for at in np.ndindex(*batch) if solved.size else ():
        routine = _lapack("trs", packed, bool(hermitian))
        solved[at] = routine(packed[at], swaps[at], solved[at], lower=1)[0]
    return _columns(solved)
