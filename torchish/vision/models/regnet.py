"""RegNet: widths that follow a rounded line.

Source: Radosavovic et al., "Designing Network Design Spaces" (2020).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import nn
from ..ops.misc import Conv2dNormActivation, Layer, SqueezeExcitation
from ._build import make_divisible, model, weights_enum
from ._init import initialize, normal


class SimpleStemIN(Conv2dNormActivation):
    """3 x 3 convolution at stride 2, norm, activation."""

    def __init__(
        self, width_in: int, width_out: int, norm_layer: Layer, activation_layer: Layer
    ) -> None:
        super().__init__(
            width_in,
            width_out,
            kernel_size=3,
            stride=2,
            norm_layer=norm_layer,
            activation_layer=activation_layer,
        )


class BottleneckTransform(nn.Sequential):
    """1 x 1, grouped 3 x 3, channel weights where `se_ratio` is given, 1 x 1."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        width = round(width_out * bottleneck_multiplier)
        conv = partial(
            Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = conv(width_in, width, kernel_size=1, stride=1)
        layers["b"] = conv(width, width, kernel_size=3, stride=stride, groups=width // group_width)
        if se_ratio:
            squeezed = round(se_ratio * width_in)
            layers["se"] = SqueezeExcitation(width, squeezed, activation=activation_layer)
        layers["c"] = conv(width, width_out, kernel_size=1, stride=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """activation(x + f(x)); x is projected where its shape changes."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in,
                width_out,
                kernel_size=1,
                stride=stride,
                norm_layer=norm_layer,
                activation_layer=None,
            )
        self.f = BottleneckTransform(
            width_in, width_out, stride, norm_layer, activation_layer, group_width,
            bottleneck_multiplier, se_ratio,
        )  # fmt: skip
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Any) -> Any:
        kept = x if self.proj is None else self.proj(x)
        return self.activation(kept + self.f(x))


class AnyStage(nn.Sequential):
    """Blocks of one width; the first changes size and width."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: Layer,
        norm_layer: Layer,
        activation_layer: Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None = None,
        stage_index: int = 0,
    ) -> None:
        super().__init__()
        for i in range(depth):
            block = block_constructor(
                width_out if i else width_in, width_out, 1 if i else stride, norm_layer,
                activation_layer, group_width, bottleneck_multiplier, se_ratio,
            )  # fmt: skip
            self.add_module(f"block{stage_index}-{i}", block)


class BlockParams:
    """Depth, width, group width, bottleneck and stride of each stage."""

    def __init__(
        self,
        depths: list[int],
        widths: list[int],
        group_widths: list[int],
        bottleneck_multipliers: list[float],
        strides: list[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
        **kwargs: Any,
    ) -> BlockParams:
        """Stages of a network of `depth` blocks.

        u_j = w_0 + w_a j;  s_j = round(log(u_j / w_0) / log(w_m));  w_j = w_0 w_m^s_j, rounded
        to a multiple of 8. Blocks of equal width are a stage.

        Raises: ValueError for parameters outside the design space.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        line = np.arange(depth, dtype=np.float32) * np.float32(w_a) + np.float32(w_0)
        steps = np.round(np.log(line / np.float32(w_0)) / np.float32(math.log(w_m)))
        blocks = (np.round(w_0 * np.float32(w_m) ** steps / 8) * 8).astype(int).tolist()
        widths = list(dict.fromkeys(blocks))
        count = len(widths)
        multipliers = [bottleneck_multiplier] * count
        fitted, groups = cls._adjust_widths_groups_compatibilty(
            widths, multipliers, [group_width] * count
        )
        return cls(
            depths=[blocks.count(width) for width in widths],
            widths=fitted,
            group_widths=groups,
            bottleneck_multipliers=multipliers,
            strides=[2] * count,
            se_ratio=se_ratio,
        )

    def _get_expanded_params(self) -> Iterator[tuple[int, int, int, int, float]]:
        return zip(
            self.widths, self.strides, self.depths, self.group_widths,
            self.bottleneck_multipliers, strict=True,
        )  # fmt: skip

    @staticmethod
    def _adjust_widths_groups_compatibilty(
        stage_widths: list[int], bottleneck_ratios: list[float], group_widths: list[int]
    ) -> tuple[list[int], list[int]]:
        """Widths that the groups divide, and groups no wider than the bottleneck."""
        widths, groups = [], []
        for width, ratio, group in zip(stage_widths, bottleneck_ratios, group_widths, strict=True):
            inner = int(width * ratio)
            groups.append(min(group, inner))
            widths.append(int(make_divisible(inner, groups[-1]) / ratio))
        return widths, groups


class RegNet(nn.Module):
    """RegNet.

    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Layer | None = None,
        block_type: Layer | None = None,
        norm_layer: Layer | None = None,
        activation: Layer | None = None,
    ) -> None:
        super().__init__()
        norm, act = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        block = block_type or ResBottleneckBlock
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm, act)
        width = stem_width
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for i, row in enumerate(block_params._get_expanded_params(), 1):
            wider, stride, depth, group, multiplier = row
            stages[f"block{i}"] = AnyStage(
                width, wider, stride, depth, block, norm, act, group, multiplier,
                block_params.se_ratio, stage_index=i,
            )  # fmt: skip
            width = wider
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(in_features=width, out_features=num_classes)
        for module in self.modules():
            # Unlike kaiming_normal_'s fan-out this one ignores the groups, as torchvision's does.
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))
            elif isinstance(module, nn.Linear):
                initialize(module, {nn.Linear: normal(0.01)})

    def forward(self, x: Any) -> Any:
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(1))


