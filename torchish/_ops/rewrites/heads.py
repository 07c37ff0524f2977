"""Heads of attention are read and written where they lie, where torchish-cpu is installed.

A layer projects to (N, L, heads, E) and attends over (N, heads, L, E): XLA would move all of it at
each of the eight arrays of a call and its gradient. The call can read dimensions in any order, so a
transpose before or after it goes into it (native/src/attention.cc, `orders`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.interpreters.mlir import ir

from ..conv import onednn
from .stablehlo import call, collect, integers, owner, reshaped, shape

# How many of the operands are large, by the call's name.
LARGE = {onednn.ATTENTION: 3, onednn.ATTENTION_GRADIENT: 4}
SAME_MEMORY = ("stablehlo.reshape", "stablehlo.optimization_barrier")


def leave_heads(lowered: Any) -> None:
    """Have the attention calls of a lowered program take what their transposes take."""
    if not onednn.is_wanted():
        return
    module = lowered.compiler_ir("stablehlo")
    with module.context:
        for op in collect(module, lambda op: op.name == "stablehlo.custom_call"):
            if _target(op) in LARGE:
                _replace(op)


def _target(op: Any) -> str:
    return ir.StringAttr(op.attributes["call_target_name"]).value


def _replace(op: Any) -> None:
    target = _target(op)
    large, operands = LARGE[target], list(op.operands)
    with ir.InsertionPoint(op), op.location:
        read = [_source(x) for x in operands[:large]]
        written = [_reader(x) for x in op.results]
        orders = [*(order for _, order in read), *(order for _, order in written)]
        options = ir.DictAttr(op.attributes["mhlo.backend_config"])
        made = call(
            target, [*(x for x, _ in read), *operands[large:]],
            [
                [shape(x)[d] for d in order]
                for x, (_, order) in zip(op.results, written, strict=True)
            ],
            causal=ir.IntegerAttr(options["causal"]).value, orders=[d for o in orders for d in o],
        )  # fmt: skip
        for value, result, (readers, _) in zip(made, op.results, written, strict=True):
            place = readers[-1].results[0] if readers else result
            place.replace_all_uses_with(reshaped(value, shape(place)))
            for reader in reversed(readers):
                reader.erase()
    op.erase()


def _source(value: Any) -> tuple[Any, list[int]]:
    """The array that an operand is a transpose of, and which of its dimensions the array's are."""
    sizes = shape(value)
    found, op = value, owner(value)
    while op is not None and op.name in SAME_MEMORY and len(op.operands) == 1:
        found, op = op.operands[0], owner(op.operands[0])
    if op is not None and op.name == "stablehlo.transpose":
        before = op.operands[0]
        own, permutation = shape(before), integers(op.attributes["permutation"])
        order = _order(sizes, shape(found), [permutation.index(d) for d in range(len(own))])
        if order is not None:
            return reshaped(before, [sizes[d] for d in order]), order
    return value, list(range(len(sizes)))


def _reader(value: Any) -> tuple[list[Any], list[int]]:
    """The operations from a result to the only transpose that reads it, and the order it makes."""
    sizes, found, readers = shape(value), value, []
    op = _only_use(value)
    while op is not None and op.name in SAME_MEMORY and len(op.operands) == 1:
        readers.append(op)
        found, op = op.results[0], _only_use(op.results[0])
    if op is not None and op.name == "stablehlo.transpose":
        order = _order(sizes, shape(found), integers(op.attributes["permutation"]))
        if order is not None:
            return [*readers, op], order
    return [], list(range(len(sizes)))


def _only_use(value: Any) -> Any:
    uses = list(value.uses)
    return uses[0].owner.operation if len(uses) == 1 else None


def _order(sizes: Sequence[int], seen: Sequence[int], moved: list[int]) -> list[int] | None:
    """The order of dimensions of `sizes` where those of `seen`, the same memory, stand as `moved`.

    Heads may be one dimension in `seen` and several in `sizes`.
    """
    lead = len(sizes) - 2
    if tuple(seen) != tuple(sizes):
        if len(seen) != 3 or tuple(seen[1:]) != tuple(sizes[lead:]):
            return None
        parts = (range(lead), [lead], [lead + 1])
        moved = [part for d in moved for part in parts[d]]
    return moved if moved[-1] == len(sizes) - 1 else None
