"""Custom functions that say themselves how they map over samples (their `vmap`).

Invariant: the rule runs outside of the sample, on tensors of all samples that have their histories
there; one sample gets its part of what the rule gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._autograd.forward import dual_level
from .._autograd.tensor_base import TensorBase, from_values
from .._basics.state import state
from .._parallel.mapped import Result
from .._parallel.samples import SampleCall
from ._tree import broadcast, flatten, unflatten

_MORE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a rule is told besides its arguments."""

    batch_size: int
    randomness: str


def lowered(
    call: SampleCall, arguments: Sequence[tuple[Any, Any, int]], function: Any, args: Sequence[Any]
) -> Any:
    """The results for one sample of `function.vmap`; `arguments` are (inside, outside, dim).

    Raises: torch's RuntimeErrors for a rule that returns anything but (output, out_dims).
    """
    varies = [isinstance(x, TensorBase) and call.varies(x._value()) for x in args]
    whole: dict[int, tuple[Any, int | None]] = {}
    with call.sample.outside():
        if not any(varies):
            return function.apply(*args)
        for k, (x, does) in enumerate(zip(args, varies, strict=True)):
            whole[k] = _of_all(call, arguments, x) if does else (x, None)
        given = [whole[k][0] for k in range(len(args))]
        dims = tuple(whole[k][1] for k in range(len(args)))
        found = function.vmap(VmapInfo(call.size, call.randomness), dims, *given)
        outs, places, shape = _checked(found)
    known = {id(x): args[k] for k, x in enumerate(given) if isinstance(x, TensorBase)}
    made = [
        known[id(x)] if id(x) in known else _of_one(call, x, d)
        for x, d in zip(outs, places, strict=True)
    ]
    return unflatten(shape, made)


def _checked(found: Any) -> tuple[list[Any], list[Any], Any]:
    lead = (
        "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree "
        "structure compatible with the output. "
    )
    if not isinstance(found, tuple):
        raise RuntimeError(lead + f"Got a {type(found)} instead")
    if len(found) != 2:
        raise RuntimeError(lead + f"Got {len(found)} returns instead")
    outs, shape = flatten(found[0])
    places = broadcast(found[1], shape)
    if places is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) "
            f"tuple. Expected out_dims={found[1]} to be compatible with the structure of `output`. "
            f"out_dims has structure {flatten(found[1])[1].long()} but output has structure "
            f"{shape.long()}. {_MORE}"
        )
    return outs, places, shape


def _of_all(
    call: SampleCall, arguments: Sequence[tuple[Any, Any, int]], sample: Any
) -> tuple[Any, int]:
    """The tensor of all samples that a tensor of one sample stands for, and its mapped dim."""
    for inside, outside, dim in arguments:
        if inside is sample and not inside._storage.writes:
            return outside, dim
    tangents = dual_level(sample)
    if tangents is not None:
        parts = [_of_all(call, (), part)[0] for part in tangents.unpack(sample)]
        return tangents.make(*parts), 0
    values = call.emit([Result("stacked", 0, [sample._value()])])
    inner = sample._edge() if state.grad_enabled else None
    edges = call.link([("stacked", 0, [inner])], values, "VmapBackward")
    return from_values(values, edges)[0], 0


def _of_one(call: SampleCall, tensor: Any, dim: int | None) -> Any:
    """The tensor of one sample that stands for a tensor of all samples."""
    if dim is None or not isinstance(tensor, TensorBase):
        return tensor
    tangents = dual_level(tensor)
    if tangents is not None:
        return tangents.make(*[_of_one(call, part, dim) for part in tangents.unpack(tensor)])
    dim %= tensor._aval.ndim
    edge = tensor._edge() if state.grad_enabled else None
    return call.part(tensor._value(), dim, edge)
