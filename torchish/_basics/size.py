"""`torch.Size`: a tuple that prints as torch's and keeps its type through tuple arithmetic."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex, overload


class Size(tuple[int, ...]):
    """The shape of a tensor."""

    __slots__ = ()
    __module__ = "torch"

    def __new__(cls, values: Any = ()) -> Size:
        values = tuple(values)
        for position, value in enumerate(values):
            if not hasattr(value, "__index__"):
                raise TypeError(
                    "torch.Size() takes an iterable of 'int' "
                    f"(item {position} is '{type(value).__name__}')"
                )
        return tuple.__new__(cls, [int(v) for v in values])

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Size: ...

    def __getitem__(self, index: SupportsIndex | slice) -> int | Size:
        got = tuple.__getitem__(self, index)
        return tuple.__new__(Size, got) if isinstance(got, tuple) else got

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'torch.Size' object has no attribute '{name}'")

    def __add__(self, other: Any) -> Size:
        if not isinstance(other, tuple):
            raise TypeError(
                f'can only concatenate tuple (not "{type(other).__name__}") to torch.Size'
            )
        return tuple.__new__(Size, tuple.__add__(self, other))

    def __radd__(self, other: Any) -> Size:
        if not isinstance(other, tuple):
            return NotImplemented
        return tuple.__new__(Size, other + tuple(self))

    def __mul__(self, count: Any) -> Size:
        return tuple.__new__(Size, tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self) -> Any:
        return (_size, (tuple(self),))


def _size(values: tuple[int, ...]) -> Size:
    """What pickles call: the class itself is known as torch.Size, which need not be importable."""
    return Size(values)
