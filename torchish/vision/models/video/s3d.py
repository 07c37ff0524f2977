"""S3D: Inception with separable convolutions in space and time.

Source: Xie et al., "Rethinking Spatiotemporal Feature Learning" (2017).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torchish

from .... import nn
from ...ops.misc import Conv3dNormActivation, Layer
from .._build import model, weights_enum


class TemporalSeparableConv(nn.Sequential):
    """A convolution of frames, then one in time."""

    def __init__(
        self,
        in_planes: int,
        out_planes: int,
        kernel_size: int,
        stride: int,
        padding: int,
        norm_layer: Layer,
    ) -> None:
        k, s, p = kernel_size, stride, padding
        conv = partial(Conv3dNormActivation, bias=False, norm_layer=norm_layer)
        super().__init__(
            conv(in_planes, out_planes, (1, k, k), (1, s, s), (0, p, p)),
            conv(out_planes, out_planes, (k, 1, 1), (s, 1, 1), (p, 0, 0)),
        )


class SepInceptionBlock3D(nn.Module):
    """Four branches, concatenated: 1; 1 and separable 3, twice; pooling and 1."""

    def __init__(
        self,
        in_planes: int,
        b0_out: int,
        b1_mid: int,
        b1_out: int,
        b2_mid: int,
        b2_out: int,
        b3_out: int,
        norm_layer: Layer,
    ) -> None:
        super().__init__()
        point = partial(Conv3dNormActivation, kernel_size=1, stride=1, norm_layer=norm_layer)
        cube = partial(
            TemporalSeparableConv, kernel_size=3, stride=1, padding=1, norm_layer=norm_layer
        )
        self.branch0 = point(in_planes, b0_out)
        self.branch1 = nn.Sequential(point(in_planes, b1_mid), cube(b1_mid, b1_out))
        self.branch2 = nn.Sequential(point(in_planes, b2_mid), cube(b2_mid, b2_out))
        self.branch3 = nn.Sequential(
            nn.MaxPool3d(kernel_size=(3, 3, 3), stride=1, padding=1), point(in_planes, b3_out)
        )

    def forward(self, x: Any) -> Any:
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torchish.cat([branch(x) for branch in branches], 1)


# The widths of each block; "HALF" and "SMALL" are the poolings between them.
_BODY: list[Any] = [
    (192, 64, 96, 128, 16, 32, 32),
    (256, 128, 128, 192, 32, 96, 64),
    "HALF",
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
    "SMALL",
    (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
]


def _block(row: tuple[int, int, int, int, int, int, int], norm: Layer) -> nn.Module:
    return SepInceptionBlock3D(*row, norm_layer=norm)


class S3D(nn.Module):
    """S3D.

    Shape: (N, 3, T, H, W) to (N, num_classes), with T at least 14, H and W at least 224.
    """

    def __init__(
        self, num_classes: int = 400, dropout: float = 0.2, norm_layer: Layer | None = None
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)
        frames: dict[str, Any] = {
            "kernel_size": (1, 3, 3),
            "stride": (1, 2, 2),
            "padding": (0, 1, 1),
        }
        pools: dict[str, dict[str, Any]] = {
            "HALF": {"kernel_size": (3, 3, 3), "stride": (2, 2, 2), "padding": (1, 1, 1)},
            "SMALL": {"kernel_size": (2, 2, 2), "stride": (2, 2, 2), "padding": (0, 0, 0)},
        }
        self.features = nn.Sequential(
            TemporalSeparableConv(3, 64, 7, 2, 3, norm),
            nn.MaxPool3d(**frames),
            Conv3dNormActivation(64, 64, kernel_size=1, stride=1, norm_layer=norm),
            TemporalSeparableConv(64, 192, 3, 1, 1, norm),
            nn.MaxPool3d(**frames),
            *(
                nn.MaxPool3d(**pools[row]) if isinstance(row, str) else _block(row, norm)
                for row in _BODY
            ),
        )
        self.avgpool = nn.AvgPool3d(kernel_size=(2, 7, 7), stride=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Conv3d(1024, num_classes, kernel_size=1, stride=1, bias=True)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x))).mean(dim=(2, 3, 4))


S3D_Weights = weights_enum("S3D_Weights")
s3d = model("s3d", S3D, S3D_Weights, legacy="KINETICS400_V1")
