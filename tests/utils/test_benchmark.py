"""torch.utils.benchmark: statistics and tables against torch's; what is timed is computed."""

from __future__ import annotations

import pickle
import re
import timeit
from typing import Any

import pytest
import torch.utils.benchmark
import torch.utils.benchmark.utils.common

import torchish
import torchish.utils.benchmark
from torchish._basics.errors import NotSupportedError

OURS, THEIRS = torchish.utils.benchmark, torch.utils.benchmark


def measurement(b: Any, times: list[float], runs: int = 10, **spec: Any) -> Any:
    task = {"stmt": "f(x)", "setup": "pass", **spec}
    return b.Measurement(runs, times, b.TaskSpec(**task))


TIMES = {
    "one": [0.004], "some": [0.004, 0.005, 0.0041, 0.0042], "spread": [0.001, 0.004, 0.006, 0.02],
    "steady": [0.01, 0.010001, 0.010002, 0.01], "wide": [0.01, 0.0101, 0.0113, 0.0118, 0.012],
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_statistics_and_text(name: str) -> None:
    for spec in ({}, {"label": "add", "sub_label": "4x8", "num_threads": 2, "description": "here"},
                 {"stmt": "a = 1\nb = 2", "setup": "c = 3\nd = 4", "sub_label": "x"},
                 {"setup": "import math", "env": "old"}):  # fmt: skip
        mine, theirs = (measurement(b, TIMES[name], **spec) for b in (OURS, THEIRS))
        for fact in ("median", "mean", "iqr", "times"):
            assert getattr(mine, fact) == pytest.approx(getattr(theirs, fact))
        assert mine.significant_figures == theirs.significant_figures
        assert mine.has_warnings == theirs.has_warnings
        for fact in ("title", "as_row_name", "stmt", "num_threads", "label"):
            assert getattr(mine, fact) == getattr(theirs, fact)
        shown = [re.sub(r"^.*object at.*\n", "", repr(x)) for x in (mine, theirs)]
        assert shown[0] == shown[1]
    assert pickle.loads(pickle.dumps(mine)) == mine


def test_small_helpers() -> None:
    for t in (3e-9, 2.5e-6, 0.004, 7.0, 900.0):
        assert OURS.select_unit(t) == THEIRS.select_unit(t)
        for n in (1, 2, 3):
            if (t, n) != (2.5e-6, 1):  # torch divides in float32, and 2.5 is half-way
                assert OURS.trim_sigfig(t, n) == pytest.approx(THEIRS.trim_sigfig(t, n), rel=1e-6)
    assert OURS.unit_to_english("us") == "microsecond"
    assert OURS.ordered_unique([3, 1, 3]) == [3, 1]
    many = [measurement(OURS, [1.0, 2.0], 1), measurement(OURS, [30.0], 10)]
    assert OURS.Measurement.merge(many)[0].times == [1.0, 2.0, 3.0]


def results(b: Any, envs: bool) -> list[Any]:
    found = []
    for k, (threads, sub, what) in enumerate(
        [(1, "1x1", "ours"), (1, "1x1", "theirs"), (1, "64x64", "ours"), (2, "1x1", "theirs"),
         (2, "64x64", "ours"), (2, "64x64", "theirs"), (1, "64x64", "theirs")]
    ):  # fmt: skip
        times = [0.001 * (k + 1), 0.0011 * (k + 1), 0.0013 * (k + 1), 0.003 * (k + 1)]
        found.append(measurement(
            b, times, label="add", sub_label=sub, description=what, num_threads=threads,
            env=f"env {k % 2}" if envs else None,
        ))  # fmt: skip
    return [*found, measurement(b, [0.5], label="another", sub_label="y", description="ours")]


@pytest.mark.parametrize("envs", [False, True])
@pytest.mark.parametrize("how", ["plain", "trim", "columns", "rows", "warnings"])
def test_tables(how: str, envs: bool) -> None:
    shown = []
    for b in (OURS, THEIRS):
        compare = b.Compare(results(b, envs)[:3])
        compare.extend_results(results(b, envs)[3:])
        if how == "trim":
            compare.trim_significant_figures()
        if how in ("columns", "rows"):
            compare.colorize(rowwise=how == "rows")
        if how == "warnings":
            compare.highlight_warnings()
        shown.append(str(compare))
    assert shown[0] == shown[1]


def test_what_is_timed_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    count = []

    class Watch:
        def __call__(self) -> Any:
            count.append(torchish.ones(3) * 2)
            return count[-1]

    timer = OURS.Timer("f()", globals={"f": Watch()}, label="f", description="here")
    found = timer.timeit(5)
    assert len(count) == 7 and found.number_per_run == 5 and len(found.raw_times) == 1
    assert all(x._storage.value.trace is None for x in count)  # no work is left behind
    x = torchish.ones(40, 40)
    blocks = OURS.Timer("y = x @ x", globals={"x": x}).blocked_autorange(min_run_time=0.01)
    assert blocks.median > 1e-7 and sum(blocks.raw_times) >= 0.01
    seen: list[Any] = []
    steady = OURS.Timer("x @ x", globals={"x": x}, timer=timeit.default_timer).adaptive_autorange(
        1.0, min_run_time=0.001, max_run_time=0.5, callback=lambda n, t: seen.append((n, t))
    )
    assert len(seen) == len(steady.raw_times)
    OURS.Compare([found]).print()
    assert "Times are in" in capsys.readouterr().out


def test_statements_see_torch_and_setup() -> None:
    timer = OURS.Timer(
        """
        y = torch.add(x, 1)
        y += 1
        """,
        setup="x = torch.zeros(2)", num_threads=1,
    )  # fmt: skip
    assert timer.timeit(2).mean > 0
    assert timer._task_spec.stmt == "y = torch.add(x, 1)\ny += 1"


def test_errors() -> None:
    for b in (OURS, THEIRS):
        with pytest.raises(ValueError, match="only a `str` stmt"):
            b.Timer(3)
        with pytest.raises(ValueError, match="Invalid language"):
            b.Timer("x", language="rust")
        with pytest.raises(ValueError, match="global_setup is C"):
            b.Timer("x", global_setup="y")
        with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
            b.Compare([3])
        with pytest.raises(NotImplementedError, match="blocked_autorange"):
            b.Timer("1").repeat()
    with pytest.raises(NotSupportedError, match="collect_callgrind"):
        OURS.Timer("1").collect_callgrind()
    with pytest.raises(NotSupportedError, match="Python statement"):
        OURS.Timer("1", language="c++")
