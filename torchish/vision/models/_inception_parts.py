"""What Inception v1 and v3 share: the convolution, the change of the input's scale, the weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torchish

from ... import nn
from ...nn import functional as F
from ._build import Kwargs, expect, expect_classes

Layer = Callable[..., nn.Module]
# (scale, shift) of each channel: from ImageNet's mean and deviation to (x - 0.5) / 0.5.
_RESCALE = [
    (0.229 / 0.5, (0.485 - 0.5) / 0.5),
    (0.224 / 0.5, (0.456 - 0.5) / 0.5),
    (0.225 / 0.5, (0.406 - 0.5) / 0.5),
]


class BasicConv2d(nn.Module):
    """relu(norm(conv(x)))"""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def rescale(x: Any) -> Any:
    """An image normalised as for ImageNet, normalised to [-1, 1] instead."""
    parts = [x[:, i].unsqueeze(1) * scale + shift for i, (scale, shift) in enumerate(_RESCALE)]
    return torchish.cat(parts, 1)


def decide_init(init_weights: bool | None, name: str) -> bool:
    """Whether to draw the paper's initial weights; None does so, with torchvision's warning."""
    if init_weights is None:
        warnings.warn(
            f"The default weight initialization of {name} will be changed in future releases of "
            "torchvision. If you wish to keep the old behavior (which leads to long "
            "initialization times due to scipy/scipy#11299), please set init_weights=True.",
            FutureWarning,
            stacklevel=3,
        )
    return init_weights is None or init_weights


def initialize(model: nn.Module, std: Callable[[nn.Module], float]) -> None:
    """Truncated normal weights, their deviation a function of the layer."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(module.weight, mean=0.0, std=std(module), a=-2, b=2)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 1)
            nn.init.constant_(module.bias, 0)


def prepare(weights: Any, kwargs: Kwargs) -> None:
    """The arguments of a network that is filled from a file, which has the auxiliary heads."""
    kwargs.setdefault("transform_input", True)
    expect(kwargs, "aux_logits", True)
    expect(kwargs, "init_weights", False)
    expect_classes(weights, kwargs)
