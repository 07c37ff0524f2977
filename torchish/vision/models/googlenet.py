"""GoogLeNet (Inception v1), with batch normalisation.

Source: Szegedy et al., "Going Deeper with Convolutions" (2014).
"""

from __future__ import annotations

import warnings
from collections import namedtuple
from typing import Any, Optional

import torchish

from ... import nn
from ...nn import functional as F
from . import _inception_parts as parts
from ._build import Argument, load, published, weights_enum
from ._inception_parts import BasicConv2d, Layer

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
GoogLeNetOutputs.__annotations__ = {
    "logits": torchish.Tensor,
    "aux_logits2": Optional[torchish.Tensor],  # noqa: UP045
    "aux_logits1": Optional[torchish.Tensor],  # noqa: UP045
}
_GoogLeNetOutputs = GoogLeNetOutputs


class Inception(nn.Module):
    """Four branches, concatenated: 1 x 1; 1 x 1 and 3 x 3, twice; pooling and 1 x 1."""

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Layer | None = None,
    ) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1),
            conv(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        # The paper's 5 x 5 branch; the published weights have 3 x 3 here.
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1),
            conv(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def _forward(self, x: Any) -> list[Any]:
        return [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]

    def forward(self, x: Any) -> Any:
        return torchish.cat(self._forward(x), 1)


class InceptionAux(nn.Module):
    """A classifier half way, that only training uses."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Layer | None = None,
        dropout: float = 0.7,
    ) -> None:
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Any) -> Any:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


# The widths of each block, in the order of Inception's arguments.
_BLOCKS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """GoogLeNet.

    Args:
        aux_logits: build the two auxiliary classifiers; in training the result is then
            `GoogLeNetOutputs(logits, aux_logits2, aux_logits1)`.
        transform_input: accept images normalised as for ImageNet.
        blocks: three classes: the convolution, the block, the auxiliary classifier.
    Shape: (N, 3, H, W) to (N, num_classes), with H and W at least 15.
    """

    __constants__ = ("aux_logits", "transform_input")

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: list[Layer] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        blocks = blocks or [BasicConv2d, Inception, InceptionAux]
        init_weights = parts.decide_init(init_weights, "GoogleNet")
        if len(blocks) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
        conv, block, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for label, widths in _BLOCKS.items():
            if label == "4a":
                self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            if label == "5a":
                self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
            self.add_module(f"inception{label}", block(*widths))
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            parts.initialize(self, lambda layer: 0.01)

    def _run(self, x: Any, *names: str) -> Any:
        for name in names:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Any) -> Any:
        if self.transform_input:
            x = parts.rescale(x)
        x = self._run(x, "conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a")
        x = self._run(x, "inception3b", "maxpool3", "inception4a")
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self._run(x, "inception4b", "inception4c", "inception4d")
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = self._run(x, "inception4e", "maxpool4", "inception5a", "inception5b", "avgpool")
        logits = self.fc(self.dropout(x.flatten(1)))
        return self.eager_outputs(logits, aux2, aux1)

    def eager_outputs(self, x: Any, aux2: Any, aux1: Any) -> Any:
        """The logits, in training with those of the auxiliary classifiers."""
        return GoogLeNetOutputs(x, aux2, aux1) if self.training and self.aux_logits else x


def _googlenet(*, weights=None, progress: bool = True, **kwargs: Any) -> GoogLeNet:
    if weights is None:
        return GoogLeNet(**kwargs)
    keep = kwargs.get("aux_logits", False)
    parts.prepare(weights, kwargs)
    network = GoogLeNet(**kwargs)
    load(network, weights, progress)
    if keep:
        warnings.warn(
            "auxiliary heads in the pretrained googlenet model are NOT pretrained, so make sure "
            "to train them",
            stacklevel=3,
        )
    else:
        network.aux_logits = False
        network.aux1 = network.aux2 = None
    return network


GoogLeNet_Weights = weights_enum("GoogLeNet_Weights")
googlenet = published(
    "googlenet",
    _googlenet,
    [Argument("weights", GoogLeNet_Weights, "pretrained", GoogLeNet_Weights.IMAGENET1K_V1)],
    __name__,
    "GoogLeNet; keyword arguments are those of GoogLeNet.",
)
