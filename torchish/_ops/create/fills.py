"""Fills: of a copy, and of the diagonal in place."""

from typing import Any

from ..registry import Tensor, composite


@composite(into=("torch",))
def fill(input: Any, value: Any) -> Tensor:
    """A copy of `input` with every element set to `value`."""
    return input.clone().fill_(value)


@composite(into=("method",))
def fill_diagonal_(self: Any, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the main diagonal; `wrap` starts it again below the square part of a tall matrix."""
    if self.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.dim() > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    stride = sum(self.stride())
    rows, columns = self.shape[0], self.shape[1]
    size = min(self.shape)
    self.as_strided((size,), (stride,)).fill_(fill_value)
    if wrap and self.dim() == 2 and rows > columns + 1:
        start = self.stride(0) * (columns + 1)
        count = -(-(self.numel() - start) // stride)
        offset = self.storage_offset() + start
        self.as_strided((count,), (stride,), offset).fill_(fill_value)
    return self
