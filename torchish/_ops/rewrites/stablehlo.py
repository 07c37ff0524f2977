"""Reading and changing StableHLO: shapes, owners, and calls through XLA's foreign interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.interpreters.mlir import ir


def collect(module: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The operations of a module that are wanted, in order."""
    found: list[Any] = []

    def note(op: Any) -> Any:
        if wanted(op):
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(note)
    return found


def owner(value: Any) -> Any:
    """The operation that makes a value, None for an argument."""
    return value.owner.operation if isinstance(value, ir.OpResult) else None


def is_float32(value: Any) -> bool:
    """Whether a value is an array of float32 of known shape."""
    kind = value.type
    if not isinstance(kind, ir.RankedTensorType):
        return False
    return isinstance(kind.element_type, ir.F32Type) and kind.has_static_shape


def shape(value: Any) -> tuple[int, ...]:
    """The shape of a value."""
    return tuple(ir.RankedTensorType(value.type).shape)


def integers(attribute: Any) -> list[int]:
    """What an attribute of numbers holds."""
    return [int(d) for d in ir.DenseI64ArrayAttr(attribute)]


def float32(of: Sequence[int]) -> Any:
    """The type of an array of float32."""
    return ir.RankedTensorType.get(list(of), ir.F32Type.get())


def reshaped(value: Any, to: Sequence[int]) -> Any:
    """The value in another shape, which is the same memory."""
    if shape(value) == tuple(to):
        return value
    return ir.Operation.create("stablehlo.reshape", [float32(to)], [value]).results[0]


def call(
    target: str, operands: Sequence[Any], results: Sequence[Sequence[int]], **options: Any
) -> list[Any]:
    """A call of torchish-cpu with row-major operands; options are integers or lists of them."""
    made = ir.Operation.create(
        "stablehlo.custom_call",
        results=[float32(s) for s in results],
        operands=list(operands),
        attributes={
            "call_target_name": ir.StringAttr.get(target),
            "api_version": ir.IntegerAttr.get(ir.IntegerType.get_signless(32), 4),
            "backend_config": ir.DictAttr.get({k: _option(v) for k, v in options.items()}),
            "operand_layouts": ir.ArrayAttr.get([_row_major(len(shape(x))) for x in operands]),
            "result_layouts": ir.ArrayAttr.get([_row_major(len(s)) for s in results]),
        },
    )
    return list(made.results)


def _option(value: Any) -> Any:
    if isinstance(value, int):
        return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), int(value))
    return ir.DenseI64ArrayAttr.get(list(value))


def _row_major(rank: int) -> Any:
    order: Any = np.arange(rank - 1, -1, -1, dtype=np.int64)
    return ir.DenseIntElementsAttr.get(order, type=ir.IndexType.get())
