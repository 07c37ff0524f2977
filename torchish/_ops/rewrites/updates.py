"""Updates of an optimizer in one pass over memory, where torchish-cpu is installed.

An update rule is a function of elementwise operators with several results (a parameter, two
moments). XLA's CPU backend writes a loop for each result, each on one thread, and reads the
operands anew in each: Adam over 200,000 parameters takes 0.4 ms of a step of 1.8. A group of such
operators becomes one call, whose code is a list of instructions (native/src/updates.cc). Parameters
that are updated by the same list share calls: those of one shape, and all small ones (biases,
norms), for which XLA would write a loop of a microsecond for each result.

Groups whose results are all results of their function are taken, if there are two at least: what a
forward pass keeps for the way back XLA computes anew within its loops, which is cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from jax.interpreters.mlir import ir

from ..conv import onednn
from .stablehlo import call, collect, integers, is_float32, owner, shape

FEWEST_ELEMENTS = 1 << 13  # of a call, and of an array that is not small

# In the order of `Op` in native/src/instructions.h.
OPS = {
    f"stablehlo.{name}": number
    for number, name in enumerate(
        ("add", "subtract", "multiply", "divide", "maximum", "minimum", "sqrt", "negate", "abs")
    )
}


def fuse_updates(lowered: Any) -> None:
    """Have groups of elementwise results of a lowered program's functions call torchish-cpu."""
    if not onednn.is_wanted():
        return
    module = lowered.compiler_ir("stablehlo")
    with module.context:
        for function in collect(module, lambda op: op.name == "func.func"):
            for block in function.regions[0].blocks:
                ops = list(block.operations)
                order = {op.operation: k for k, op in enumerate(ops)}
                for copies in _calls([x for group in _groups(ops) for x in _lists(group)]):
                    _replace(sorted(copies, key=lambda copy: order[copy.ops[-1].operation]))


def _groups(ops: Sequence[Any]) -> list[list[Any]]:
    """Groups of elementwise operators, each in the order of its block.

    A group's operators have one shape and one depth, which grows wherever a value leaves a group:
    no path therefore leaves a group and comes back to it.
    """
    depths: dict[Any, int] = {}
    found: dict[Any, list[Any]] = {}
    for op in ops:
        size = _size(op)
        depth = 0
        for operand in op.operands:
            source = owner(operand)
            if source is not None and source in depths:
                made = _size(source)
                depth = max(depth, depths[source] + (made is not None and made != size))
        depths[op.operation] = depth
        if size is not None:
            found.setdefault((size, depth), []).append(op)
    return list(found.values())


def _size(op: Any) -> tuple[int, ...] | None:
    """The shape of what an elementwise operator makes, None for any other."""
    if op.name not in OPS or not is_float32(op.results[0]):
        return None
    return shape(op.results[0]) or None


class _List:
    """Operators as a list of instructions, which refer to arrays, then numbers, then each other."""

    def __init__(self, ops: Sequence[Any]) -> None:
        self.ops = ops
        self.arrays: list[Any] = []
        self.numbers: list[Any] = []
        self.own = {op.operation: k for k, op in enumerate(ops)}
        for op in ops:
            for value in op.operands:
                self._note(value)
        self.code: list[int] = []
        self.is_vector = True  # no instruction has numbers alone: that is a loop of XLA's
        for op in ops:
            a, b = (self._register(x) for x in (op.operands[0], op.operands[-1]))
            self.is_vector &= not (self._is_number(a) and self._is_number(b))
            self.code += [OPS[op.name], a, b]

    def _note(self, value: Any) -> None:
        if owner(value) in self.own:
            return
        number = _number(value)
        into, found = (self.arrays, value) if number is None else (self.numbers, number)
        if found not in into:
            into.append(found)

    def _register(self, value: Any) -> int:
        source = owner(value)
        if source in self.own:
            return self._of_result(source)
        number = _number(value)
        if number is None:
            return self.arrays.index(value)
        return len(self.arrays) + self.numbers.index(number)

    def _of_result(self, op: Any) -> int:
        return len(self.arrays) + len(self.numbers) + self.own[op.operation]

    def _is_number(self, register: int) -> bool:
        return 0 <= register - len(self.arrays) < len(self.numbers)

    @property
    def results(self) -> list[Any]:
        """The operators whose results others want."""
        return [
            op
            for op in self.ops
            if any(use.owner.operation not in self.own for use in op.results[0].uses)
        ]

    @property
    def outs(self) -> list[int]:
        """The registers of what others want."""
        return [self._of_result(op) for op in self.results]

    @property
    def is_update(self) -> bool:
        """Whether it has two results at least, which leave the function, and arrays throughout."""
        uses = [use for op in self.results for use in op.results[0].uses]
        ends = all(
            use.owner.operation in self.own or use.owner.name == "func.return" for use in uses
        )
        return ends and len(self.results) > 1 and self.is_vector

    @property
    def elements(self) -> int:
        """Of each of its arrays."""
        return prod(shape(self.ops[0].results[0]))

    def is_copy_of(self, other: _List) -> bool:
        """Whether it is the same list, with the same numbers, of other arrays."""
        mine, others = ((x.code, x.outs, len(x.arrays), len(x.numbers)) for x in (self, other))
        return mine == others and all(map(_is_same_number, self.numbers, other.numbers))


