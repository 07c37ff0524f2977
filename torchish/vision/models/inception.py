"""Inception v3.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2015).
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any, Optional

import torchish

from ... import nn
from ...nn import functional as F
from . import _inception_parts as parts
from ._build import Argument, load, published, weights_enum
from ._inception_parts import BasicConv2d, Layer

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
InceptionOutputs.__annotations__ = {
    "logits": torchish.Tensor,
    "aux_logits": Optional[torchish.Tensor],  # noqa: UP045
}
_InceptionOutputs = InceptionOutputs

_WIDE, _TALL = (
    {"kernel_size": (1, 7), "padding": (0, 3)},
    {"kernel_size": (7, 1), "padding": (3, 0)},
)
_SAME3 = {"kernel_size": 3, "padding": 1}
_HALVE3 = {"kernel_size": 3, "stride": 2}
_POINT = {"kernel_size": 1}


class _Block(nn.Module):
    """Branches that read the same input and are concatenated.

    `_chains` names the convolutions of each branch in their order; a tuple in a chain is a fork
    whose results are concatenated. `_pool` comes before the branch that is called branch_pool, or
    is a branch of its own.
    """

    _chains: tuple[tuple[Any, ...], ...] = ()

    def _add(self, conv_block: Layer | None, **convs: tuple[int, int, dict[str, Any]]) -> None:
        for name, (before, after, options) in convs.items():
            self.add_module(name, (conv_block or BasicConv2d)(before, after, **options))

    def _run(self, chain: tuple[Any, ...], x: Any) -> Any:
        for name in chain:
            if isinstance(name, tuple):
                x = torchish.cat([getattr(self, fork)(x) for fork in name], 1)
            else:
                x = getattr(self, name)(x)
        return x

    def _pool(self, x: Any) -> Any:
        return self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))

    def _forward(self, x: Any) -> list[Any]:
        return [*(self._run(chain, x) for chain in self._chains), self._pool(x)]

    def forward(self, x: Any) -> Any:
        return torchish.cat(self._forward(x), 1)


class _Halving(_Block):
    """A block that halves the size; its last branch only pools."""

    def _pool(self, x: Any) -> Any:
        return F.max_pool2d(x, kernel_size=3, stride=2)


class InceptionA(_Block):
    _chains = (
        ("branch1x1",),
        ("branch5x5_1", "branch5x5_2"),
        ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    )

    def __init__(
        self, in_channels: int, pool_features: int, conv_block: Layer | None = None
    ) -> None:
        super().__init__()
        self._add(
            conv_block,
            branch1x1=(in_channels, 64, _POINT),
            branch5x5_1=(in_channels, 48, _POINT),
            branch5x5_2=(48, 64, {"kernel_size": 5, "padding": 2}),
            branch3x3dbl_1=(in_channels, 64, _POINT),
            branch3x3dbl_2=(64, 96, _SAME3),
            branch3x3dbl_3=(96, 96, _SAME3),
            branch_pool=(in_channels, pool_features, _POINT),
        )


class InceptionB(_Halving):
    _chains = (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        self._add(
            conv_block,
            branch3x3=(in_channels, 384, _HALVE3),
            branch3x3dbl_1=(in_channels, 64, _POINT),
            branch3x3dbl_2=(64, 96, _SAME3),
            branch3x3dbl_3=(96, 96, _HALVE3),
        )


class InceptionC(_Block):
    _chains = (
        ("branch1x1",),
        ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
        tuple(f"branch7x7dbl_{i}" for i in range(1, 6)),
    )

    def __init__(
        self, in_channels: int, channels_7x7: int, conv_block: Layer | None = None
    ) -> None:
        super().__init__()
        c7 = channels_7x7
        self._add(
            conv_block,
            branch1x1=(in_channels, 192, _POINT),
            branch7x7_1=(in_channels, c7, _POINT),
            branch7x7_2=(c7, c7, _WIDE),
            branch7x7_3=(c7, 192, _TALL),
            branch7x7dbl_1=(in_channels, c7, _POINT),
            branch7x7dbl_2=(c7, c7, _TALL),
            branch7x7dbl_3=(c7, c7, _WIDE),
            branch7x7dbl_4=(c7, c7, _TALL),
            branch7x7dbl_5=(c7, 192, _WIDE),
            branch_pool=(in_channels, 192, _POINT),
        )


class InceptionD(_Halving):
    _chains = (
        ("branch3x3_1", "branch3x3_2"),
        tuple(f"branch7x7x3_{i}" for i in range(1, 5)),
    )

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        self._add(
            conv_block,
            branch3x3_1=(in_channels, 192, _POINT),
            branch3x3_2=(192, 320, _HALVE3),
            branch7x7x3_1=(in_channels, 192, _POINT),
            branch7x7x3_2=(192, 192, _WIDE),
            branch7x7x3_3=(192, 192, _TALL),
            branch7x7x3_4=(192, 192, _HALVE3),
        )


class InceptionE(_Block):
    _chains = (
        ("branch1x1",),
        ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
        ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
    )

    def __init__(self, in_channels: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        wide, tall = (
            {"kernel_size": (1, 3), "padding": (0, 1)},
            {"kernel_size": (3, 1), "padding": (1, 0)},
        )
        self._add(
            conv_block,
            branch1x1=(in_channels, 320, _POINT),
            branch3x3_1=(in_channels, 384, _POINT),
            branch3x3_2a=(384, 384, wide),
            branch3x3_2b=(384, 384, tall),
            branch3x3dbl_1=(in_channels, 448, _POINT),
            branch3x3dbl_2=(448, 384, _SAME3),
            branch3x3dbl_3a=(384, 384, wide),
            branch3x3dbl_3b=(384, 384, tall),
            branch_pool=(in_channels, 192, _POINT),
        )


class InceptionAux(nn.Module):
    """A second classifier, half way, that only training uses."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Layer | None = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.conv0 = conv_block(in_channels, 128, kernel_size=1)
        self.conv1 = conv_block(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: Any) -> Any:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(nn.Module):
    """Inception v3.

    Args:
        aux_logits: build the auxiliary classifier; in training the result is then
            `InceptionOutputs(logits, aux_logits)`.
        transform_input: accept images normalised as for ImageNet.
        inception_blocks: seven classes: the convolution, blocks A to E, the auxiliary classifier.
    Shape: (N, 3, H, W) to (N, num_classes), with H and W at least 75.
    """

    _body = (
        "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1",
        "Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b",
        "Mixed_6c", "Mixed_6d", "Mixed_6e",
    )  # fmt: skip
    _tail = ("Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool", "dropout")

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: list[Layer] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        blocks = inception_blocks or [
            BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux,
        ]  # fmt: skip
        init_weights = parts.decide_init(init_weights, "inception_v3")
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, a, b, c, d, e, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights:
            parts.initialize(self, lambda layer: float(getattr(layer, "stddev", 0.1)))

    def forward(self, x: Any) -> Any:
        if self.transform_input:
            x = parts.rescale(x)
        for name in self._body:
            x = getattr(self, name)(x)
        aux = self.AuxLogits(x) if self.training and self.AuxLogits is not None else None
        for name in self._tail:
            x = getattr(self, name)(x)
        return self.eager_outputs(self.fc(x.flatten(1)), aux)

    def eager_outputs(self, x: Any, aux: Any) -> Any:
        """The logits, in training with those of the auxiliary classifier."""
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


def _inception_v3(*, weights=None, progress: bool = True, **kwargs: Any) -> Inception3:
    if weights is None:
        return Inception3(**kwargs)
    keep = kwargs.get("aux_logits", True)
    parts.prepare(weights, kwargs)
    network = Inception3(**kwargs)
    load(network, weights, progress)
    if not keep:
        network.aux_logits = False
        network.AuxLogits = None
    return network


Inception_V3_Weights = weights_enum("Inception_V3_Weights")
inception_v3 = published(
    "inception_v3",
    _inception_v3,
    [Argument("weights", Inception_V3_Weights, "pretrained", Inception_V3_Weights.IMAGENET1K_V1)],
    __name__,
    "Inception v3; keyword arguments are those of Inception3.",
)
