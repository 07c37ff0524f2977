"""Helpers under the names that scripts import from `torchvision.models._utils`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ... import nn
from ._build import (
    expect as _ovewrite_named_param,
    expected as _ovewrite_value_param,
    make_divisible as _make_divisible,
)

__all__ = [
    "IntermediateLayerGetter",
    "_make_divisible",
    "_ovewrite_named_param",
    "_ovewrite_value_param",
]


class IntermediateLayerGetter(nn.ModuleDict):
    """The first layers of a model, giving what some of them compute.

    The layers must be direct children that run in the order of their registration.

    Args:
        return_layers: the names of layers whose results are wanted, each with its name in the
            result.
    Raises: ValueError for a name that is no direct child.
    """

    _version = 2
    __annotations__ = {"return_layers": dict[str, str]}

    def __init__(self, model: nn.Module, return_layers: dict[str, str]) -> None:
        children = dict(model.named_children())
        if not set(return_layers) <= set(children):
            raise ValueError("return_layers are not present in model")
        wanted = {str(name) for name in return_layers}
        kept: OrderedDict[str, nn.Module] = OrderedDict()
        for name, module in children.items():
            kept[name] = module
            wanted.discard(name)
            if not wanted:
                break
        super().__init__(kept)
        self.return_layers = return_layers

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        found: OrderedDict[str, Any] = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found
