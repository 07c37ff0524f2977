"""Broadcasting: operators over operands whose shapes fit, and over those whose do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, strategies as st

from .both import agree, cases, node_by_node as node_by_node

Shape = tuple[int, ...]
ENDS = [(), (1,), (3,), (0,), (2, 1), (1, 3), (2, 3), (4,), (2, 1, 3), (1, 1), (2, 2, 1), (0, 3)]
SHAPES = st.sampled_from(ENDS)
SIZES = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4]), max_size=4).map(tuple)


def tensor(library: Any, shape: Shape, grad: bool = False) -> Any:
    """Different numbers in a tensor of a shape."""
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) * 0.5 + 1.0
    made = library.tensor(values.astype(np.float32))
    return made.requires_grad_() if grad else made


@cases(450)
@given(st.sampled_from(["add", "mul", "atan2", "maximum", "lt", "copysign"]), SHAPES, SHAPES)
def test_binary(name: str, a: Shape, b: Shape) -> None:
    agree(lambda lib: getattr(lib, name)(tensor(lib, a), tensor(lib, b)))


@cases(200)
@given(st.sampled_from(["where", "addcmul", "clamp", "lerp"]), SHAPES, SHAPES, SHAPES)
def test_ternary(name: str, a: Shape, b: Shape, c: Shape) -> None:
    def call(lib: Any) -> Any:
        first = tensor(lib, a) > 1.5 if name == "where" else tensor(lib, a)
        return getattr(lib, name)(first, tensor(lib, b), tensor(lib, c))

    agree(call)


@cases(200)
@given(st.sampled_from(["add_", "mul_", "copy_", "div_"]), SHAPES, SHAPES)
def test_in_place(name: str, a: Shape, b: Shape) -> None:
    agree(lambda lib: getattr(tensor(lib, a), name)(tensor(lib, b)))


@cases(200)
@given(st.sampled_from(["expand", "broadcast_to"]), SHAPES, SIZES)
def test_expand(name: str, shape: Shape, sizes: Shape) -> None:
    def call(lib: Any) -> Any:
        made = getattr(tensor(lib, shape), name)(sizes)
        assert made.numel() == 0 or made.stride() is not None
        return made

    agree(call)


@cases(150)
@given(st.lists(SHAPES, min_size=1, max_size=4))
def test_shapes_alone(shapes: list[Shape]) -> None:
    agree(lambda lib: tuple(lib.broadcast_shapes(*shapes)))
    agree(lambda lib: lib.broadcast_tensors(*(tensor(lib, s) for s in shapes)))


@cases(150)
@given(st.sampled_from(["add", "mul", "div"]), SHAPES, SHAPES)
def test_gradient_is_summed_back(name: str, a: Shape, b: Shape) -> None:
    def call(lib: Any) -> Any:
        x, y = tensor(lib, a, True), tensor(lib, b, True)
        (getattr(lib, name)(x, y) * 2).sum().backward()
        return [x.grad, y.grad]

    agree(call)
