"""In-place operators that torch also offers as functions, and fills of diagonals."""

from typing import Any

from ..call.fronts import in_place
from ..layers.activation import threshold_op
from ..linalg.addmm import addmv
from ..registry import Tensor, composite, methods, ops
from .arithmetic import gcd, lcm, xlogy
from .power import ldexp
from .ternary import clamp_max, clamp_min

for _function in (addmv, clamp_max, clamp_min, gcd, lcm, ldexp, xlogy):
    _name = f"{_function.__name__}_"
    composite(into=("torch",), name=_name)(getattr(methods, _name))


@composite(into=("torch",))
def threshold_(input: Any, threshold: float, value: float) -> Tensor:
    """In-place `threshold`."""
    return in_place(threshold_op, input, threshold, value)


@composite(into=("torch",))
def fill(input: Any, value: Any) -> Tensor:
    """A copy of `input` with every element set to `value`."""
    return input.clone().fill_(value)


@composite(into=("method",))
def igamma_(self: Any, other: Any) -> Tensor:
    """In-place `igamma`."""
    return self.copy_(ops.igamma(self, other))


@composite(into=("method",))
def igammac_(self: Any, other: Any) -> Tensor:
    """In-place `igammac`."""
    return self.copy_(ops.igammac(self, other))


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
