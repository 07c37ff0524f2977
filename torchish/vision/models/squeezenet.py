"""SqueezeNet: AlexNet's accuracy with few parameters.

Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016).
"""

from __future__ import annotations

from typing import Any

import torchish

from ... import nn
from ._build import model, weights_enum

# The stem's width and kernel, then the width of each fire block's squeezing and of each half of
# its result; "M" halves the size.
_VERSIONS: dict[str, tuple[int, int, list[Any]]] = {
    "1_0": (
        96, 7,
        ["M", (16, 64), (16, 64), (32, 128), "M", (32, 128), (48, 192), (48, 192), (64, 256), "M",
         (64, 256)],
    ),
    "1_1": (
        64, 3,
        ["M", (16, 64), (16, 64), "M", (32, 128), (32, 128), "M", (48, 192), (48, 192), (64, 256),
         (64, 256)],
    ),
}  # fmt: skip


class Fire(nn.Module):
    """A 1 x 1 convolution to few channels, then 1 x 1 and 3 x 3 ones side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        for name, width, planes, kernel in (
            ("squeeze", inplanes, squeeze_planes, 1),
            ("expand1x1", squeeze_planes, expand1x1_planes, 1),
            ("expand3x3", squeeze_planes, expand3x3_planes, 3),
        ):
            self.add_module(name, nn.Conv2d(width, planes, kernel, padding=kernel // 2))
            self.add_module(f"{name}_activation", nn.ReLU(inplace=True))

    def forward(self, x: Any) -> Any:
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        return torchish.cat([narrow, self.expand3x3_activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 or 1.1.

    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.num_classes = num_classes
        if version not in _VERSIONS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        width, kernel, items = _VERSIONS[version]
        layers = [nn.Conv2d(3, width, kernel_size=kernel, stride=2), nn.ReLU(inplace=True)]
        for item in items:
            if item == "M":
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
                continue
            squeezed, half = item
            layers.append(Fire(width, squeezed, half, half))
            width = 2 * half
        self.features = nn.Sequential(*layers)
        final_conv = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), final_conv, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is final_conv:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.constant_(module.bias, 0)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x)).flatten(1)


def _squeezenet(name: str, enum: Any, version: str) -> Any:
    return model(name, lambda **kwargs: SqueezeNet(version, **kwargs), enum)


SqueezeNet1_0_Weights = weights_enum("SqueezeNet1_0_Weights")
SqueezeNet1_1_Weights = weights_enum("SqueezeNet1_1_Weights")
squeezenet1_0 = _squeezenet("squeezenet1_0", SqueezeNet1_0_Weights, "1_0")
squeezenet1_1 = _squeezenet("squeezenet1_1", SqueezeNet1_1_Weights, "1_1")