def _regnet(
    name: str, enum: Any, depth: int, w_0: int, w_a: float, w_m: float, group: int, **old: Any
) -> Any:
    se_ratio = 0.25 if name.startswith("regnet_y") else None

    def construct(**kwargs: Any) -> RegNet:
        params = BlockParams.from_init_params(
            depth,
            w_0,
            w_a,
            w_m,
            group,
            **{**kwargs, **({"se_ratio": se_ratio} if se_ratio else {})},
        )
        norm = kwargs.pop("norm_layer", partial(nn.BatchNorm2d, eps=1e-05, momentum=0.1))
        return RegNet(params, norm_layer=norm, **kwargs)

    return model(name, construct, enum, **old)


RegNet_Y_400MF_Weights = weights_enum("RegNet_Y_400MF_Weights")
RegNet_Y_800MF_Weights = weights_enum("RegNet_Y_800MF_Weights")
RegNet_Y_1_6GF_Weights = weights_enum("RegNet_Y_1_6GF_Weights")
RegNet_Y_3_2GF_Weights = weights_enum("RegNet_Y_3_2GF_Weights")
RegNet_Y_8GF_Weights = weights_enum("RegNet_Y_8GF_Weights")
RegNet_Y_16GF_Weights = weights_enum("RegNet_Y_16GF_Weights")
RegNet_Y_32GF_Weights = weights_enum("RegNet_Y_32GF_Weights")
RegNet_Y_128GF_Weights = weights_enum("RegNet_Y_128GF_Weights")
RegNet_X_400MF_Weights = weights_enum("RegNet_X_400MF_Weights")
RegNet_X_800MF_Weights = weights_enum("RegNet_X_800MF_Weights")
RegNet_X_1_6GF_Weights = weights_enum("RegNet_X_1_6GF_Weights")
RegNet_X_3_2GF_Weights = weights_enum("RegNet_X_3_2GF_Weights")
RegNet_X_8GF_Weights = weights_enum("RegNet_X_8GF_Weights")
RegNet_X_16GF_Weights = weights_enum("RegNet_X_16GF_Weights")
RegNet_X_32GF_Weights = weights_enum("RegNet_X_32GF_Weights")
regnet_y_400mf = _regnet("regnet_y_400mf", RegNet_Y_400MF_Weights, 16, 48, 27.89, 2.09, 8)
regnet_y_800mf = _regnet("regnet_y_800mf", RegNet_Y_800MF_Weights, 14, 56, 38.84, 2.4, 16)
regnet_y_1_6gf = _regnet("regnet_y_1_6gf", RegNet_Y_1_6GF_Weights, 27, 48, 20.71, 2.65, 24)
regnet_y_3_2gf = _regnet("regnet_y_3_2gf", RegNet_Y_3_2GF_Weights, 21, 80, 42.63, 2.66, 24)
regnet_y_8gf = _regnet("regnet_y_8gf", RegNet_Y_8GF_Weights, 17, 192, 76.82, 2.19, 56)
regnet_y_16gf = _regnet("regnet_y_16gf", RegNet_Y_16GF_Weights, 18, 200, 106.23, 2.48, 112)
regnet_y_32gf = _regnet("regnet_y_32gf", RegNet_Y_32GF_Weights, 20, 232, 115.89, 2.53, 232)
regnet_y_128gf = _regnet(
    "regnet_y_128gf", RegNet_Y_128GF_Weights, 27, 456, 160.83, 2.52, 264, legacy=None
)
regnet_x_400mf = _regnet("regnet_x_400mf", RegNet_X_400MF_Weights, 22, 24, 24.48, 2.54, 16)
regnet_x_800mf = _regnet("regnet_x_800mf", RegNet_X_800MF_Weights, 16, 56, 35.73, 2.28, 16)
regnet_x_1_6gf = _regnet("regnet_x_1_6gf", RegNet_X_1_6GF_Weights, 18, 80, 34.01, 2.25, 24)
regnet_x_3_2gf = _regnet("regnet_x_3_2gf", RegNet_X_3_2GF_Weights, 25, 88, 26.31, 2.25, 48)
regnet_x_8gf = _regnet("regnet_x_8gf", RegNet_X_8GF_Weights, 23, 80, 49.56, 2.88, 120)
regnet_x_16gf = _regnet("regnet_x_16gf", RegNet_X_16GF_Weights, 22, 216, 55.59, 2.1, 128)
regnet_x_32gf = _regnet("regnet_x_32gf", RegNet_X_32GF_Weights, 23, 320, 69.86, 2.0, 168)
