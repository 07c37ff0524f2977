"""The record of a trace as data: splitting it, what dies where, walking it, its rules."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import torchish as torch
from tests.core.graph_checks import verify
from torchish import nn
from torchish._basics import dtypes
from torchish._core import running
from torchish._core.graph import (
    COMPLEXES,
    FLOATS,
    INTS,
    evaluate,
    last_uses,
    scalars,
    steps,
)
from torchish._core.kernels import Kernel
from torchish._core.values import aval_of

AVAL = aval_of((3,), dtypes.float32)
ADD = Kernel("add", lambda a, b: (a + b,), (AVAL, AVAL), (AVAL,))
SCALE = Kernel("scale", lambda a, n: ((a * n).astype("float32"),), (AVAL, float), (AVAL,))
CHOOSE = Kernel("choose", lambda a, b: (jnp.where(b, a, -a),), (AVAL, bool), (AVAL,))
BOTH = Kernel("both", lambda a: (a + 1, a * 2), (AVAL,), (AVAL, AVAL))


def on_numpy(position: int, kernel: Kernel, arrays: list[Any]) -> list[Any]:
    return kernel.plan.run(arrays)


def test_steps_split_the_flat_record() -> None:
    entries = [BOTH, -1, ADD, 0, 1, SCALE, 2, FLOATS]
    assert steps(entries) == [(BOTH, (-1,)), (ADD, (0, 1)), (SCALE, (2, FLOATS))]
    assert steps([]) == []


def test_last_uses_name_what_dies_and_what_nobody_needs() -> None:
    nodes = steps([BOTH, -1, ADD, 0, 0, ADD, 1, -1, ADD, 2, -2])
    assert last_uses(nodes, [4]) == [[-1], [0], None, [2, -2]]
    assert last_uses(nodes, [1]) == [[-1], None, None, None]
    assert last_uses(nodes, [0, 4]) == [[-1], [], None, [2, -2]]


def test_evaluate_drops_results_that_are_dead() -> None:
    nodes = steps([ADD, -1, -2, ADD, 0, -1])
    arrays = [np.ones(3, np.float32), np.full(3, 2, np.float32)]
    made = evaluate(
        nodes, on_numpy, arrays, scalars(([], [], [])).fetch, last_uses(nodes, [1])
    )  # fmt: skip
    assert made[0] is None
    assert all(x is not None for x in arrays)  # inputs are their holders'
    np.testing.assert_array_equal(made[1], np.full(3, 4, np.float32))


def test_numbers_come_by_type() -> None:
    number = scalars(([2.5], [0, 7], [1j])).fetch
    assert number(FLOATS, float) == 2.5
    assert number(INTS + 1, int) == 7
    assert number(INTS, bool).dtype == bool and not number(INTS, bool)
    assert number(COMPLEXES, complex) == 1j
    assert all(type(number(s, k)) is np.ndarray for s, k in ((FLOATS, float), (INTS + 1, bool)))


@st.composite
def records(draw: st.DrawFn) -> tuple[list[Any], int, list[int]]:
    """Random valid entries on two inputs and two numbers, and some live slots."""
    entries: list[Any] = []
    made = 0
    for _ in range(draw(st.integers(1, 12))):
        kernel = draw(st.sampled_from([ADD, SCALE, CHOOSE, BOTH]))
        entries.append(kernel)
        for kind in kernel.in_avals:
            if kind is float:
                entries.append(FLOATS + draw(st.integers(0, 1)))
            elif kind is bool:
                entries.append(INTS)
            else:
                entries.append(draw(st.integers(-2, made - 1)))
        made += kernel.n_out
    live = draw(st.lists(st.integers(0, made - 1), min_size=1, max_size=4, unique=True))
    return entries, made, live


@settings(max_examples=60, deadline=None)
@given(records())
def test_pruned_and_whole_walks_agree(record: tuple[list[Any], int, list[int]]) -> None:
    entries, made, live = record
    nodes, number = steps(entries), scalars(([0.5, -0.25], [1], [])).fetch
    verify(entries, 2, (2, 1, 0))

    def inputs() -> list[Any]:
        return [np.arange(3, dtype=np.float32), np.ones(3, np.float32)]

    with np.errstate(over="ignore", invalid="ignore"):
        whole = evaluate(nodes, on_numpy, inputs(), number)
        pruned = evaluate(nodes, on_numpy, inputs(), number, last_uses(nodes, live))
    assert len(whole) == len(pruned) == made
    for slot in live:
        np.testing.assert_array_equal(whole[slot], pruned[slot])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([-1, ADD], "a kernel is expected"),
        ([ADD, -1], "lacks operands"),
        ([ADD, 0, -1], "reads slot 0 too early"),
        ([ADD, -1, -3], "reads slot -3 too early"),
        ([ADD, -1, FLOATS], "takes an array"),
        ([SCALE, -1, -1], "takes a number"),
        ([SCALE, -1, FLOATS + 1], "a number too many"),
        ([ADD, -1, None], "for a slot"),
    ],
)
def test_verify_says_which_rule_is_broken(entries: list[Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        verify(entries, 2, (1, 0, 0))


def test_a_training_loop_records_valid_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    plain = running.Taken._results

    def results(taken: Any) -> list[Any]:
        floats, ints, complexes = taken.numbers
        verify(taken.entries, len(taken.values), (len(floats), len(ints), len(complexes)))
        checked.append(len(taken.entries))
        return plain(taken)

    monkeypatch.setattr(running.Taken, "_results", results)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                        nn.Dropout(0.1), nn.Linear(64, 2))  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for step in range(4):
        x = torch.randn(5 + step % 2, 3, 6, 6)
        loss = nn.functional.cross_entropy(net(x), torch.arange(len(x)) % 2)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        assert loss.item() > 0
    z = torch.randn(4, dtype=torch.complex64) * (1 + 2j)
    assert z[1:].abs().sum().item() > 0
    assert len(checked) >= 5
    assert max(checked) > 100
