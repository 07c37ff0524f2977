"""Activation functions as modules."""

from __future__ import annotations

import warnings
from typing import Any

from ..._ops.registry import nnf, ops
from ..._tensor.tensor import Tensor
from .. import init as _init
from ..parameter import Parameter
from ._attention import MultiheadAttention
from .module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(Module):
    """Prints the named attributes, then `inplace` where it is true."""

    _shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        parts = [f"{name}={getattr(self, name)}" for name in self._shown]
        if getattr(self, "inplace", False):
            parts.append("inplace=True")
        return ", ".join(parts)


class _InPlace(_Activation):
    """An activation with no argument but `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class Threshold(_Activation):
    """`y = x if x > threshold else value`."""

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return nnf.threshold(input, self.threshold, self.value, self.inplace)


class ReLU(_InPlace):
    """`y = max(0, x)`.

    Example:
        >>> nn.ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return nnf.relu(input, inplace=self.inplace)


class RReLU(_Activation):
    """`y = max(0, x) + a min(0, x)`, `a` drawn from `U(lower, upper)` in training."""

    _shown = ("lower", "upper")

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return nnf.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(_Activation):
    """`y = min(max(x, min_val), max_val)`."""

    _shown: tuple[str, ...] = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        if min_value is not None:
            _warn_renamed("min_value", "min_val")
            min_val = min_value
        if max_value is not None:
            _warn_renamed("max_value", "max_val")
            max_val = max_value
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace
        if max_val <= min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")

    def forward(self, input: Tensor) -> Tensor:
        return nnf.hardtanh(input, self.min_val, self.max_val, self.inplace)


def _warn_renamed(old: str, new: str) -> None:
    warnings.warn(
        f"keyword argument `{old}` is deprecated and renamed to `{new}`",
        FutureWarning,
        stacklevel=3,
    )


class ReLU6(Hardtanh):
    """`y = min(max(0, x), 6)`."""

    _shown = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Sigmoid(Module):
    """`y = 1 / (1 + exp(-x))`."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.sigmoid(input)


class Hardsigmoid(_InPlace):
    """`y = min(max(x + 3, 0), 6) / 6`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Tanh(Module):
    """`y = tanh(x)`."""

    def forward(self, input: Tensor) -> Tensor:
        return ops.tanh(input)


class SiLU(_InPlace):
    """`y = x sigmoid(x)`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.silu(input, inplace=self.inplace)


class Mish(_InPlace):
    """`y = x tanh(softplus(x))`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.mish(input, inplace=self.inplace)


class Hardswish(_InPlace):
    """`y = x min(max(x + 3, 0), 6) / 6`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""  # torch prints no options here


class ELU(_Activation):
    """`y = x if x > 0 else alpha (exp(x) - 1)`."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return nnf.elu(input, self.alpha, self.inplace)


class CELU(_Activation):
    """`y = max(0, x) + min(0, alpha (exp(x / alpha) - 1))`."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return nnf.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """`y = scale (max(0, x) + min(0, alpha (exp(x) - 1)))`, which keeps mean and variance."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.selu(input, self.inplace)


class GLU(_Activation):
    """`y = a sigmoid(b)`, where `a` and `b` are the halves of the input along `dim`."""

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return nnf.glu(input, self.dim)


class GELU(Module):
    """`y = x Phi(x)`; `approximate='tanh'` replaces the normal distribution by a tanh."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return nnf.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Hardshrink(Module):
    """`y = x if |x| > lambd else 0`."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return nnf.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class LeakyReLU(_Activation):
    """`y = x if x > 0 else negative_slope x`."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return nnf.leaky_relu(input, self.negative_slope, self.inplace)


class LogSigmoid(Module):
    """`y = log(sigmoid(x))`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.logsigmoid(input)


class Softplus(_Activation):
    """`y = log(1 + exp(beta x)) / beta`; `y = x` where `beta x > threshold`."""

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return nnf.softplus(input, self.beta, self.threshold)


class Softshrink(Module):
    """`y = sign(x) max(|x| - lambd, 0)`."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return nnf.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class PReLU(_Activation):
    """`y = max(0, x) + weight min(0, x)`, the slope being learned, one or one per channel."""

    _shown = ("num_parameters",)

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(ops.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets every slope to `init`."""
        _init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return nnf.prelu(input, self.weight)


class Softsign(Module):
    """`y = x / (1 + |x|)`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.softsign(input)


class Tanhshrink(Module):
    """`y = x - tanh(x)`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.tanhshrink(input)


class _AlongDim(_Activation):
    """An activation over one dimension."""

    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("dim", None)


class Softmin(_AlongDim):
    """`y = exp(-x) / sum exp(-x)` along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.softmin(input, self.dim, _stacklevel=5)


class Softmax(_AlongDim):
    """`y = exp(x) / sum exp(x)` along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels of `(N, C, H, W)` or `(C, H, W)`."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead"
            )
        return nnf.softmax(input, -3, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """`y = x - log(sum exp(x))` along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.log_softmax(input, self.dim, _stacklevel=5)
