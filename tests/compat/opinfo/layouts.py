"""Strides of results for inputs that do not lie in memory row by row.

Every tensor of a sample that has enough dims is laid out anew: "channels_last" for 4-D and 5-D
ones, "transposed" (the last two dims swapped in memory), "reversed" (all dims), "strided" (every
second element of a wider one). Results are compared without being computed: strides are known when
an operator is recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .compare import is_tensor, leaves
from .convert import Missing, counterpart, to_torch, to_torchish

Relay = Callable[[torch.Tensor], "torch.Tensor | None"]


def _channels_last(x: torch.Tensor) -> torch.Tensor | None:
    if x.dim() not in (4, 5):
        return None
    name = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=name)


def _transposed(x: torch.Tensor) -> torch.Tensor | None:
    return x.mT.contiguous().mT if x.dim() > 1 else None


def _reversed(x: torch.Tensor) -> torch.Tensor | None:
    order = tuple(range(x.dim()))[::-1]
    return x.permute(order).contiguous().permute(order) if x.dim() > 2 else None


def _strided(x: torch.Tensor) -> torch.Tensor | None:
    if x.dim() == 0:
        return None
    wide = x.new_zeros((*x.shape[:-1], 2 * x.shape[-1]))
    wide[..., ::2] = x
    return wide[..., ::2]


RELAYS: dict[str, Relay] = {
    "channels_last": _channels_last,
    "transposed": _transposed,
    "reversed": _reversed,
    "strided": _strided,
}


def relaid(value: Any, relay: Relay, changed: list[bool]) -> Any:
    """A sample's argument with its tensors laid out anew."""
    if isinstance(value, torch.Tensor):
        found = None if value.layout is not torch.strided else relay(value.detach())
        if found is None or found.stride() == value.stride():
            return value
        changed.append(True)
        return found
    if type(value) in (list, tuple):
        return type(value)(relaid(v, relay, changed) for v in value)
    if type(value) is dict:
        return {k: relaid(v, relay, changed) for k, v in value.items()}
    return value


def layouts_of(results: Any) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shape and strides of each result."""
    return [(tuple(t.shape), tuple(t.stride())) for t in leaves(results) if is_tensor(t)]


def agree(ours: Any, theirs: Any) -> bool:
    """Whether the strides that tell elements apart are equal."""
    if len(ours) != len(theirs):
        return False
    return all(
        a[0] != b[0]  # shapes are compared elsewhere
        or 0 in a[0]
        or all(n == 1 or s == t for n, s, t in zip(a[0], a[1], b[1], strict=True))
        for a, b in zip(ours, theirs, strict=True)
    )


def differences(op: Any, dtype: torch.dtype, limit: int | None = 6) -> Iterator[str]:
    """One line for each sample and layout whose results have other strides than torch's."""
    samples = list(op.sample_inputs("cpu", dtype))
    samples.sort(key=lambda s: -(s.input.dim() if isinstance(s.input, torch.Tensor) else 0))
    step = 1 if limit is None else max(len(samples) / limit, 1)
    chosen = (
        samples
        if limit is None
        else [samples[int(k * step)] for k in range(int(len(samples) / step))]
    )
    for sample in chosen:
        for name, relay in RELAYS.items():
            changed: list[bool] = []
            arguments = relaid((sample.input, sample.args, sample.kwargs), relay, changed)
            if changed:
                line = compare(op, arguments)
                if line:
                    yield f"{name} {line}"


def compare(op: Any, arguments: Any) -> str | None:
    """Run one call in both libraries; a line if strides differ."""
    first, args, kwargs = arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.manual_seed(0)
            theirs = layouts_of(op.op(*to_torch((first, *args)), **to_torch(kwargs)))
        except Exception:
            return None  # torch has no such layout of it
        try:
            function = counterpart(op.op)
            ours = layouts_of(function(*to_torchish((first, *args)), **to_torchish(kwargs)))
        except Missing:
            return None
        except Exception as error:
            return f"{shown(arguments)}: {type(error).__name__}: {error}".split("\n")[0]
    if agree(ours, theirs):
        return None
    return f"{shown(arguments)}: {[s for _, s in ours]} instead of {[s for _, s in theirs]}"


def shown(arguments: Any) -> str:
    """A call's arguments in short."""
    found = []
    first, args, kwargs = arguments
    for value in (first, *args, *kwargs.items()):
        if isinstance(value, torch.Tensor):
            found.append(f"{tuple(value.shape)}/{value.stride()}")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
            found.append(str([f"{tuple(v.shape)}/{v.stride()}" for v in value]))
        else:
            found.append(str(value)[:40])
    return ", ".join(found)
