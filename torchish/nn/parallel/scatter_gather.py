"""Splitting nested arguments over devices, and joining results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..._basics.devices import device
from ..._ops.registry import ops
from ..._tensor.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def as_device(place: Any) -> Any:
    """A device from an index (of a GPU), a name or a device."""
    return device("cuda", place) if isinstance(place, int) else device(place)


# torch's warning when scalars are joined.
SCALARS = (
    "Was asked to gather along dimension 0, but all input tensors were scalars; will instead "
    "unsqueeze and return a vector."
)


def is_namedtuple(obj: Any) -> bool:
    """Whether an object is an instance of a named tuple."""
    return isinstance(obj, tuple) and hasattr(obj, "_fields")


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """One copy of the nested structure for each device, tensors split along `dim`."""
    if isinstance(inputs, Tensor):
        chunks = ops.chunk(inputs, len(target_gpus), dim)
        return tuple(
            chunk.to(as_device(place)) for chunk, place in zip(chunks, target_gpus, strict=False)
        )
    if is_namedtuple(inputs):
        return [type(inputs)(*items) for items in _across(inputs, target_gpus, dim)]
    if isinstance(inputs, tuple) and inputs:
        return list(_across(inputs, target_gpus, dim))
    if isinstance(inputs, list) and inputs:
        return [list(items) for items in _across(inputs, target_gpus, dim)]
    if isinstance(inputs, dict) and inputs:
        return [type(inputs)(items) for items in _across(inputs.items(), target_gpus, dim)]
    return [inputs for _ in target_gpus]


def _across(items: Any, target_gpus: Sequence[Any], dim: int) -> Any:
    return zip(*(scatter(item, target_gpus, dim) for item in items), strict=False)


def scatter_kwargs(
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    target_gpus: Sequence[Any],
    dim: int = 0,
) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
    """Positional and keyword arguments for each device, both of the same number."""
    args = list(scatter(inputs, target_gpus, dim)) if inputs else []
    named = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    count = max(len(args), len(named))
    args.extend(() for _ in range(count - len(args)))
    named.extend({} for _ in range(count - len(named)))
    return tuple(args), tuple(named)


def gather(outputs: Any, target_device: Any, dim: int = 0) -> Any:
    """The devices' results as one, tensors joined along `dim`."""
    first = outputs[0]
    if isinstance(first, Tensor):
        place = as_device(target_device)
        parts = [out.to(place) for out in outputs]
        if first.dim() == 0:
            if dim == 0:
                warnings.warn(SCALARS, stacklevel=4)
            return ops.stack(parts, 0)
        return ops.cat(parts, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(first) != len(out) for out in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)(
            (k, gather([out[k] for out in outputs], target_device, dim)) for k in first
        )
    joined = [gather(list(items), target_device, dim) for items in zip(*outputs, strict=True)]
    return type(first)._make(joined) if is_namedtuple(first) else type(first)(joined)
