"""Pooling."""

from __future__ import annotations

from typing import Any

from ..._ops.registry import nnf
from ..._tensor.tensor import Tensor
from .module import Module
from .utils import _ntuple, _single

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPoolNd(Module):
    """The largest element of each window.

    Args:
        kernel_size, padding, dilation: a number, or one for each dimension.
        stride: distance of windows; the kernel size if None.
        return_indices: also give the flat positions, for `MaxUnpool`.
        ceil_mode: keep the last, incomplete window.

    Shape: `(N, C, *L)` or `(C, *L)`.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """

    _dims: int

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return getattr(nnf, f"max_pool{self._dims}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """Max pooling of `(N, C, L)`."""

    __doc__ = _MaxPoolNd.__doc__
    _dims = 1


class MaxPool2d(_MaxPoolNd):
    """Max pooling of `(N, C, H, W)`."""

    __doc__ = _MaxPoolNd.__doc__
    _dims = 2


class MaxPool3d(_MaxPoolNd):
    """Max pooling of `(N, C, D, H, W)`."""

    __doc__ = _MaxPoolNd.__doc__
    _dims = 3


class _MaxUnpoolNd(Module):
    """Puts elements back where max pooling took them from, zeros elsewhere.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
    """

    _dims: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        parse = _ntuple(self._dims)
        self.kernel_size = parse(kernel_size)
        self.stride = parse(stride if stride is not None else kernel_size)
        self.padding = parse(padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return getattr(nnf, f"max_unpool{self._dims}d")(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Inverse of `MaxPool1d`."""

    _dims = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """Inverse of `MaxPool2d`."""

    _dims = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """Inverse of `MaxPool3d`."""

    _dims = 3


class _AvgPoolNd(Module):
    """The mean of each window.

    Args:
        kernel_size, padding: a number, or one for each dimension.
        stride: distance of windows; the kernel size if None.
        ceil_mode: keep the last, incomplete window.
        count_include_pad: count padding zeros in the mean.
        divisor_override: divide by this instead of the window's size.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """Average pooling of `(N, C, L)`."""

    __doc__ = _AvgPoolNd.__doc__

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(stride if stride is not None else kernel_size)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return nnf.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class _AvgPool2dOr3d(_AvgPoolNd):
    _dims: int

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return getattr(nnf, f"avg_pool{self._dims}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_AvgPool2dOr3d):
    """Average pooling of `(N, C, H, W)`."""

    __doc__ = _AvgPoolNd.__doc__
    _dims = 2


class AvgPool3d(_AvgPool2dOr3d):
    """Average pooling of `(N, C, D, H, W)`."""

    __doc__ = _AvgPoolNd.__doc__
    _dims = 3

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding", 0)
        self.__dict__.setdefault("ceil_mode", False)
        self.__dict__.setdefault("count_include_pad", True)


class _FractionalMaxPoolNd(Module):
    """Max pooling over windows whose positions are drawn at random.

    Args:
        kernel_size: a number, or one for each dimension.
        output_size: size of the result; or
        output_ratio: its fraction of the input's size.
        return_indices: also give the flat positions.

    Source: Graham, 2014.
    """

    _dims: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        parse = _ntuple(self._dims)
        if self._dims == 3 and any(k <= 0 for k in parse(kernel_size)):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.kernel_size = parse(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = parse(output_size) if output_size is not None else None
        self.output_ratio = parse(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return getattr(nnf, f"fractional_max_pool{self._dims}d")(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Fractional max pooling of `(N, C, H, W)`."""

    __doc__ = _FractionalMaxPoolNd.__doc__
    _dims = 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Fractional max pooling of `(N, C, D, H, W)`."""

    __doc__ = _FractionalMaxPoolNd.__doc__
    _dims = 3


class _LPPoolNd(Module):
    """`(sum of x^norm_type over the window)^(1 / norm_type)`.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
    """

    _dims: int

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return getattr(nnf, f"lp_pool{self._dims}d")(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """Power-average pooling of `(N, C, L)`."""

    _dims = 1


class LPPool2d(_LPPoolNd):
    """Power-average pooling of `(N, C, H, W)`."""

    _dims = 2


class LPPool3d(_LPPoolNd):
    """Power-average pooling of `(N, C, D, H, W)`."""

    _dims = 3


class _AdaptiveMaxPoolNd(Module):
    """Max pooling to a given `output_size` (None keeps a dimension's size).

    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
    """

    _dims: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        pool = getattr(nnf, f"adaptive_max_pool{self._dims}d")
        return pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Adaptive max pooling of `(N, C, L)`."""

    _dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Adaptive max pooling of `(N, C, H, W)`."""

    _dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Adaptive max pooling of `(N, C, D, H, W)`."""

    _dims = 3


class _AdaptiveAvgPoolNd(Module):
    """Average pooling to a given `output_size` (None keeps a dimension's size).

    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """

    _dims: int

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return getattr(nnf, f"adaptive_avg_pool{self._dims}d")(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Adaptive average pooling of `(N, C, L)`."""

    _dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Adaptive average pooling of `(N, C, H, W)`."""

    _dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Adaptive average pooling of `(N, C, D, H, W)`."""

    _dims = 3
