"""Densely connected networks: every layer reads all layers before it in its block.

Source: Huang et al., "Densely Connected Convolutional Networks" (2016), DenseNet-BC.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import torchish

from ... import nn
from ...nn import functional as F
from ...utils.checkpoint import checkpoint
from ._build import model, weights_enum


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias, padded to keep the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class _DenseLayer(nn.Module):
    """norm, relu, 1 x 1 convolution; norm, relu, 3 x 3 convolution; dropout."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        width = bn_size * growth_rate
        for i, sizes in enumerate(((num_input_features, width, 1), (width, growth_rate, 3)), 1):
            self.add_module(f"norm{i}", nn.BatchNorm2d(sizes[0]))
            self.add_module(f"relu{i}", nn.ReLU(inplace=True))
            self.add_module(f"conv{i}", _conv(*sizes))
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def _narrow(self, *features: Any) -> Any:
        return self.conv1(self.relu1(self.norm1(torchish.cat(features, 1))))

    def forward(self, input: Any) -> Any:
        features = [input] if isinstance(input, torchish.Tensor) else list(input)
        if self.memory_efficient and any(f.requires_grad for f in features):
            narrow = checkpoint(self._narrow, *features, use_reentrant=False)
        else:
            narrow = self._narrow(*features)
        new = self.conv2(self.relu2(self.norm2(narrow)))
        return F.dropout(new, p=self.drop_rate, training=self.training) if self.drop_rate else new


class _DenseBlock(nn.ModuleDict):
    _version = 2

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            width = num_input_features + i * growth_rate
            layer = _DenseLayer(width, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features: Any) -> Any:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return torchish.cat(features, 1)


class _Transition(nn.Sequential):
    """Fewer channels and half the size, between two blocks."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm2d(num_input_features),
                relu=nn.ReLU(inplace=True),
                conv=_conv(num_input_features, num_output_features, 1),
                pool=nn.AvgPool2d(2),
            )
        )


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, and a linear layer.

    Args:
        growth_rate: channels that each layer adds.
        block_config: layers in each block.
        bn_size: width of a layer's 1 x 1 convolution, in growth rates.
        memory_efficient: work out the concatenations again in the backward pass.
    Shape: (N, 3, H, W) to (N, num_classes).
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, int, int, int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv0=_conv(3, num_init_features, 7, 2),
                norm0=nn.BatchNorm2d(num_init_features),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        width = num_init_features
        for i, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, width, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i}", block)
            width += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(width, width // 2))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, num_classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.constant_(module.bias, 0)

    def forward(self, x: Any) -> Any:
        features = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(features, (1, 1)).flatten(1))


# The published files still hold the layers' old names: "denselayer1.norm.1.weight".
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def _load(network: Any, weights: Any, progress: bool) -> None:
    state = weights.get_state_dict(progress=progress, check_hash=True)
    network.load_state_dict({_OLD_NAME.sub(r"\1\2", key): state[key] for key in state})


def _densenet(
    name: str, enum: Any, growth_rate: int, blocks: tuple[int, int, int, int], stem: int
) -> Any:
    def construct(**kwargs: Any) -> DenseNet:
        return DenseNet(growth_rate, blocks, stem, **kwargs)

    return model(name, construct, enum, fill=_load)


DenseNet121_Weights = weights_enum("DenseNet121_Weights")
DenseNet161_Weights = weights_enum("DenseNet161_Weights")
DenseNet169_Weights = weights_enum("DenseNet169_Weights")
DenseNet201_Weights = weights_enum("DenseNet201_Weights")
densenet121 = _densenet("densenet121", DenseNet121_Weights, 32, (6, 12, 24, 16), 64)
densenet161 = _densenet("densenet161", DenseNet161_Weights, 48, (6, 12, 36, 24), 96)
densenet169 = _densenet("densenet169", DenseNet169_Weights, 32, (6, 12, 32, 32), 64)
densenet201 = _densenet("densenet201", DenseNet201_Weights, 32, (6, 12, 48, 32), 64)
