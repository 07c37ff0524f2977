"""`vmap`: a function runs once on one sample, and what it recorded is mapped by `jax.vmap`.

Invariant: writes inside reach what they were made to when the function ends, by whatever way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .._autograd import forward
from .._autograd.apply import commit
from .._autograd.capture import Rules
from .._autograd.grad_mode import grad_mode
from .._autograd.tensor_base import TensorBase, from_values
from .._basics.errors import not_supported
from .._basics.state import state
from .._core.values import Value
from .._parallel.mapped import Result
from .._parallel.samples import SampleCall
from ._custom import lowered

# In-place operators whose other operand is a tensor to torch even if it is a number.
ARITHMETIC = ("add", "div", "fmod", "mul", "remainder", "sub")
_CAPTURED = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor "
    "`other` in extra_args that has more elements than `self`. This happened due to `other` being "
    "vmapped over but `self` not being vmapped over in a vmap. Please try to use out-of-place "
    "operators instead of inplace arithmetic. If said operator is being called inside the PyTorch "
    "framework, please file a bug report instead."
)


class Writes(Rules):
    """What one call of a mapped function writes to tensors from outside.

    A captured tensor is written once, if what is written is the same for all samples; a mapped
    argument gets the values of all samples. Both happen when the function ends, by whatever way.
    """

    maps = rewrites = True

    def __init__(self, call: SampleCall) -> None:
        super().__init__()
        self.call = call
        self.arguments: list[tuple[Any, Any, int]] = []  # inside, outside, mapped dim
        self.captured: dict[int, Any] = {}

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        """Note a write to a captured tensor.

        Raises: RuntimeError for one that differs from sample to sample, or has a history.
        """
        storage = target._storage
        if not self.is_captured(target):
            return
        if self.call.varies(new):
            shape = list(new.aval.shape)
            raise RuntimeError(
                _CAPTURED
                if name not in ARITHMETIC
                else f"output with shape {shape} doesn't match the broadcast shape "
                f"{[self.call.size, *shape]}"
            )
        if step is not None:
            raise not_supported(
                "vmap: writing a value with history to a captured tensor", "returning the value"
            )
        self.captured[id(storage)] = storage

    def lowered(self, function: Any, args: Sequence[Any]) -> Any:
        """What the `vmap` rule of a custom function gives for one sample."""
        return lowered(self.call, self.arguments, function, args)

    def finish(self) -> None:
        """Make the writes outside what they were inside."""
        wanted, owners = [], []
        for storage in self.captured.values():
            wanted.append(Result("first", 0, [storage.value]))
            owners.append(storage.set)
        for inside, outside, dim in self.arguments:
            if inside._storage.writes:
                wanted.append(Result("stacked", dim, [inside._value()]))
                owners.append(functools.partial(_write_outside, outside))
        if wanted:
            for set_value, value in zip(owners, self.call.emit(wanted), strict=True):
                set_value(value)


def _write_outside(tensor: Any, value: Value) -> None:
    with grad_mode(False):
        commit(tensor, value, None)


class VariesError(Exception):
    """A result that should be the same for all samples is not."""


def map_tensors(
    function: Callable[[list[Any]], list[tuple[Any, int | None]]],
    inputs: Sequence[tuple[TensorBase, int]],
    size: int,
    randomness: str,
) -> list[Any]:
    """Run `function` on one sample of the inputs; returns its tensors for all samples.

    It returns (tensor, out_dim) pairs; out_dim None leaves a tensor that no sample varies as it is.
    """
    if state.forward is not None:
        return _map_duals(state.forward, function, inputs, size, randomness)
    return _map_plain(function, inputs, size, randomness)


def _map_duals(
    level: forward.Level | None,
    function: Callable[[list[Any]], list[tuple[Any, int | None]]],
    inputs: Sequence[tuple[TensorBase, int]],
    size: int,
    randomness: str,
) -> list[Any]:
    """`map_tensors` where tensors may have tangents, at `level` or outside of it."""
    if level is None:
        return _map_plain(function, inputs, size, randomness)
    given: list[tuple[Any, int]] = []
    paired = []
    for tensor, dim in inputs:
        primal, tangent = level.unpack(tensor)
        paired.append(tangent is not None)
        given += [(primal, dim), (tangent, dim)] if paired[-1] else [(tensor, dim)]
    kinds: list[bool] = []

    def inner(samples: list[Any]) -> list[tuple[Any, int | None]]:
        stream = iter(samples)
        found = function([level.make(next(stream), next(stream)) if p else next(stream)
                          for p in paired])  # fmt: skip
        outs: list[tuple[Any, int | None]] = []
        for tensor, place in found:
            primal, tangent = level.unpack(tensor)
            kinds.append(tangent is not None)
            outs += [(primal, place), (tangent, place)] if kinds[-1] else [(tensor, place)]
        return outs

    made = iter(_map_duals(level.outer, inner, given, size, randomness))
    return [level.make(next(made), next(made)) if k else next(made) for k in kinds]


def _map_plain(
    function: Callable[[list[Any]], list[tuple[Any, int | None]]],
    inputs: Sequence[tuple[TensorBase, int]],
    size: int,
    randomness: str,
) -> list[Any]:
    """`map_tensors` without a look at tangents."""
    call = SampleCall(inputs[0][0]._storage.device, size, randomness)
    grads = state.grad_enabled
    given = [(t._value(), dim, t._edge() if grads else None) for t, dim in inputs]
    writes = Writes(call)
    wanted, history = [], []
    try:
        with call.recording():
            samples = []
            for (value, dim, outer), (outside, _) in zip(given, inputs, strict=True):
                inside = call.part(value, dim, outer)
                writes.arguments.append((inside, outside, dim))
                if inside._grad_fn is not None and outside._requires_grad:
                    inside._grad_fn.stands_for_leaf = outside._grad_fn is None
                samples.append(inside)
            with writes.running():
                results = function(samples)
            for tensor, place in results:
                if place is None and call.varies(tensor._value()):
                    raise VariesError
                kind = "first" if place is None else "stacked"
                where = 0 if place is None else place % (tensor._aval.ndim + 1)
                wanted.append(Result(kind, where, [tensor._value()]))
                history.append((kind, where, [tensor._edge() if grads else None]))
    finally:
        writes.finish()
    values = call.emit(wanted)
    return from_values(values, call.link(history, values, "VmapBackward"))
