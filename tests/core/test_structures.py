"""What `torchish.explain()` knows of programs, and the warning about a line compiled too often."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import torchish as torch
from torchish._basics.state import state
from torchish._basics.stats import stats
from torchish._core import running, trace
from torchish._core.cache import ProgramCache
from torchish._core.policy import Policy
from torchish._core.structures import RECOMPILATIONS, WHOLE, difference, structures


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A policy, a cache and a record that have seen nothing."""
    trace.flush_all()
    monkeypatch.setattr(state, "policy", Policy())
    monkeypatch.setattr(running, "_cache", ProgramCache())
    structures.clear()
    stats.reset()
    yield
    trace.flush_all()
    structures.clear()


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile every structure at its first flush."""
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (1, 1))


def here() -> int:
    """The line that calls this."""
    return sys._getframe(1).f_lineno


def given(*shape: int, dtype: Any = np.float32) -> Any:
    return torch.tensor(np.ones(shape, dtype))


def explained(capsys: pytest.CaptureFixture[str]) -> str:
    torch.explain()
    return capsys.readouterr().out


def differences() -> list[str]:
    return [s.differs.text for s in structures.known.values() if s.differs is not None]


def test_explain_names_the_batch_size_that_differs(capsys: pytest.CaptureFixture[str]) -> None:
    for n in (32, 31):
        x = given(n, 4)
        (torch.tanh(x) + 1).sum().item()
    line = here() - 1
    text = explained(capsys)
    assert f"batch size 31 instead of 32 at {__file__}:{line}" in text
    assert f"3 operators, {__file__}:{line}: interpreted once" in text
    assert "cheaper than a call of XLA" in text and "2 x a value is read" in text


def test_explain_says_how_long_compiling_took_and_what_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "_takeover", lambda *_: (3, 3))
    for _ in range(5):
        (given(7, 3) * 2).sum().item()
    text = explained(capsys)
    assert re.search(r"interpreted 2 times, compiled in \d+\.\d\d s, then run 3 times", text)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (lambda: given(2, 3) + 1, lambda: given(2, 5) + 1,
         "size 5 instead of 3 in dimension 1 of an operand of add"),
        (lambda: given(4) + 1, lambda: given(6) + 1,
         "size 6 instead of 4 in dimension 0 of an operand of add"),
        (lambda: given(2, 3) + 1, lambda: given(2, 3, 1) + 1,
         "shape (2, 3, 1) instead of (2, 3) of an operand of add"),
        (lambda: given(3) * 2, lambda: given(3, dtype=np.float64) * 2,
         "float64 instead of float32 as an operand of mul"),
        (lambda: given(3) * 2, lambda: given(3) * given(3), "a tensor instead of a number"),
        (lambda: given(3) * 2, lambda: given(3) / 2, "div instead of mul"),
        (lambda: given(2, 3).sum(0), lambda: given(2, 3).sum(1), "dim=1 instead of 0 of sum"),
        (lambda: given(3).exp(), lambda: given(3).exp().sin().cos(), "2 operators more, from"),
        (lambda: given(3).exp().sin(), lambda: given(3).exp(), "1 operator fewer, those from"),
    ],
)  # fmt: skip
def test_differences_in_words(first: Any, second: Any, words: str) -> None:
    for make in (first, second):
        make().tolist()
    old, new = structures.known.values()
    text = difference(new, old).text
    assert words in text and f" {__file__}:" in text


def test_results_that_are_kept_differ() -> None:
    kept = []
    for keep in (False, True):
        x = given(3)
        y = x.exp()
        z = y + 1
        if keep:
            kept.append(y)
        del y
        z.tolist()
    assert any("a result of exp" in d and "still referred to" in d for d in differences())


def test_the_sixth_compilation_of_a_line_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)

    def use(n: int) -> None:
        assert (given(n, 4) + 1).sum().item() == 8 * n

    for n in range(1, RECOMPILATIONS + 1):
        use(n)
    with pytest.warns(RuntimeWarning, match=r"compiled 6 times.*batch size 6 instead of 5.*drop_"):
        use(RECOMPILATIONS + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(20, 24):
            use(n)


def test_the_warning_is_at_the_users_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once(monkeypatch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(1, 8):
            x = given(n) * 3
            assert x.sum().item() == 3 * n
        line = here() - 1
    (warning,) = [w for w in caught if "compiled 6 times" in str(w.message)]
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_nothing_warns_where_everything_is_compiled_on_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torchish._basics.settings import settings

    monkeypatch.setattr(settings, "compiled", True)
    for n in range(1, 9):
        (given(n, 2) - 1).sum().item()
    assert stats.programs_compiled == 8


def test_the_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchish._core.structures.KEPT", 10)
    monkeypatch.setattr("torchish._core.structures.WHOLE", 40)
    for n in range(2, 40):
        (given(n, 2) + 1).tolist()
    assert len(structures.known) == 10
    assert structures.entries == sum(len(s.entries) for s in structures.whole) <= 40 < WHOLE


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        torch.optim.Adam,
        torch.optim.Adadelta,
    ],
    ids=["sgd", "momentum", "adam", "adadelta"],
)
def test_the_first_step_has_the_structure_of_the_second(make: Any) -> None:
    """What is recorded before a loop's first `zero_grad` is a program of its own."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.sin(torch.arange(p.numel()) * 0.37).view(p.shape))
    optimizer = make(model.parameters())
    x = torch.ones(3, 4).cos()
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    assert [s.cold for s in structures.known.values()] == [1, 3]
