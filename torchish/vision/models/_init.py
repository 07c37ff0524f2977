"""Initial weights by the kind of layer: the rules that families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import nn

Rule = Callable[[Any], Any]


def initialize(model: nn.Module, rules: Mapping[Any, Rule], *, biases: bool = True) -> None:
    """Apply the rule of its class to the weight of each layer; biases become zero.

    Args:
        rules: class or tuple of classes to a function of the weight, the first that fits.
    """
    for module in model.modules():
        for kinds, rule in rules.items():
            if isinstance(module, kinds):
                rule(module.weight)
                if biases and module.bias is not None:
                    nn.init.zeros_(module.bias)
                break


NORMS = (nn.BatchNorm2d, nn.GroupNorm)


def kaiming_fan_out(weight: Any) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def normal(std: float) -> Rule:
    return lambda weight: nn.init.normal_(weight, 0.0, std)


def truncated(std: float) -> Rule:
    """Normal, cut at two standard deviations of 1 (torchvision's rule for transformers)."""
    return lambda weight: nn.init.trunc_normal_(weight, std=std)


# Of the networks whose convolutions feed rectifiers.
RECTIFIED = {nn.Conv2d: kaiming_fan_out, NORMS: nn.init.ones_}
