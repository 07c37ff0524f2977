"""Copies of a module on several devices, and calling them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..modules.module import Module
from .scatter_gather import as_device

__all__ = ["parallel_apply", "replicate"]


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """One replica for each device; gradients flow back to the original's parameters."""
    modules = list(network.modules())
    index = {module: k for k, module in enumerate(modules)}
    replicas = []
    for place in map(as_device, devices):
        copies = [module._replicate_for_data_parallel() for module in modules]
        moved: dict[Any, Any] = {}
        for module, copy in zip(modules, copies, strict=True):
            for name, child in module._modules.items():
                copy._modules[name] = None if child is None else copies[index[child]]
            for name, param in module._parameters.items():
                if param is None:
                    copy._parameters[name] = None
                    continue
                if param not in moved:
                    source = param.detach() if detach else param
                    # on the first device too a new tensor: replicas hold no leaves
                    moved[param] = (
                        source.to(place) if place != param.device else source.view_as(param)
                    )
                copy.__dict__[name] = moved[param]
            for name, buffer in module._buffers.items():
                # the first device's replica shares the buffers, so that statistics are kept
                copy._buffers[name] = None if buffer is None else buffer.to(place)
        replicas.append(copies[0])
    return replicas


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Any]:
    """Calls each module with its arguments; the devices' programs run side by side."""
    if len(modules) != len(inputs):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    named = kwargs_tup if kwargs_tup is not None else [{}] * len(modules)
    return [
        module(*(args if isinstance(args, (list, tuple)) else (args,)), **kwargs)
        for module, args, kwargs in zip(modules, inputs, named, strict=True)
    ]
