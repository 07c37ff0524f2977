"""Gradients as communication hooks see them: flat buckets.

Invariant: a bucket's gradients are views of its buffer, in the order of its parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from .._ops.registry import ops
from .._tensor.tensor import Tensor
from ..futures import Future

_MIB = 1 << 20
_FIRST = 1.0  # MiB: what is ready first is sent early


class GradBucket:
    """A part of the gradients, handed to a communication hook.

    Source: https://pytorch.org/docs/stable/ddp_comm_hooks.html
    """

    __module__ = "torch.distributed"

    def __init__(self, index: int, parameters: Sequence[Tensor], is_last: bool) -> None:
        self._index = index
        self._parameters = list(parameters)
        self._is_last = is_last
        grads: list[Any] = [p.grad for p in parameters]
        self._buffer: Any = ops.cat([grad.reshape(-1) for grad in grads]).detach()

    def index(self) -> int:
        """The number of the bucket."""
        return self._index

    def buffer(self) -> Tensor:
        """All gradients as one 1-D tensor."""
        return self._buffer  # type: ignore[no-any-return]

    def gradients(self) -> list[Tensor]:
        """The gradient of each parameter, as views of the buffer."""
        found, start = [], 0
        for p in self._parameters:
            found.append(self._buffer[start : start + p.numel()].view(p.shape))
            start += p.numel()
        return found

    def parameters(self) -> list[Tensor]:
        """The parameters that the gradients are of."""
        return list(self._parameters)

    def is_last(self) -> bool:
        """Whether this is the last bucket of the backward pass."""
        return self._is_last

    def set_buffer(self, tensor: Tensor) -> None:
        """Replace the buffer."""
        self._buffer = tensor


def make_buckets(parameters: Sequence[Tensor], cap_mb: float) -> list[GradBucket]:
    """Buckets in the order in which gradients become ready: the last layer's first.

    The first one is small; the others hold `cap_mb` MiB each, and one dtype and device.
    """
    groups: list[list[Tensor]] = []
    open_groups: dict[Any, list[Tensor]] = {}
    limits: dict[Any, float] = {}
    for p in reversed(parameters):
        key = (p.dtype, p.device)
        group = open_groups.get(key)
        if group is None:
            group = open_groups[key] = []
            groups.append(group)
            limits.setdefault(key, min(_FIRST, cap_mb))
        group.append(p)
        if sum(t.numel() * t.element_size() for t in group) >= limits[key] * _MIB:
            del open_groups[key]
            limits[key] = cap_mb
    return [GradBucket(k, g, k == len(groups) - 1) for k, g in enumerate(groups)]


def write_back(bucket: GradBucket, future: Any) -> None:
    """Make what a hook's future gives the gradients of the bucket's parameters."""
    value = future.wait() if isinstance(future, Future) else future
    value = value[0] if isinstance(value, list | tuple) else value
    start = 0
    for p in bucket.parameters():
        part = value[start : start + p.numel()].view(p.shape)
        p.grad.copy_(part)  # type: ignore[union-attr]
        start += p.numel()


def check_hook(hook: Any) -> None:
    """Raise torch's errors for what is no communication hook."""
    if not callable(hook):
        raise TypeError("Communication hook must be callable.")
    bucket = list(inspect.signature(hook).parameters.values())[1:2]
    for parameter in bucket:
        note = parameter.annotation
        name = note if isinstance(note, str) else getattr(note, "__name__", "")
        free = note is inspect.Parameter.empty or name in ("Any", "object")
        if not free and not name.endswith("GradBucket"):
            raise ValueError("Communication hook: bucket annotation should be dist.GradBucket.")
