"""Plain stacks of 3 x 3 convolutions.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (2014).
"""

from __future__ import annotations

from typing import Any

from torchish import nn

from ._weights import refuse_weights

# Channels of each convolution; "M" halves the size.
_STACKS: dict[int, list[int | str]] = {
    11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    16: [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    19: [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class VGG(nn.Module):
    """Convolutions, then three linear layers.

    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.constant_(module.bias, 0)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.constant_(module.weight, 1)
                    nn.init.constant_(module.bias, 0)
                elif isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, 0, 0.01)
                    nn.init.constant_(module.bias, 0)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def make_layers(stack: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions of a stack such as `[64, "M", 128]`."""
    layers: list[nn.Module] = []
    channels = 3
    for item in stack:
        if item == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        width = int(item)
        layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool = False):
    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"

    def build(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
        refuse_weights(name, weights, kwargs.pop("pretrained", None))
        return VGG(make_layers(_STACKS[depth], batch_norm), **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"A {name} with random weights; keyword arguments are those of VGG."
    return build


vgg11, vgg11_bn = _vgg(11), _vgg(11, True)
vgg13, vgg13_bn = _vgg(13), _vgg(13, True)
vgg16, vgg16_bn = _vgg(16), _vgg(16, True)
vgg19, vgg19_bn = _vgg(19), _vgg(19, True)
