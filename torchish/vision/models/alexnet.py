"""AlexNet in one tower.

Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014).
"""

from __future__ import annotations

from typing import Any

from ... import nn
from ._build import model, weights_enum

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]


# Of each convolution: widths before and after, kernel, stride, padding; whether a pool follows.
_LAYERS = (
    (3, 64, 11, 4, 2, True),
    (64, 192, 5, 1, 2, True),
    (192, 384, 3, 1, 1, False),
    (384, 256, 3, 1, 1, False),
    (256, 256, 3, 1, 1, True),
)


class AlexNet(nn.Module):
    """Five convolutions, then three linear layers.

    Shape: (N, 3, H, W) to (N, num_classes), with H and W at least 63.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, kernel, stride, padding, pooled in _LAYERS:
            layers += [nn.Conv2d(before, after, kernel, stride, padding), nn.ReLU(inplace=True)]
            if pooled:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


AlexNet_Weights = weights_enum("AlexNet_Weights")
alexnet = model("alexnet", AlexNet, AlexNet_Weights)
