"""Small blocks that the models are built of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torchish

from ... import nn

__all__ = [
    "MLP",
    "Conv2dNormActivation",
    "Conv3dNormActivation",
    "ConvNormActivation",
    "FrozenBatchNorm2d",
    "Permute",
    "SqueezeExcitation",
]

Layer = Callable[..., nn.Module]
interpolate = nn.functional.interpolate


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics and affine parameters are constants (buffers)."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, fill in (
            ("weight", torchish.ones),
            ("bias", torchish.zeros),
            ("running_mean", torchish.zeros),
            ("running_var", torchish.ones),
        ):
            self.register_buffer(name, fill(num_features))

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        state_dict.pop(prefix + "num_batches_tracked", None)  # of the layer that was frozen
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, x: Any) -> Any:
        shape = (1, -1, 1, 1)
        scale = self.weight.reshape(shape) * (self.running_var.reshape(shape) + self.eps).rsqrt()
        return x * scale + (self.bias.reshape(shape) - self.running_mean.reshape(shape) * scale)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.weight.shape[0]}, eps={self.eps})"


def _same_padding(kernel_size: Any, dilation: Any) -> Any:
    """The padding that keeps the size at stride 1: one number, or one a dim."""
    if isinstance(kernel_size, int) and isinstance(dilation, int):
        return (kernel_size - 1) // 2 * dilation
    dims = len(kernel_size) if isinstance(kernel_size, Sequence) else len(dilation)
    kernel, spacing = (
        tuple(size) if isinstance(size, Sequence) else (size,) * dims
        for size in (kernel_size, dilation)
    )
    return tuple((k - 1) // 2 * d for k, d in zip(kernel, spacing, strict=True))


class ConvNormActivation(nn.Sequential):
    """A convolution, then a norm and an activation where they are given."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...] = 3,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | tuple[int, ...] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
        conv_layer: Layer = nn.Conv2d,
    ) -> None:
        if padding is None:
            padding = _same_padding(kernel_size, dilation)
            if not isinstance(padding, int):
                kernel_size, dilation = (
                    value if isinstance(value, Sequence) else (value,) * len(padding)
                    for value in (kernel_size, dilation)
                )
        layers = [
            conv_layer(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation=dilation,
                groups=groups,
                bias=norm_layer is None if bias is None else bias,
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**({} if inplace is None else {"inplace": inplace})))
        super().__init__(*layers)
        self.out_channels = out_channels
        if type(self) is ConvNormActivation:
            warnings.warn(
                "Don't use ConvNormActivation directly, please use Conv2dNormActivation and "
                "Conv3dNormActivation instead.",
                stacklevel=2,
            )


class Conv2dNormActivation(ConvNormActivation):
    """Conv2d, norm, activation.

    Args:
        padding: by default what keeps the size at stride 1.
        inplace: passed to the activation; None passes nothing.
        bias: by default only where there is no norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | tuple[int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer,
            activation_layer, dilation, inplace, bias, nn.Conv2d,
        )  # fmt: skip


class Conv3dNormActivation(ConvNormActivation):
    """As `Conv2dNormActivation` for videos."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int] = 3,
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm3d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | tuple[int, int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer,
            activation_layer, dilation, inplace, bias, nn.Conv3d,
        )  # fmt: skip


class SqueezeExcitation(nn.Module):
    """x times a weight a channel: sigma(fc2(delta(fc1(mean of x)))).

    Source: Hu et al., "Squeeze-and-Excitation Networks" (2017), equation 3.
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def _scale(self, input: Any) -> Any:
        squeezed = self.activation(self.fc1(self.avgpool(input)))
        return self.scale_activation(self.fc2(squeezed))

    def forward(self, input: Any) -> Any:
        return self._scale(input) * input


class MLP(nn.Sequential):
    """Linear layers with norms, activations and dropout between them, dropout at the end.

    Args:
        hidden_channels: the width of each layer's result; the last is the output's.
        inplace: passed to activations and dropout; None leaves their defaults.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: list[int],
        norm_layer: Layer | None = None,
        activation_layer: Layer | None = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        options = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        width = in_channels
        for position, wider in enumerate(hidden_channels, 1):
            layers.append(nn.Linear(width, wider, bias=bias))
            if position < len(hidden_channels):
                if norm_layer is not None:
                    layers.append(norm_layer(wider))
                layers.append(activation_layer(**options))  # type: ignore[misc]
            layers.append(nn.Dropout(dropout, **options))
            width = wider
        super().__init__(*layers)


class Permute(nn.Module):
    """A view of the input with its dims in another order."""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return torchish.permute(x, self.dims)
