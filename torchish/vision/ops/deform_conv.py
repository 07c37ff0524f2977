"""Convolutions whose kernel reads displaced places.

Source: Dai et al., "Deformable Convolutional Networks" (2017); with a mask, Zhu et al. (2018).
"""

from __future__ import annotations

import math
from typing import Any

import torchish

from ... import nn
from ..._ops.registry import internal
from . import _kernels as _kernels  # registers the operators
from ._utils import pair

__all__ = ["DeformConv2d", "deform_conv2d"]

Pair = int | tuple[int, int]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RuntimeError(message)


def _check(
    input: Any, offset: Any, weight: Any, mask: Any, out: tuple[int, int], groups: int
) -> None:
    batch, channels = input.shape[:2]
    taps = weight.shape[2] * weight.shape[3]
    per = offset.shape[1] // (2 * taps)
    wanted = per * 2 * taps
    _require(
        offset.shape[1] == wanted,
        f"offset.shape[1] is not valid: got: {offset.shape[1]} expected: {wanted}",
    )
    _require(
        weight.shape[1] * groups == channels,
        "weight_c.size(1) * n_weight_grps == input_c.size(1)",
    )
    _require(weight.shape[0] % groups == 0, "weight_c.size(0) % n_weight_grps == 0")
    _require(channels % per == 0, "input_c.size(1) % n_offset_grps == 0")
    _require(offset.shape[0] == batch, "invalid batch size of offset")
    _require(
        tuple(offset.shape[2:]) == out,
        f"offset output dims: ({offset.shape[2]}, {offset.shape[3]}) - computed output dims: "
        f"({out[0]}, {out[1]})",
    )
    if mask is not None:
        _require(
            mask.shape[1] == per * taps,
            f"mask.shape[1] is not valid: got: {mask.shape[1]} expected: {per * taps}",
        )
        _require(mask.shape[0] == batch, "invalid batch size of mask")
        _require(
            tuple(mask.shape[2:]) == out,
            f"mask output dims: ({mask.shape[2]}, {mask.shape[3]}) - computed output dims: "
            f"({out[0]}, {out[1]})",
        )
    _require(min(out) > 0, f"Calculated output size too small - out_h: {out[0]} out_w: {out[1]}")


def deform_conv2d(
    input: Any,
    offset: Any,
    weight: Any,
    bias: Any = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    mask: Any = None,
) -> Any:
    """A convolution whose taps read bilinear samples at displaced places.

    y(p) = sum over taps k of w_k m_k(p) x(p + p_k + offset_k(p))

    Args:
        offset: (N, 2 * G * kh * kw, out_h, out_w), y before x; G groups of input channels share
            offsets.
        weight: (out_channels, in_channels / groups, kh, kw).
        mask: (N, G * kh * kw, out_h, out_w).
    Shape: (N, in_channels, H, W) to (N, out_channels, out_h, out_w).
    Raises: RuntimeError for shapes that do not fit.
    """
    strides, pads, gaps = pair(stride), pair(padding), pair(dilation)
    kernel = tuple(weight.shape[-2:])
    if offset.shape[1] // (2 * kernel[0] * kernel[1]) == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple "
            "of 2 * weight.size[2] * weight.size[3].\n"
            f"Got offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]="
            f"{2 * kernel[0] * kernel[1]}"
        )
    height, width = (
        (n + 2 * p - (d * (k - 1) + 1)) // s + 1
        for n, k, s, p, d in zip(input.shape[2:], kernel, strides, pads, gaps, strict=True)
    )
    _check(input, offset, weight, mask, (height, width), input.shape[1] // weight.shape[1])
    out = internal.vision_deform_conv2d(
        input, offset, weight, mask, strides, pads, gaps, (height, width)
    )
    return out if bias is None else out + bias.view(1, -1, 1, 1)


class DeformConv2d(nn.Module):
    """See `deform_conv2d`; offsets and mask are arguments of the call."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = pair(padding)
        self.dilation = pair(dilation)
        self.groups = groups
        self.weight = nn.Parameter(
            torchish.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        if bias:
            self.bias = nn.Parameter(torchish.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as Conv2d does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight.shape[1:].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any, offset: Any, mask: Any = None) -> Any:
        return deform_conv2d(
            input,
            offset,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            mask=mask,
        )

    def __repr__(self) -> str:
        parts = [f"{self.in_channels}", f"{self.out_channels}"]
        parts += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        for name, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        if self.bias is None:
            parts.append("bias=False")
        return f"{self.__class__.__name__}({', '.join(parts)})"
