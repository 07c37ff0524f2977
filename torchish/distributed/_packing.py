"""Tensors of one dtype as one flat array, for exchanges between processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._autograd.grad_mode import no_grad
from .._autograd.interop import host_array, wrap_host
from .._autograd.tensor_base import from_value
from .._basics.memo import Memo
from .._core.kernels import Kernel
from .._core.trace import record
from .._tensor.tensor import Tensor

_PACKS: Memo[Kernel] = Memo(256)
_SPLITS: Memo[Kernel] = Memo(256)


def pack(tensors: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """Tensors of one dtype as one flat array, made by the step's own program."""
    import jax.numpy as jnp

    avals = tuple(t._aval for t in tensors)

    def fn(*arrays: Any) -> tuple[Any]:
        return (jnp.concatenate([a.reshape(-1) for a in arrays]),)

    kernel = _PACKS.find(avals, lambda: Kernel("pack", fn, avals))
    (flat,) = record(kernel, [t._value() for t in tensors])
    return host_array(from_value(flat))


def unpack(flat: np.ndarray[Any, Any], tensors: Sequence[Tensor]) -> None:
    """Write the parts of a flat array into tensors; the cuts are part of the next program."""
    avals = tuple(t._aval for t in tensors)
    whole = wrap_host(np.array(flat), tensors[0].device)._value()

    def fn(x: Any) -> tuple[Any, ...]:
        outs, start = [], 0
        for aval in avals:
            outs.append(x[start : start + aval.numel].reshape(tuple(aval.shape)))
            start += aval.numel
        return tuple(outs)

    kernel = _SPLITS.find(avals, lambda: Kernel("split", fn, (whole.aval,), avals))
    with no_grad():
        for tensor, value in zip(tensors, record(kernel, [whole]), strict=True):
            tensor._write(value)
            tensor._version_counter.version += 1


def by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """The tensors in groups that can travel as one array."""
    groups: dict[Any, list[Tensor]] = {}
    for t in tensors:
        groups.setdefault((t.dtype, t.device), []).append(t)
    return list(groups.values())


def broadcast(group: Any, tensors: Sequence[Tensor], root: int = 0) -> None:
    """Make tensors those of one rank of a group of processes."""
    wire = group.wire
    wire.check()
    if wire.count == 1 or not tensors:
        return
    for part in by_dtype(tensors):
        flat = pack(part)
        job = wire.submit(lambda flat=flat: wire.broadcast(flat, root))
        unpack(wire.wait(job, "broadcast"), part)
