"""The size of a ragged dim: a name (`j1`), the same for all tensors of the same offsets."""

from __future__ import annotations

import itertools
from typing import Any

from ...utils.weak import WeakTensorKeyDictionary

_numbers = itertools.count(1)
_known = WeakTensorKeyDictionary()
_UNKNOWN = "relation is indeterminate"


class NestedInt:
    """The size of a ragged dim, times a factor. Equal only to itself; at least 2."""

    __slots__ = ("coeff", "number")

    def __init__(self, number: int, coeff: int = 1) -> None:
        self.number, self.coeff = number, coeff

    def __repr__(self) -> str:
        return f"j{self.number}" if self.coeff == 1 else f"{self.coeff}*j{self.number}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NestedInt):
            return False
        return (self.number, self.coeff) == (other.number, other.coeff)

    def __hash__(self) -> int:
        return hash((self.number, self.coeff))

    def __mul__(self, other: Any) -> NestedInt:
        if not isinstance(other, int):
            return NotImplemented
        return NestedInt(self.number, self.coeff * other)

    __rmul__ = __mul__

    def __ge__(self, other: Any) -> bool:
        if isinstance(other, NestedInt) and other.number == self.number:
            return self.coeff >= other.coeff
        if isinstance(other, int) and other <= 2:
            return True
        raise ValueError(f"ge: {_UNKNOWN}")

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, NestedInt) and other.number == self.number:
            return self.coeff > other.coeff
        if isinstance(other, int) and other < 2:
            return True
        raise ValueError(f"gt: {_UNKNOWN}")

    def __lt__(self, other: Any) -> bool:
        return not self >= other

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __int__(self) -> int:
        raise ValueError(f"the ragged size {self!r} is no number; ask for unbind() or offsets()")


def size_of(source: Any) -> NestedInt:
    """The size that belongs to a tensor of offsets (or lengths)."""
    if source not in _known:
        _known[source] = NestedInt(next(_numbers))
    return _known[source]  # type: ignore[no-any-return]
