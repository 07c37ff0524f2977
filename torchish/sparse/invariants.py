"""What indices of sparse tensors must satisfy: looked at where it is asked for, as in torch.

Torch asks by `check_invariants=True`, or for the whole process by `check_sparse_tensor_invariants`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .._autograd.interop import host_array
from .._basics.dtypes import SCALAR_NAMES, int32, int64
from .._basics.state import process
from .tensors import Compressed


class check_sparse_tensor_invariants:
    """Constructors of sparse tensors check their indices in a block, or in a function."""

    def __init__(self, enable: bool = True) -> None:
        self.state = enable
        self.saved_state: bool | None = None

    @staticmethod
    def is_enabled() -> bool:
        """Whether constructors check, unless told otherwise."""
        return process.sparse_invariants

    @staticmethod
    def enable() -> None:
        """Have constructors check."""
        process.sparse_invariants = True

    @staticmethod
    def disable() -> None:
        """Have constructors not check."""
        process.sparse_invariants = False

    def __enter__(self) -> None:
        if self.saved_state is not None:
            raise RuntimeError(
                "This context manager instance is already activated. Use a different context "
                "manager instance for context nesting."
            )
        self.saved_state = process.sparse_invariants
        process.sparse_invariants = self.state

    def __exit__(self, *exc: object) -> None:
        process.sparse_invariants = bool(self.saved_state)
        self.saved_state = None

    def __call__(self, mth: Callable[..., Any]) -> Callable[..., Any]:
        def test_mth(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self.state):
                return mth(*args, **kwargs)

        return test_mth


def is_asked(check_invariants: bool | None) -> bool:
    """Whether a constructor that was told this checks."""
    return process.sparse_invariants if check_invariants is None else check_invariants


def check_not_negative(places: np.ndarray[Any, Any]) -> None:
    """Raise torch's error for a negative index of a COO tensor."""
    for dim, row in enumerate(places):
        if row.size and row.min() < 0:
            raise RuntimeError(f"found negative index {row.min()} for dim {dim}")


def check_coo(places: Any, size: tuple[int, ...], coalesced: bool) -> None:
    """Raise torch's error for indices outside of `size`, or falsely called coalesced."""
    rows = host_array(places)
    check_not_negative(rows)
    for dim, row in enumerate(rows):
        if row.size and row.max() >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found "
                f"index {row.max()}"
            )
    if coalesced:
        columns = list(zip(*rows.tolist(), strict=True))
        if any(a >= b for a, b in pairwise(columns)):
            raise RuntimeError(
                "cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor"
            )


def check_compressed(
    kind: type[Compressed], names: tuple[str, str], ptr: Any, idx: Any, size: Any, block: Any
) -> None:
    """Raise torch's error for indices of a compressed matrix that mean nothing.

    `block`: the sizes of one block, ones where there are no blocks.
    """
    ptr_name, idx_name = names
    if ptr.dtype is not idx.dtype:
        got = f"{SCALAR_NAMES[ptr.dtype]} and {SCALAR_NAMES[idx.dtype]}"
        raise RuntimeError(
            f"{ptr_name} and {idx_name} must have the same dtype, bot got {got}, respectively"
        )
    if ptr.dtype not in (int32, int64):
        raise RuntimeError(
            f"{ptr_name} and {idx_name} dtype must be Int or Long, but got "
            f"{SCALAR_NAMES[ptr.dtype]}"
        )
    if len(size) != 2:
        raise RuntimeError(
            "tensor dimensionality must be sum of batch, base, and dense dimensionalities "
            f"(=0 + 2 + 0) but got {len(size)}"
        )
    for dim in (0, 1):
        if size[dim] % block[dim]:
            raise RuntimeError(
                f"tensor shape[{dim}] (={size[dim]}) must be divisible with blocksize[{dim}] "
                f"(={block[dim]}) as defined by values shape"
            )
    along, across = ("ncols", "nrows") if kind.by_column else ("nrows", "ncols")
    count = size[0] // block[0] if kind.by_column else size[1] // block[1]
    starts, places = host_array(ptr), host_array(idx)
    lengths = np.diff(starts)
    _hold(bool(starts[0] == 0), f"{ptr_name}[..., 0] == 0")
    _hold(starts[-1] == places.size, f"{ptr_name}[..., -1] == nnz")
    _hold(
        ((lengths >= 0) & (lengths <= count)).all(),
        f"0 <= {ptr_name}[..., 1:] - {ptr_name}[..., :-1] <= {across}",
    )
    _hold(((places >= 0) & (places < count)).all(), f"0 <= {idx_name} < {across}")
    lines = [places[a:b] for a, b in pairwise(starts)]
    _hold(
        all((np.diff(line) > 0).all() for line in lines),
        f"{idx_name}[..., {ptr_name}[..., i - 1]:{ptr_name}[..., i]] for all i = 1, ..., {along} "
        "are sorted and distinct along the last dimension values",
    )


def _hold(condition: Any, text: str) -> None:
    if not condition:
        raise RuntimeError(f"`{text}` is not satisfied.")


__all__ = ["check_compressed", "check_coo", "check_not_negative",
           "check_sparse_tensor_invariants", "is_asked"]  # fmt: skip
