"""Programs whose calls of torchish-cpu follow one another closely keep their helpers awake.

A small step (a perceptron's) is a row of products of 50 to 200 microseconds and of loops that XLA
runs on one thread; waking a second thread for each product takes as long as it saves. Where XLA's
loops are large they run on its own threads, and helpers that are awake would take their cores.
"""

from __future__ import annotations

from math import prod
from typing import Any

from jax.interpreters.mlir import ir

from ..conv import onednn
from .stablehlo import collect

# Elements of an array that XLA writes in a loop on one thread.
LARGEST = 1 << 15
# What makes no loop of its own.
FREE = ("reshape", "custom_call", "constant", "broadcast_in_dim", "iota", "optimization_barrier")
WAKES = (onednn.MATMUL, onednn.UPDATES)


def keep_awake(lowered: Any) -> None:
    """Mark the calls of a program whose other loops are small."""
    if not onednn.is_wanted():
        return
    module = lowered.compiler_ir("stablehlo")
    with module.context:
        ops = collect(module, lambda op: op.name.startswith("stablehlo."))
        calls = [op for op in ops if op.name == "stablehlo.custom_call"]
        marked = [op for op in calls if _target(op) in WAKES]
        if len(marked) != len(calls) or any(_elements(op) > LARGEST for op in ops):
            return
        for op in marked:
            options: Any = ir.DictAttr(op.attributes["backend_config"])
            yes = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 1)
            op.attributes["backend_config"] = ir.DictAttr.get(
                {named.name: named.attr for named in options} | {"awake": yes}
            )


def _target(op: Any) -> str:
    return ir.StringAttr(op.attributes["call_target_name"]).value


def _elements(op: Any) -> int:
    """How many elements an operator writes."""
    if op.name.removeprefix("stablehlo.") in FREE or len(op.results) == 0:
        return 0
    kind = op.results[0].type
    return prod(ir.RankedTensorType(kind).shape) if isinstance(kind, ir.RankedTensorType) else 0
