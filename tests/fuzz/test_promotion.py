"""Type promotion: operators over operands of any two dtypes, 0-dim tensors and Python numbers."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume, given, strategies as st

from .both import agree, cases, node_by_node as node_by_node

DTYPES = ("bool", "uint8", "int16", "int64", "float16", "bfloat16", "float32", "float64",
          "complex64")  # fmt: skip
BINARY = (
    "add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "maximum", "eq", "lt",
    "bitwise_and", "logical_or", "atan2", "result_type", "true_divide", "xlogy", "hypot",
)  # fmt: skip
SYMBOLS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "ge", "ne")
PLACES = ("add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "bitwise_or", "copy",
          "lt")  # fmt: skip


@dataclass(frozen=True)
class Operand:
    """A tensor of a dtype, 0-dim or of three elements; or a number."""

    dtype: str
    single: bool
    number: Any = None

    def build(self, library: Any) -> Any:
        """The operand for one library; its values are small and not 0."""
        if self.number is not None:
            return self.number
        values = np.array(2.0) if self.single else np.array([1.0, 3.0, 2.0])
        return library.tensor(values).to(getattr(library, self.dtype))


TENSORS = st.builds(Operand, st.sampled_from(DTYPES), st.booleans())
NUMBERS = st.builds(
    Operand, st.just(""), st.just(True), st.sampled_from([True, 2, 2.5, 3, 1.0, 2 + 1j])
)


def complex_half(*operands: Operand) -> bool:
    """Whether the result would be of complex32, which torchish does not have."""
    has_half = any(x.dtype == "float16" for x in operands)
    return has_half and any(isinstance(x.number, complex) for x in operands)


ANY = st.one_of(TENSORS, TENSORS, NUMBERS)


@cases(550)
@given(st.sampled_from(BINARY), TENSORS, ANY)
def test_functions(name: str, a: Operand, b: Operand) -> None:
    assume(not complex_half(a, b))
    agree(lambda lib: getattr(lib, name)(a.build(lib), b.build(lib)))


@cases(300)
@given(st.sampled_from(SYMBOLS), ANY, TENSORS)
def test_symbols(name: str, a: Operand, b: Operand) -> None:
    assume(not complex_half(a, b))
    agree(lambda lib: getattr(operator, name)(a.build(lib), b.build(lib)))


@cases(300)
@given(st.sampled_from(PLACES), TENSORS, ANY)
def test_in_place(name: str, a: Operand, b: Operand) -> None:
    agree(lambda lib: getattr(a.build(lib), name + "_")(b.build(lib)))


@cases(150)
@given(st.sampled_from(["where", "cat", "stack", "clamp", "lerp", "addcmul"]), TENSORS, ANY, ANY)
def test_several(name: str, a: Operand, b: Operand, c: Operand) -> None:
    assume(not complex_half(a, b, c))

    def call(lib: Any) -> Any:
        operands = [x.build(lib) for x in (a, b, c)]
        if name in ("cat", "stack"):
            return getattr(lib, name)(operands)
        if name == "where":
            return lib.where(lib.tensor([True, False, True]), operands[1], operands[2])
        return getattr(lib, name)(*operands)

    agree(call)
