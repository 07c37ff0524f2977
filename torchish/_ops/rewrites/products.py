"""Matrix products of compiled programs on the CPU by oneDNN, where torchish-cpu is installed.

Each `dot_general` of float32 matrices, or of stacks of them, becomes one call into the package,
which cuts it over XLA's threads. XLA's own products take 1.1 to 1.8 times as long, most where both
operands are turned (weight gradients). The pass sees the whole program, so that a transpose that
another operator recorded goes into the call instead of being made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from jax.interpreters.mlir import ir

from ..conv import onednn
from .stablehlo import call, collect, integers, is_float32, owner, reshaped, shape

# Multiplications below which a call costs as much as the product.
FEWEST_PRODUCTS = 1 << 12


@dataclass(frozen=True)
class _Stack:
    """A value as `count` matrices as they lie; turned ones are factors as their transposes."""

    value: Any
    count: int
    rows: int
    columns: int
    turned: bool

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the factor."""
        return (self.columns, self.rows) if self.turned else (self.rows, self.columns)

    def transposed(self) -> _Stack:
        """The same memory as the transposed factor."""
        return replace(self, turned=not self.turned)


def use_onednn(lowered: Any) -> None:
    """Have the matrix products of a lowered program call torchish-cpu."""
    if not onednn.is_wanted():
        return
    module = lowered.compiler_ir("stablehlo")
    with module.context:
        for op in collect(module, lambda op: op.name == "stablehlo.dot_general"):
            _replace(op)


def _replace(op: Any) -> None:
    # A dialect of jaxlib's that `import torchish` does not need.
    from jaxlib.mlir.dialects import stablehlo

    numbers = stablehlo.DotDimensionNumbers(op.attributes["dot_dimension_numbers"])
    result, batch = op.results[0], numbers.lhs_batching_dimensions
    pairs = sorted(
        zip(numbers.lhs_contracting_dimensions, numbers.rhs_contracting_dimensions, strict=True)
    )
    left = _stack(op.operands[0], batch, [left for left, _ in pairs])
    right = _stack(op.operands[1], numbers.rhs_batching_dimensions, [right for _, right in pairs])
    if left is None or right is None or not is_float32(result):
        return
    right = right.transposed()
    if left.count * prod(left.size) * right.size[1] < FEWEST_PRODUCTS:
        return
    with ir.InsertionPoint(op), op.location:
        readers = _only_transpose(result) if not len(batch) else []
        if not readers:
            _call(result, left, right)
        else:  # (a b)^T = b^T a^T
            _call(readers[-1].results[0], right.transposed(), left.transposed())
        for reader in reversed(readers):
            reader.erase()
    op.erase()


def _call(result: Any, a: _Stack, b: _Stack) -> None:
    """Put a call in the place of `result`."""
    stack = () if a.count == 1 else (a.count,)
    operands = [reshaped(x.value, (*stack, x.rows, x.columns)) for x in (a, b)]
    size = (*stack, a.size[0], b.size[1])
    made = call(
        onednn.MATMUL, operands, [size], turned_a=int(a.turned), turned_b=int(b.turned), awake=0
    )  # fmt: skip
    result.replace_all_uses_with(reshaped(made[0], shape(result)))


def _stack(value: Any, batch: Sequence[int], inner: Sequence[int]) -> _Stack | None:
    """An operand as matrices whose columns are summed over, if it lies so."""
    if not is_float32(value):
        return None
    before = _before_transpose(value)
    if before is not None:
        source, order = before
        found = _plain(source, [order[d] for d in batch], [order[d] for d in inner])
        if found is not None:
            return found
    return _plain(value, batch, inner)


def _plain(value: Any, batch: Sequence[int], inner: Sequence[int]) -> _Stack | None:
    sizes = shape(value)
    start, end = len(batch), len(sizes)
    if list(batch) != list(range(start)) or not inner:
        return None
    free = [d for d in range(start, end) if d not in inner]
    count = prod(sizes[:start])
    height, width = prod(sizes[d] for d in free), prod(sizes[d] for d in inner)
    if [*free, *inner] == list(range(start, end)):
        return _Stack(value, count, height, width, False)
    if [*inner, *free] == list(range(start, end)):
        return _Stack(value, count, width, height, True)
    return None


def _before_transpose(value: Any) -> tuple[Any, list[int]] | None:
    """What a value is the transpose of, and where its dimensions come from; barriers are passed."""
    op = owner(value)
    while op is not None and op.name == "stablehlo.optimization_barrier":
        value = op.operands[ir.OpResult(value).result_number]
        op = owner(value)
    if op is None or op.name != "stablehlo.transpose":
        return None
    return op.operands[0], integers(op.attributes["permutation"])


def _only_transpose(value: Any) -> list[Any]:
    """The transpose of a matrix that is all that reads it, after barriers; empty if others do."""
    found: list[Any] = []
    while True:
        uses = list(value.uses)
        if len(uses) != 1:
            return []
        op = uses[0].owner.operation
        found.append(op)
        if op.name == "stablehlo.optimization_barrier" and len(op.operands) == 1:
            value = op.results[0]
        elif op.name == "stablehlo.transpose":
            return found if integers(op.attributes["permutation"]) == [1, 0] else []
        else:
            return []
