"""Weights of convolutions that are packed once for many calls of a program.

oneDNN takes weights in an order of its own; to bring them into it is a tenth of a ResNet's
inference (batch 8). A program that computes no gradient of weights therefore takes, beside the
weights, an array for each convolution that has them packed. Which weights those are is seen when
it is called: an array that comes for the second time is packed then, and what was made of it kept
with the program until it dies. An array of JAX's does not change, so nothing has to be watched.

Weights that are new at each call (of a network that is being trained elsewhere) are never packed:
their convolution gets an array of zeros and packs for itself, as it does without all this.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import eval_jaxpr

from ..._core import program
from ..._core.graph import Nodes
from ..._core.kernels import Kernel
from . import cpu, onednn
from .primitive import ConvShape, conv_p, input_grad_p, weight_grad_p

KINDS = {conv_p: onednn.FORWARD, input_grad_p: onednn.INPUT_GRAD}


class Call(NamedTuple):
    """A convolution in a program whose weights are an input of the program."""

    kind: int
    image: Any  # the aval of its other operand
    geo: ConvShape
    at: int  # which input the weights are
    bytes: int  # how long they are when they are packed


class Memory:
    """The packed weights of one convolution, kept while the array of the weights lives."""

    def __init__(self, call: Call, place: Any) -> None:
        self.call = call
        self.nothing = jax.device_put(np.zeros(call.bytes, np.uint8), place)
        # Replaced as a whole, so that another thread sees weights and what was made of them.
        self.last: tuple[Callable[[], Any], Any] = (lambda: None, None)

    def fetch(self, weights: Any) -> Any:
        """These weights packed, if they come for the second time at least."""
        seen, packed = self.last
        if seen() is not weights or not isinstance(weights, jax.Array):
            self.last = (_reference(self, weights), None)
            return self.nothing
        if packed is None:
            call = self.call
            made = onednn.pack(call.kind, call.image, np.asarray(weights), call.geo)
            packed = jax.device_put(made, weights.sharding)
            self.last = (seen, packed)
        return packed


def _reference(memory: Memory, weights: Any) -> Callable[[], Any]:
    """A weak reference to weights; when they die the memory lets go of what was made of them."""
    owner = weakref.ref(memory)

    def forget(dead: Any) -> None:
        alive = owner()
        if alive is not None and alive.last[0] is dead:
            alive.last = (dead, None)

    return weakref.ref(weights, forget)


class Packing:
    """How a program is traced and called whose convolutions take packed weights.

    `calls` are by (position of the node, number of the equation in its kernel).
    """

    def __init__(self, calls: dict[tuple[int, int], Call]) -> None:
        self.calls = calls
        self.order = {where: k for k, where in enumerate(calls)}
        self.changed = {position for position, _ in calls}

    def structs(self, place: Any) -> list[jax.ShapeDtypeStruct]:
        """What the program takes beside its other operands."""
        return [
            jax.ShapeDtypeStruct((call.bytes,), np.uint8, sharding=place)
            for call in self.calls.values()
        ]

    def run(self, more: Sequence[Any]) -> Callable[[int, Kernel, list[Any]], Sequence[Any]]:
        """How a node is called while the program is traced."""

        def run(position: int, kernel: Kernel, arrays: list[Any]) -> Sequence[Any]:
            if position not in self.changed:
                return kernel.call(*arrays)
            return self._evaluate(position, kernel.closed, arrays, more)

        return run

    def _evaluate(
        self, position: int, closed: Any, arrays: Sequence[Any], more: Sequence[Any]
    ) -> list[Any]:
        jaxpr = closed.jaxpr
        values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        values |= dict(zip(jaxpr.invars, arrays, strict=True))
        for number, eqn in enumerate(jaxpr.eqns):
            call = self.calls.get((position, number))
            if call is not None:
                packed = more[self.order[position, number]]
                image, weights = (values[v] for v in eqn.invars)
                results = [onednn.conv(call.kind, image, weights, call.geo, packed)]
            else:
                results = _alone(jaxpr, [eqn], eqn.invars, eqn.outvars, values)
            values |= dict(zip(eqn.outvars, results, strict=True))
        return _alone(jaxpr, [], jaxpr.outvars, jaxpr.outvars, values)

    def bind(self, compiled: Any, place: Any) -> Packed:
        """The program as it is called."""
        return Packed(compiled, list(self.calls.values()), place)


def _alone(
    jaxpr: Any, eqns: Sequence[Any], reads: Sequence[Any], makes: Sequence[Any], values: Any
) -> list[Any]:
    """Some equations of a jaxpr, as JAX evaluates them."""
    free = list(dict.fromkeys(v for v in reads if not hasattr(v, "val")))  # no literals
    part = jaxpr.replace(constvars=free, invars=[], eqns=list(eqns), outvars=list(makes))
    return eval_jaxpr(part, [values[v] for v in free])


class Packed:
    """A compiled program with the packed weights that it was last called with."""

    def __init__(self, compiled: Any, calls: Sequence[Call], place: Any) -> None:
        self.compiled = compiled
        self.runtime_executable = compiled.runtime_executable
        self.memories = [(call.at, Memory(call, place)) for call in calls]

    def __call__(self, externals: list[Any], *numbers: Any) -> list[Any]:
        packed = [memory.fetch(externals[at]) for at, memory in self.memories]
        return self.compiled(externals, *numbers, packed)  # type: ignore[no-any-return]


def find(nodes: Nodes) -> Packing | None:
    """How to pack the weights of a program for the CPU; None where there are none to pack."""
    if not onednn.is_wanted():
        return None
    calls: dict[tuple[int, int], Call] = {}
    for position, (kernel, slots) in enumerate(nodes):
        jaxpr = kernel.closed.jaxpr
        for number, eqn in enumerate(jaxpr.eqns):
            if eqn.primitive is weight_grad_p:
                return None
            call = _call(eqn, jaxpr, slots)
            if call is not None:
                calls[position, number] = call
    return Packing(calls) if calls else None


def _call(eqn: Any, jaxpr: Any, slots: Sequence[int]) -> Call | None:
    kind = KINDS.get(eqn.primitive)
    if kind is None or eqn.invars[1] not in jaxpr.invars:
        return None
    slot = slots[jaxpr.invars.index(eqn.invars[1])]
    image, weights = (v.aval for v in eqn.invars)
    geo = eqn.params["geo"]
    if slot >= 0 or not cpu.is_onednns(kind, image, weights, geo):
        return None
    size = onednn.packed_bytes(kind, image, weights, geo)
    return Call(kind, image, geo, -1 - slot, size) if size else None


program.preparations.append(find)
