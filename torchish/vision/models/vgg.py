"""Plain stacks of 3 x 3 convolutions.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (2014).
"""

from __future__ import annotations

from typing import Any

from ... import nn
from ._build import expect_classes, model, weights_enum

# The letters are the paper's. Channels of each convolution; "M" halves the size.
cfgs: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "E": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}
_LETTERS = {"11": "A", "13": "B", "16": "D", "19": "E"}


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


def make_layers(cfg: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions of a stack such as `[64, "M", 128]`."""
    layers: list[nn.Module] = []
    channels = 3
    for item in cfg:
        if item == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        width = int(item)
        layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
        layers += [nn.BatchNorm2d(width)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


def _features_only(weights: Any, kwargs: dict[str, Any]) -> None:
    kwargs["init_weights"] = False
    if weights.meta["categories"] is not None:  # None where only the convolutions were trained
        expect_classes(weights, kwargs)


def _vgg(name: str, enum: Any) -> Any:
    stack, batch_norm = cfgs[_LETTERS[name[3:5]]], name.endswith("_bn")

    def construct(**kwargs: Any) -> VGG:
        return VGG(make_layers(stack, batch_norm), **kwargs)

    return model(name, construct, enum, prepare=_features_only)


VGG11_Weights = weights_enum("VGG11_Weights")
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights")
VGG13_Weights = weights_enum("VGG13_Weights")
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights")
VGG16_Weights = weights_enum("VGG16_Weights")
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights")
VGG19_Weights = weights_enum("VGG19_Weights")
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights")
vgg11 = _vgg("vgg11", VGG11_Weights)
vgg11_bn = _vgg("vgg11_bn", VGG11_BN_Weights)
vgg13 = _vgg("vgg13", VGG13_Weights)
vgg13_bn = _vgg("vgg13_bn", VGG13_BN_Weights)
vgg16 = _vgg("vgg16", VGG16_Weights)
vgg16_bn = _vgg("vgg16_bn", VGG16_BN_Weights)
vgg19 = _vgg("vgg19", VGG19_Weights)
vgg19_bn = _vgg("vgg19_bn", VGG19_BN_Weights)
