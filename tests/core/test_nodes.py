"""Grad nodes by themselves: what a kernel's history keeps, gives, frees and notices."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import torchish as torch
from torchish._autograd.nodes import (
    CUT,
    FREED,
    NOWHERE,
    AccumulateGrad,
    Node,
    OpNode,
    SavedTensor,
    add_hook,
    history,
    leaf_node,
    node_class,
    reverse,
    short_name,
)
from torchish._basics import dtypes
from torchish._basics.settings import settings as engine
from torchish._core.kernels import Kernel
from torchish._core.values import Value, aval_of, host_value

F = aval_of((3,), dtypes.float64)
I = aval_of((3,), dtypes.int64)  # noqa: E741

# name -> a function of two arrays
FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "first": lambda a, b: jnp.sin(a),
    "ratio": lambda a, b: a / (b * b + 1),
    "both": lambda a, b: jnp.exp(-a * a) * jnp.cos(a * b),
}


@pytest.fixture(autouse=True, scope="module")
def interpreted() -> Any:
    """Many small kernels: nothing is worth a compilation."""
    before, engine.eager = engine.eager, True
    yield
    engine.eager = before


def kernel_of(name: str, avals: Any = (F, F), **options: Any) -> Kernel:
    return Kernel(
        name, lambda a, b: (FORMULAS[name](a, b),), avals, (F,),
        grad_name=f"{name.title()}Backward0", **options,
    )  # fmt: skip


def values(*arrays: Any) -> list[Value]:
    return [host_value(np.asarray(x, np.float64)) for x in arrays]


def source() -> Node:
    """A node that only stands where an operand came from."""
    return Node((), (F,))


def made(name: str, operands: Any, wanted: Any = (True, True)) -> OpNode:
    edges = [(source(), 0) if w else None for w in wanted]
    (edge,) = history(kernel_of(name), operands, edges)
    assert edge is not None and edge[1] == 0
    return edge[0]  # type: ignore[return-value]


def run(node: Node, gradient: Any, graph: bool = False) -> list[Any]:
    found = node.apply([(values(gradient)[0], None)], graph)
    return [None if g is None else np.asarray(g[0].host()) for g in found]


# --- what history is made ------------------------------------------------------------------------


def test_history_is_made_where_a_gradient_may_flow() -> None:
    x, y = values([1, 2, 3], [4, 5, 6])
    edge = (source(), 0)
    assert history(kernel_of("mul"), (x, y), (None, None)) == [None]
    assert history(kernel_of("mul", differentiable=False), (x, y), (edge, edge)) == [None]
    whole = host_value(np.arange(3))
    (found,) = history(kernel_of("mul", (F, I)), (x, whole), (edge, edge))
    assert found is not None and found[0].next_functions == (edge, (None, 0))
    assert found[0].edges == [edge, None], "an integer has no derivative"


def test_nodes_are_of_one_class_a_name() -> None:
    node = made("mul", values([1, 2, 3], [4, 5, 6]))
    assert type(node) is node_class("MulBackward0", OpNode)
    assert node.name() == type(node).__name__ == "MulBackward0"
    assert short_name(type(node)) == "Mul" and isinstance(node, Node)
    later = made("mul", values([1, 2, 3], [4, 5, 6]))
    assert node.sequence < later.sequence


def test_a_node_keeps_what_its_gradient_reads() -> None:
    x, y = values([1, 2, 3], [4, 5, 6])
    assert made("add", (x, y)).saved == []
    assert made("mul", (x, y)).saved == [x, y]
    assert made("mul", (x, y), (True, False)).saved == [y]
    assert made("first", (x, y)).saved == [x]


# --- gradients -----------------------------------------------------------------------------------

numbers = st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(FORMULAS)), numbers, numbers, numbers, st.tuples(*[st.booleans()] * 2)
)
def test_gradients_are_those_of_jax(name: str, a: Any, b: Any, g: Any, wanted: Any) -> None:
    if not any(wanted):
        return
    node = made(name, values(a, b), wanted)
    _, pull = jax.vjp(FORMULAS[name], np.asarray(a, np.float64), np.asarray(b, np.float64))
    for got, want, asked in zip(run(node, g), pull(np.asarray(g, np.float64)), wanted, strict=True):
        assert (got is not None) is asked
        if asked:
            np.testing.assert_allclose(got, want, 1e-12, 1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FORMULAS)), numbers, numbers)
def test_a_gradient_has_a_history_of_its_own(name: str, a: Any, b: Any) -> None:
    operands, start = values(a, b), source()
    (edge,) = history(kernel_of(name), operands, [(start, 0), None])
    assert edge is not None
    seed = values([1, 1, 1])[0]
    ((value, back), _) = (*edge[0].apply([(seed, None)], True), None)[:2]
    formula = FORMULAS[name]
    second = jax.grad(
        lambda x: jax.vjp(formula, x, np.asarray(b, np.float64))[1](np.ones(3))[0].sum()
    )
    want = second(np.asarray(a, np.float64))
    if back is None:  # a gradient that does not depend on the operand
        np.testing.assert_array_equal(want, 0)
        return
    found = back[0].apply([(seed, None)], False)
    got = sum((np.asarray(v.host()) for v, _ in [f for f in found if f is not None]), np.zeros(3))
    np.testing.assert_allclose(got, want, 1e-10, 1e-10)
    assert value.aval == F


def test_what_leads_nowhere_is_not_computed() -> None:
    x, y = values([1, 2, 3], [4, 5, 6])
    (edge,) = history(kernel_of("mul"), (x, y), [(NOWHERE, 0), (source(), 0)])
    assert edge is not None
    assert edge[0].next_functions[0] == (None, 0)
    left, right = run(edge[0], [1, 1, 1])
    assert left is None
    np.testing.assert_array_equal(right, [1, 2, 3])


# --- freeing, cutting ----------------------------------------------------------------------------


def test_released_nodes_say_so_unless_they_kept_nothing() -> None:
    x, y = values([1, 2, 3], [4, 5, 6])
    product, total = made("mul", (x, y)), made("add", (x, y))
    for node in (product, total):
        run(node, [1, 1, 1])
        node.release()
    with pytest.raises(RuntimeError, match="backward through the graph a second time") as caught:
        run(product, [1, 1, 1])
    assert str(caught.value) == FREED
    np.testing.assert_array_equal(run(total, [1, 2, 3])[0], [1, 2, 3])


def test_a_saved_tensor_that_was_cut_off_is_refused() -> None:
    leaf = torch.ones(3, dtype=torch.float64, requires_grad=True)
    middle = leaf * 1
    (middle * middle).sum()
    result = middle * middle
    middle.detach_()
    with pytest.raises(RuntimeError, match="detached in-place") as caught:
        result.sum().backward()
    assert str(caught.value) == CUT


def test_a_node_holds_no_result() -> None:
    leaf = torch.ones(3, requires_grad=True)
    result = leaf * 2
    node = result.grad_fn
    freed: list[int] = []
    import weakref

    weakref.finalize(result, freed.append, 1)
    gc.disable()
    try:
        del result
        assert freed == [1], "without a cycle nothing waits for the collector"
    finally:
        gc.enable()
    assert node.next_functions[0][0].variable is leaf


# --- saved tensors -------------------------------------------------------------------------------


def test_saved_tensors_notice_counted_writes() -> None:
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 3
    saved = SavedTensor(x)
    assert saved.check() is None
    x.add_(1)
    with pytest.raises(RuntimeError) as caught:
        saved.check()
    text = str(caught.value)
    assert "[torch.FloatTensor [2]], which is output 0 of Mul, is at version 1" in text
    assert "expected version 0 instead" in text


def test_saved_tensors_show_uncounted_writes() -> None:
    x = torch.tensor([1.0, 2.0])
    saved = SavedTensor(x)
    x.data.mul_(2)
    found = saved.check()
    assert found is not None
    np.testing.assert_array_equal(np.asarray(found.host()), [2.0, 4.0])
    again = saved.tensor(None)
    assert again.tolist() == [2.0, 4.0] and again._storage is x._storage


# --- leaves and hooks ----------------------------------------------------------------------------


def test_a_leaf_has_one_accumulator_while_one_is_held() -> None:
    leaf = torch.ones(2, requires_grad=True)
    node = leaf_node(leaf)
    assert isinstance(node, AccumulateGrad) and leaf_node(leaf) is node
    assert node.name() == "torch::autograd::AccumulateGrad" and node.variable is leaf
    assert (leaf * 1).grad_fn.next_functions[0][0] is node
    first = node.sequence
    del node
    gc.collect()
    assert leaf_node(leaf).sequence == first, "leaves run first, whenever they were made"


def test_hooks_leave_by_their_handles() -> None:
    hooks: dict[int, Any] = {}
    seen: list[str] = []
    first, second = (
        add_hook(hooks, lambda: seen.append("a")),
        add_hook(hooks, lambda: seen.append("b")),
    )
    assert list(hooks) == [first.id, second.id]
    first.remove()
    first.remove()
    with second:
        for hook in hooks.values():
            hook()
    assert seen == ["b"] and hooks == {}


def test_metadata_is_the_users() -> None:
    node = made("add", values([1, 2, 3], [4, 5, 6]))
    node.metadata["note"] = 1
    assert node.metadata == {"note": 1}
    assert made("add", values([1, 2, 3], [4, 5, 6])).metadata == {}


def test_tangents_are_taken_off_on_the_way_back() -> None:
    plain = (source(), 0)

    class Dual(Node):
        is_dual = True

    once = (Dual((plain,), (F,)), 0)
    twice = (Dual((once,), (F,)), 0)
    assert reverse(twice) == reverse(once) == reverse(plain) == plain
    assert reverse((Dual((None,), (F,)), 0)) is None
