"""Capturing Python apart: what stands where while it runs, what comes back, what was recorded."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import torchish as torch
from torchish._autograd.capture import (
    BlindCapture,
    Capture,
    DataDependent,
    Rules,
    on_stand_ins,
)
from torchish._autograd.tensor_base import from_value
from torchish._basics.devices import CPU
from torchish._basics.dtypes import float32
from torchish._basics.state import state
from torchish._core.checks import defer_check
from torchish._core.trace import current_trace
from torchish._core.values import Value, aval_of
from torchish._parallel.replicas import ReplicaCall
from torchish._parallel.samples import Sample
from torchish.func._recorded import Recorder

AVAL = aval_of((3,), float32)


def blind() -> BlindCapture:
    return BlindCapture(CPU, "a test")


def stand_in(capture: BlindCapture, source: Any = "x") -> Any:
    return from_value(capture.placeholder(AVAL, source))


def around() -> tuple[Any, ...]:
    return state.traces.get(CPU), state.capture, state.checks, list(state.transforms)


class Told(Rules):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[str, bool]] = []

    def before_write(self, target: Any, new: Value, step: Any, name: str) -> None:
        self.writes.append((name, self.is_captured(target)))


# --- running --------------------------------------------------------------------------------------


def test_operators_are_recorded_apart_and_everything_is_put_back() -> None:
    before, mine, rules = around(), blind(), Told()
    with mine.recording(), rules.running():
        assert state.capture is mine and state.traces[CPU] is mine and on_stand_ins(CPU)
        y = stand_in(mine) + 1
        assert state.transforms[-1] is rules
    assert y._value().trace is mine and len(mine.outs) == 1
    assert around() == before and not on_stand_ins(CPU)


def test_an_error_inside_puts_everything_back() -> None:
    before, mine = around(), blind()
    with pytest.raises(KeyError), mine.recording(), Told().running():
        raise KeyError
    assert around() == before and mine.checks == []


def test_asking_for_a_number_is_no_exception_of_the_users() -> None:
    mine = blind()
    with pytest.raises(DataDependent, match="a test needs the value of a tensor"), mine.recording():
        try:
            stand_in(mine).sum().item()
        except Exception:
            pytest.fail("a handler of the user's caught it")
    assert not issubclass(DataDependent, Exception)


def test_a_tensor_that_was_carried_out_says_so() -> None:
    mine = blind()
    with mine.recording():
        x = stand_in(mine)
        y = x * 2
    for tensor in (x, y):
        with pytest.raises(RuntimeError, match="inside a test is used outside of it"):
            tensor.tolist()
        with pytest.raises(RuntimeError, match="inside a test is used outside of it"):
            tensor + 1


def test_a_long_capture_is_no_reason_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchish._core.trace.settings.max_nodes", 5)
    mine = blind()
    with mine.recording():
        x = stand_in(mine)
        for _ in range(12):
            x = x + 1
    assert len(mine.outs) == 12


def test_captures_nest_and_outside_goes_one_further() -> None:
    outer, inner = blind(), blind()
    with outer.recording():
        x = stand_in(outer) * 2
        with inner.recording():
            assert inner.outer is outer
            y = x + stand_in(inner)
            with inner.outside():
                assert state.capture is outer
                z = x * 3
            assert state.capture is inner
        assert state.capture is outer
    assert inner.outer is None
    assert y._value().trace is inner and z._value().trace is outer
    assert inner.captured(-2) is x._value() and len(outer.outs) == 2


def test_outside_leaves_checks_and_rules_of_the_inside_behind() -> None:
    flag, rules, mine = Value(np.bool_(False), aval_of((), float32)), Told(), blind()
    before = around()
    with mine.recording(), rules.running():
        defer_check(flag, KeyError)
        with mine.outside():
            assert around() == before
        assert state.transforms[-1] is rules and len(state.checks) == 1
    assert [error for _, error in mine.checks] == [KeyError] and around() == before


def test_a_capture_on_real_tensors_runs_and_hands_its_checks_on() -> None:
    class Watching(Capture):
        seen = 0

        def note_read(self, value: Value) -> None:
            self.seen += 1

    mine, flag = Watching(CPU, "a test"), Value(None, aval_of((), float32))
    x = torch.ones(3)
    try:
        with mine.recording():
            defer_check(flag, KeyError)
            assert (x * 2).sum().item() == 6
        assert mine.seen and not on_stand_ins(CPU)
        assert state.checks[-1][0] is flag
    finally:
        state.checks[:] = [pair for pair in state.checks if pair[0] is not flag]


# --- stand-ins, and what comes from outside -------------------------------------------------------


def test_stand_ins_keep_their_source_and_nothing_keeps_them() -> None:
    mine = blind()
    a, b = mine.placeholder(AVAL, "first"), mine.placeholder(AVAL, "second")
    assert [mine.sources[mine.slot(v)] for v in (a, b)] == ["first", "second"]
    assert mine.externals == [None, None]


def test_a_value_from_outside_stands_at_one_slot() -> None:
    mine, x = blind(), torch.ones(3)
    with mine.recording():
        y = stand_in(mine) + x
        z = y * x
    assert mine.slot(x._value()) == -2 and mine.captured(-2) is x._value()
    assert mine.slot(z._value()) == 1


def test_marks_are_gone_back_to() -> None:
    mine = blind()
    with mine.recording():
        x = stand_in(mine)
        y = x * 2.5
        mark = mine.mark()
        stand_in(mine, "late") * torch.ones(3) * 7
    mine.forget(mark)
    assert mine.mark() == mark and list(mine.sources) == [-1] and len(mine.sites) == 1
    assert mine.slot(y._value()) == 0


def test_writes_to_tensors_from_before_are_told_from_others() -> None:
    old, rules = torch.ones(3), Told()
    with rules.running():
        torch.zeros(3).add_(1)
        old.mul_(2)
        old[1:].zero_()
    assert [captured for _, captured in rules.writes] == [False, True, True]


def test_what_depends_on_a_slot() -> None:
    mine = blind()
    with mine.recording():
        a, b = stand_in(mine), stand_in(mine)
        y = a * 2
        z = b + 1
        w = y + z
    slots = mine.reached({mine.slot(a._value())})
    assert {mine.slot(v._value()) for v in (a, y, w)} <= slots
    assert not {mine.slot(v._value()) for v in (b, z)} & slots


# --- bodies ---------------------------------------------------------------------------------------


def chain() -> tuple[BlindCapture, list[int]]:
    mine, w = blind(), torch.ones(3)
    with mine.recording():
        a, b = stand_in(mine, "a"), stand_in(mine, "b")
        y = a * 2.0 + w
        unused = b * 5.0
        z = y - 1
    return mine, [mine.slot(t._value()) for t in (y, unused, z)]


def test_a_body_takes_what_the_wanted_slots_need() -> None:
    mine, (y, unused, z) = chain()
    body = mine.body([z])
    assert set(body.inputs) == {-1, -3} and len(body.numbers) == 2
    assert mine.body([y, unused]).inputs != body.inputs and not body.draws
    assert {mine.number(s) for s in body.numbers} == {2.0, 1}


def test_a_body_is_a_function_of_arrays() -> None:
    mine, (y, _, z) = chain()
    body = mine.body([z, y, -1])
    given = {-1: jnp.arange(3, dtype="float32"), -3: jnp.ones(3, "float32")}
    arrays = [given[s] for s in body.inputs]
    numbers = [jnp.asarray(mine.number(s)) for s in body.numbers]
    outs = body.of_operands([*arrays, *numbers])
    assert [o.tolist() for o in outs] == [[0, 2, 4], [1, 3, 5], [0, 1, 2]]


def test_equal_structures_have_one_body() -> None:
    (first, slots), (second, others) = chain(), chain()
    assert first.body(slots) is second.body(others)
    assert first.body(slots) is not first.body(slots[:1])


def test_later_entries_take_what_earlier_ones_made() -> None:
    mine = blind()
    with mine.recording():
        x = stand_in(mine)
        y = x * 2.0
        since = (len(mine.entries), len(mine.outs))
        z = y * 3
    body = mine.body([mine.slot(z._value())], since)
    assert len(body.nodes) == 1 and body.inputs == (mine.slot(y._value()),)
    (out,) = body.of_operands([jnp.ones(3, "float32"), jnp.asarray(3)])
    assert out.tolist() == [3, 3, 3]


# --- who draws ------------------------------------------------------------------------------------


def test_draws_go_to_the_innermost_and_on_to_the_one_around() -> None:
    key = (np.zeros(2, np.uint32), "threefry2x32")
    recorder, sample = Recorder("a test", CPU, key), Sample(CPU, 4, "different")
    with recorder.recording():
        with sample.recording():
            assert sample.draws_by_key
            torch.rand(3)
        assert recorder.draws == 1
        assert current_trace(CPU) is recorder
    assert sample.sources[-1].value.aval.shape == (4, 3)
    assert not sample.draws_by_key


def test_a_sample_asks_whether_random_numbers_are_wanted() -> None:
    with Sample(CPU, 4, "error").recording(), pytest.raises(RuntimeError, match="randomness"):
        torch.rand(3)
    torch.manual_seed(0)
    with Sample(CPU, 4, "same").recording():
        same = torch.rand(3)
    torch.manual_seed(0)
    assert same.tolist() == torch.rand(3).tolist()


# --- everybody uses it ----------------------------------------------------------------------------


def test_all_who_capture_are_captures() -> None:
    from torchish._dynamo.observing import Observation

    assert issubclass(Observation, Capture) and not issubclass(Observation, BlindCapture)
    assert issubclass(Sample, BlindCapture) and issubclass(Recorder, BlindCapture)
    call = ReplicaCall("f", [CPU], "i", (1,), RuntimeError)
    assert isinstance(call.lanes[0], BlindCapture)