def _lists(group: Sequence[Any]) -> list[_List]:
    """The updates among the independent parts of a group."""
    ends = [
        op for op in group if any(use.owner.name == "func.return" for use in op.results[0].uses)
    ]
    if len(ends) < 2:
        return []
    return [made for made in map(_List, _parts(group)) if made.is_update]


def _calls(updates: Sequence[_List]) -> list[list[_List]]:
    """Updates that are to share a call. None reads what another one made: all results leave."""
    found: dict[Any, list[list[_List]]] = {}  # by shape; None stands for small ones
    for update in updates:
        size = shape(update.ops[0].results[0])
        alike = found.setdefault(size if update.elements >= FEWEST_ELEMENTS else None, [])
        call = next((c for c in alike if update.is_copy_of(c[0])), None)
        if call is None:
            alike.append([update])
        else:
            call.append(update)
    small = found.pop(None, [])
    large = [c for alike in found.values() for c in alike]
    for few in small:  # they come with the last of the large ones
        call = next((c for c in reversed(large) if few[0].is_copy_of(c[0])), None)
        if call is not None:
            call += few
        elif sum(update.elements for update in few) >= FEWEST_ELEMENTS:
            large.append(few)
    return large


def _parts(group: Sequence[Any]) -> list[list[Any]]:
    """A group's parts that have no array in common, each in the order of its block."""
    above = list(range(len(group)))  # trees of operators that belong together

    def root(k: int) -> int:
        while above[k] != k:
            above[k] = k = above[above[k]]
        return k

    first: dict[Any, int] = {}  # by what is read or made there
    for k, op in enumerate(group):
        for x in (op.results[0], *op.operands):
            if _number(x) is None:
                above[root(k)] = root(first.setdefault(x, k))
    parts: dict[int, list[Any]] = {}
    for k, op in enumerate(group):
        parts.setdefault(root(k), []).append(op)
    return list(parts.values())


def _replace(copies: Sequence[_List]) -> None:
    """One call in the place of lists that are alike."""
    first, ops = copies[0], [op for copy in copies for op in copy.ops]
    results = [op for copy in copies for op in copy.results]
    last = copies[-1].ops[-1]
    with ir.InsertionPoint(last), last.location:
        made = call(
            onednn.UPDATES, [*(a for copy in copies for a in copy.arrays), *first.numbers],
            [shape(op.results[0]) for op in results], copies=len(copies),
            arrays=len(first.arrays), code=first.code, outs=first.outs, awake=0,
        )  # fmt: skip
    for op, value in zip(results, made, strict=True):
        op.results[0].replace_all_uses_with(value)
    for op in reversed(ops):
        op.erase()


def _number(value: Any) -> Any:
    """The 0-d value that an array repeats, if that is what it is."""
    op = owner(value)
    if op is None or op.name != "stablehlo.broadcast_in_dim" or shape(op.operands[0]):
        return None
    return op.operands[0] if not integers(op.attributes["broadcast_dimensions"]) else None


def _is_same_number(a: Any, b: Any) -> bool:
    if a == b:
        return True
    made = owner(a), owner(b)
    if any(op is None or op.name != "stablehlo.constant" for op in made):
        return False
    return bool(made[0].attributes["value"] == made[1].attributes["value"])
