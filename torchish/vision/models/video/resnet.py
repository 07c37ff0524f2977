"""Residual networks for videos: R3D, MC3 and R(2+1)D.

Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .... import nn
from .._build import model, weights_enum
from .._init import initialize, kaiming_fan_out, normal


def _cube(stride: int) -> tuple[int, int, int]:
    return stride, stride, stride


class Conv3DSimple(nn.Conv3d):
    """3 x 3 x 3."""

    def __init__(
        self,
        in_planes: int,
        out_planes: int,
        midplanes: int | None = None,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__(in_planes, out_planes, (3, 3, 3), stride, padding, bias=False)

    get_downsample_stride = staticmethod(_cube)


class Conv2Plus1D(nn.Sequential):
    """1 x 3 x 3 to `midplanes`, then 3 x 1 x 1."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(
            nn.Conv3d(
                in_planes, midplanes, (1, 3, 3), (1, stride, stride), (0, padding, padding),
                bias=False,
            ),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(
                midplanes, out_planes, (3, 1, 1), (stride, 1, 1), (padding, 0, 0), bias=False
            ),
        )  # fmt: skip

    get_downsample_stride = staticmethod(_cube)


class Conv3DNoTemporal(nn.Conv3d):
    """1 x 3 x 3: each frame by itself."""

    def __init__(
        self,
        in_planes: int,
        out_planes: int,
        midplanes: int | None = None,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__(
            in_planes, out_planes, (1, 3, 3), (1, stride, stride), (0, padding, padding),
            bias=False,
        )  # fmt: skip

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        return 1, stride, stride


def _midplanes(before: int, after: int) -> int:
    """So that (2 + 1)D has as many parameters as 3 x 3 x 3."""
    return (before * after * 27) // (before * 9 + 3 * after)


class BasicBlock(nn.Module):
    """relu(x + two convolutions)"""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Any,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        middle = _midplanes(inplanes, planes)
        self.conv1 = nn.Sequential(
            conv_builder(inplanes, planes, middle, stride),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(conv_builder(planes, planes, middle), nn.BatchNorm3d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Any) -> Any:
        out = self.conv2(self.conv1(x))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """relu(x + three convolutions, the first and the last 1 x 1 x 1)"""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Any,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        middle, wide = _midplanes(inplanes, planes), planes * self.expansion
        self.conv1 = nn.Sequential(
            nn.Conv3d(inplanes, planes, kernel_size=1, bias=False),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            conv_builder(planes, planes, middle, stride),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
        )
        self.conv3 = nn.Sequential(
            nn.Conv3d(planes, wide, kernel_size=1, bias=False), nn.BatchNorm3d(wide)
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Any) -> Any:
        out = self.conv3(self.conv2(self.conv1(x)))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class BasicStem(nn.Sequential):
    """3 x 7 x 7 at half the size."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class R2Plus1dStem(nn.Sequential):
    """1 x 7 x 7 at half the size, then 3 x 1 x 1."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), (1, 1, 1), (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """A stem, four groups of blocks, an average and a linear layer.

    Args:
        conv_makers: the convolution of each group.
        zero_init_residual: start every bottleneck as the identity.
    Shape: (N, 3, T, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        conv_makers: Sequence[Any],
        layers: list[int],
        stem: Any,
        num_classes: int = 400,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        rows = zip(conv_makers, (64, 128, 256, 512), layers, (1, 2, 2, 2), strict=True)
        for i, (maker, planes, blocks, stride) in enumerate(rows, 1):
            self.add_module(f"layer{i}", self._make_layer(block, maker, planes, blocks, stride))
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        initialize(
            self,
            {
                nn.Conv3d: kaiming_fan_out,
                nn.BatchNorm3d: nn.init.ones_,
                nn.Linear: normal(0.01),
            },
        )
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, Bottleneck):
                    nn.init.constant_(module.conv3[1].weight, 0)

    def _make_layer(
        self,
        block: type[BasicBlock | Bottleneck],
        conv_builder: Any,
        planes: int,
        blocks: int,
        stride: int = 1,
    ) -> nn.Sequential:
        wide, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != wide:
            steps = conv_builder.get_downsample_stride(stride)
            downsample = nn.Sequential(
                nn.Conv3d(self.inplanes, wide, kernel_size=1, stride=steps, bias=False),
                nn.BatchNorm3d(wide),
            )
        first = block(self.inplanes, planes, conv_builder, stride, downsample)
        self.inplanes = wide
        rest = [block(wide, planes, conv_builder) for _ in range(1, blocks)]
        return nn.Sequential(first, *rest)

    def forward(self, x: Any) -> Any:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


def _resnet18(name: str, enum: Any, makers: list[Any], stem: Any) -> Any:
    def construct(**kwargs: Any) -> VideoResNet:
        return VideoResNet(BasicBlock, makers, [2, 2, 2, 2], stem, **kwargs)

    return model(name, construct, enum, legacy="KINETICS400_V1")


R3D_18_Weights = weights_enum("R3D_18_Weights")
MC3_18_Weights = weights_enum("MC3_18_Weights")
R2Plus1D_18_Weights = weights_enum("R2Plus1D_18_Weights")
r3d_18 = _resnet18("r3d_18", R3D_18_Weights, [Conv3DSimple] * 4, BasicStem)
mc3_18 = _resnet18("mc3_18", MC3_18_Weights, [Conv3DSimple] + [Conv3DNoTemporal] * 3, BasicStem)
r2plus1d_18 = _resnet18("r2plus1d_18", R2Plus1D_18_Weights, [Conv2Plus1D] * 4, R2Plus1dStem)
