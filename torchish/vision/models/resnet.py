"""Residual networks: ResNet, ResNeXt and Wide ResNet.

Source: He et al., "Deep Residual Learning for Image Recognition" (2015), with the stride of a
bottleneck in its 3 x 3 convolution; Xie et al. (2016); Zagoruyko and Komodakis (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ... import nn
from ._build import expect, model, weights_enum

Norm = Callable[[int], nn.Module]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """3 x 3 without a bias, padded to keep the size."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """1 x 1 without a bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class _Block(nn.Module):
    """What the blocks share: convolutions, a norm after each, and how the input is added."""

    _relu_after = 1  # the convolution behind which the module `relu` stands

    def _build(
        self, convs: Iterable[nn.Conv2d], norm: Norm | None, downsample: Any, stride: int
    ) -> None:
        for i, conv in enumerate(convs, 1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", (norm or nn.BatchNorm2d)(conv.out_channels))
            if i == self._relu_after:
                self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride


class BasicBlock(_Block):
    """relu(x + norm(conv(relu(norm(conv(x))))))"""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        convs = (conv3x3(inplanes, planes, stride), conv3x3(planes, planes))
        self._build(convs, norm_layer, downsample, stride)

    def forward(self, x: Any) -> Any:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(_Block):
    """As BasicBlock, with a 3 x 3 convolution between two 1 x 1 ones that narrow and widen."""

    expansion = 4
    _relu_after = 3

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        width = int(planes * (base_width / 64.0)) * groups
        convs = (
            conv1x1(inplanes, width),
            conv3x3(width, width, stride, groups, dilation),
            conv1x1(width, planes * self.expansion),
        )
        self._build(convs, norm_layer, downsample, stride)

    def forward(self, x: Any) -> Any:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """A stem, four groups of blocks, an average over the image and a linear layer.

    Args:
        block: BasicBlock or Bottleneck.
        layers: blocks in each group.
        zero_init_residual: start every block as the identity.
        replace_stride_with_dilation: for the last three groups, keep the size and dilate instead.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: list[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: list[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(
                "replace_stride_with_dilation should be None "
                f"or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._initialize(zero_init_residual)

    def _initialize(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (Bottleneck, BasicBlock)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.constant_(last.weight, 0)

    def _make_layer(
        self,
        block: type[BasicBlock | Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        norm = self._norm_layer
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        width = planes * block.expansion
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(conv1x1(self.inplanes, width, stride), norm(width))
        shared: dict[str, Any] = {
            "groups": self.groups,
            "base_width": self.base_width,
            "norm_layer": norm,
        }
        first = block(self.inplanes, planes, stride, downsample, dilation=before, **shared)
        self.inplanes = width
        rest = [
            block(self.inplanes, planes, dilation=self.dilation, **shared) for _ in range(1, blocks)
        ]
        return nn.Sequential(first, *rest)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _resnet(name: str, enum: Any, block: Any, layers: list[int], **preset: Any) -> Any:
    def construct(**kwargs: Any) -> ResNet:
        for key, value in preset.items():
            expect(kwargs, key, value)
        return ResNet(block, layers, **kwargs)

    return model(name, construct, enum)


ResNet18_Weights = weights_enum("ResNet18_Weights")
ResNet34_Weights = weights_enum("ResNet34_Weights")
ResNet50_Weights = weights_enum("ResNet50_Weights")
ResNet101_Weights = weights_enum("ResNet101_Weights")
ResNet152_Weights = weights_enum("ResNet152_Weights")
ResNeXt50_32X4D_Weights = weights_enum("ResNeXt50_32X4D_Weights")
ResNeXt101_32X8D_Weights = weights_enum("ResNeXt101_32X8D_Weights")
ResNeXt101_64X4D_Weights = weights_enum("ResNeXt101_64X4D_Weights")
Wide_ResNet50_2_Weights = weights_enum("Wide_ResNet50_2_Weights")
Wide_ResNet101_2_Weights = weights_enum("Wide_ResNet101_2_Weights")
resnet18 = _resnet("resnet18", ResNet18_Weights, BasicBlock, [2, 2, 2, 2])
resnet34 = _resnet("resnet34", ResNet34_Weights, BasicBlock, [3, 4, 6, 3])
resnet50 = _resnet("resnet50", ResNet50_Weights, Bottleneck, [3, 4, 6, 3])
resnet101 = _resnet("resnet101", ResNet101_Weights, Bottleneck, [3, 4, 23, 3])
resnet152 = _resnet("resnet152", ResNet152_Weights, Bottleneck, [3, 8, 36, 3])
resnext50_32x4d = _resnet(
    "resnext50_32x4d",
    ResNeXt50_32X4D_Weights,
    Bottleneck,
    [3, 4, 6, 3],
    groups=32,
    width_per_group=4,
)
resnext101_32x8d = _resnet(
    "resnext101_32x8d",
    ResNeXt101_32X8D_Weights,
    Bottleneck,
    [3, 4, 23, 3],
    groups=32,
    width_per_group=8,
)
resnext101_64x4d = _resnet(
    "resnext101_64x4d",
    ResNeXt101_64X4D_Weights,
    Bottleneck,
    [3, 4, 23, 3],
    groups=64,
    width_per_group=4,
)
wide_resnet50_2 = _resnet(
    "wide_resnet50_2", Wide_ResNet50_2_Weights, Bottleneck, [3, 4, 6, 3], width_per_group=128
)
wide_resnet101_2 = _resnet(
    "wide_resnet101_2", Wide_ResNet101_2_Weights, Bottleneck, [3, 4, 23, 3], width_per_group=128
)
