"""A module on several devices as one SPMD program.

The module's forward is run once for each size of slice, on replicas whose tensors are placeholders
(see `_parallel/replicas.py`); what it did becomes one kernel over the devices. A forward that looks
at values (`.item()`, `if x.sum() > 0`) cannot be one program for all replicas: such a module is
replicated and run device by device, as PyTorch does it.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any

from ..._autograd.capture import DataDependent, on_stand_ins
from ..._autograd.grad_mode import no_grad
from ..._autograd.tensor_base import from_values
from ..._basics.devices import resolve
from ..._core.values import aval_of
from ..._parallel.mapped import Result
from ..._parallel.nested import at_home, filled, map_tensors, outline, replaced, tensors_of
from ..._parallel.replicas import ReplicaCall
from ..._tensor.tensor import Tensor
from ..modules.module import Module
from .scatter_gather import SCALARS, as_device

__all__ = ["DataDependent", "Slices", "map_tensors", "parallel_forward", "tensors_of"]

_looks_at_values: weakref.WeakSet[Module] = weakref.WeakSet()


class Slices:
    """How the tensors of some arguments are cut over devices, by the rule of `torch.chunk`."""

    def __init__(self, tensors: Sequence[Tensor], devices: int, dim: int) -> None:
        self.dim = dim
        self.sizes = [self._sizes(t, devices) for t in tensors]
        self.count = min((len(s) for s in self.sizes), default=devices)
        self.sizes = [s[: self.count] for s in self.sizes]
        self.ragged = any(s[-1] != s[0] for s in self.sizes)

    def _sizes(self, tensor: Tensor, devices: int) -> list[int]:
        if tensor.dim() == 0:
            raise RuntimeError("chunk expects at least a 1-dimensional tensor")
        total = tensor.shape[self.dim]
        each = -(-total // devices)
        if each == 0:
            return [0] * devices
        return [min(each, total - start) for start in range(0, total, each)]

    @property
    def lanes(self) -> tuple[int, ...]:
        """How many devices get equal slices, and whether one more gets a shorter one."""
        return (self.count - 1, 1) if self.ragged else (self.count,)


def parallel_forward(
    module: Module, inputs: Any, kwargs: Any, device_ids: Sequence[Any], dim: int
) -> Any:
    """`module(*inputs, **kwargs)` over the devices, joined on the first; one SPMD program.

    Raises: DataDependent when the forward needs values.
    """
    places = [resolve(as_device(d)) for d in device_ids]
    if module in _looks_at_values or on_stand_ins(places[0]):
        raise DataDependent("known to look at values")
    tensors = tensors_of((inputs, kwargs))
    slices = Slices(tensors, len(places), dim)
    if slices.count < 2 or len(set(places)) < len(places):
        raise DataDependent("one device only")
    if inputs and kwargs and _count(inputs, places, dim) != _count(kwargs, places, dim):
        raise DataDependent("replicas get different arguments")
    work = _Work(module, slices, places)
    try:
        return work.run(inputs, kwargs, tensors)
    except DataDependent:
        _looks_at_values.add(module)
        raise


def _count(tree: Any, places: Sequence[Any], dim: int) -> int:
    return Slices(tensors_of(tree), len(places), dim).count


class _Work:
    """One call of a module over several devices."""

    def __init__(self, module: Module, slices: Slices, places: Sequence[Any]) -> None:
        self.module = module
        self.slices = slices
        self.home = places[0]
        name = type(module).__name__
        self.call = ReplicaCall(name, places[: slices.count], "replica", slices.lanes, _refused)
        self.width = len(slices.lanes)
        self.state: dict[Any, list[Any]] = {}  # parameter or buffer -> its stand-ins

    def run(self, inputs: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        parts = [self._slice(t, s) for t, s in zip(tensors, self.slices.sizes, strict=True)]
        outs = []
        for lane in range(self.width):
            args, named = replaced((inputs, kwargs), [p[lane] for p in parts])
            outs.append(self._forward(lane, args, named))
            del args, named
        del parts
        return self._leave(outs)

    def _slice(self, tensor: Tensor, sizes: list[int]) -> list[Any]:
        """The part of each lane of an argument."""
        dim = self.slices.dim % tensor.dim()
        if sum(sizes) < tensor.shape[dim]:
            tensor = tensor.narrow(dim, 0, sum(sizes))
        tensor = at_home(tensor, self.home)
        shape, dt = list(tensor.shape), tensor._aval.dtype
        wanted = sizes[:: len(sizes) - 1] if self.width == 2 else sizes[:1]
        avals = []
        for size in wanted:
            shape[dim] = size
            avals.append(aval_of(tuple(shape), dt))
        return self.call.take(tensor, "split", dim, avals)

    def _forward(self, lane: int, args: Any, named: Any) -> Any:
        position = self.call.positions[lane][0]
        with self.call.lane(lane):
            replica = self._replica(lane)
            try:
                return replica(*args, **named)
            except Exception as error:
                raise _named(error, f"in replica {position} on device {position}") from None

    def _replica(self, lane: int) -> Module:
        """A copy of the module whose parameters and buffers are this lane's stand-ins."""
        modules = list(self.module.modules())
        copies = {m: m._replicate_for_data_parallel() for m in modules}
        for module, copy in copies.items():
            for name, child in module._modules.items():
                copy._modules[name] = None if child is None else copies[child]
            for name, param in module._parameters.items():
                if param is None:
                    copy._parameters[name] = None
                else:
                    copy.__dict__[name] = self._stand_in(param, lane)
            for name, buffer in module._buffers.items():
                copy._buffers[name] = None if buffer is None else self._stand_in(buffer, lane)
        return copies[self.module]

    def _stand_in(self, tensor: Any, lane: int) -> Any:
        made = self.state.get(tensor)
        if made is None:
            avals = (tensor._aval,) * self.width
            # As in PyTorch, a parameter that no replica used gets zeros.
            made = self.state[tensor] = self.call.take(tensor, "shared", 0, avals, True)
        return made[lane]

    def _leave(self, outs: list[Any]) -> Any:
        """Join the replicas' results, and keep what the first replica wrote to its state."""
        leaves = [tensors_of(_checked(out)) for out in outs]
        if any(len(found) != len(leaves[0]) for found in leaves):
            raise DataDependent("replicas return different structures")
        results: list[Result] = []
        history: list[Any] = []
        dim = self.slices.dim
        for row in zip(*leaves, strict=True):
            kind = "joined" if row[0].dim() else "stacked"
            if kind == "stacked" and dim == 0:
                warnings.warn(SCALARS, stacklevel=5)
            at = dim % row[0].dim() if row[0].dim() else 0
            if kind == "joined" and row[-1].shape[at] > row[0].shape[at]:
                raise DataDependent("a shorter slice gives a longer result")
            values = []
            for lane, tensor in enumerate(row):
                with self.call.lane(lane):
                    values.append(tensor._value())
            results.append(Result(kind, at, values))
            history.append((kind, at, [t._edge() for t in row]))
            del row, tensor, values
        written = []
        for tensor, made in self.state.items():
            inside = made[0]
            if inside._storage.writes:
                with self.call.lane(0):
                    value = inside._value()
                results.append(Result("first", 0, [value, *[None] * (self.width - 1)]))
                written.append(tensor)
                del value
            del inside, made
        self.state.clear()
        template = outline(outs[0])
        del leaves
        outs.clear()
        values = self.call.emit(results)
        edges = self.call.link(history, values[: len(history)], "GatherBackward")
        self._keep(written, values[len(history) :])
        return filled(template, iter(from_values(values[: len(history)], edges)))

    def _keep(self, tensors: Sequence[Any], values: Sequence[Any]) -> None:
        """Writes of the first replica are writes to the module itself."""
        with no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor._write(value)
                tensor._version_counter.version += 1


def _checked(out: Any) -> Any:
    """A replica's result, if results of its kind can be joined.

    Raises: TypeError for anything but tensors, None and containers of them.
    """
    if isinstance(out, (tuple, list)):
        for item in out:
            _checked(item)
    elif isinstance(out, dict):
        for item in out.values():
            _checked(item)
    elif out is not None and not isinstance(out, Tensor):
        raise TypeError(f"'{type(out).__name__}' object is not iterable")
    return out


def _refused(name: str) -> BaseException:
    """Replicas that write to what they share run one by one."""
    return DataDependent(f"a replica writes in place ({name}) to a tensor that it was not given")


def _named(error: Exception, where: str) -> Exception:
    """The error with the replica in its text, of the same class where that takes a text."""
    import traceback

    text = "".join(traceback.format_exception(error))
    message = f"Caught {type(error).__name__} {where}.\nOriginal {text}"
    try:
        return type(error)(message)
    except TypeError:
        return RuntimeError(message)
