"""Checks on values: a value that passed is not looked at again, one that changed is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import torchish as torch
import torchish.nn.functional as F
from torchish._autograd import require as checks
from torchish._autograd.require import require
from torchish._basics.state import state


def test_a_value_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def wrong(x: Any, limit: Any) -> Any:
        looked.append(limit)
        return x >= limit

    x = torch.tensor([1, 2])
    for limit in (5, 5, 6, 5, 6):
        require("below_a_limit", wrong, [x], [limit], lambda *_: IndexError("too large"))
    assert looked == [5, 6]
    for _ in range(2):
        with pytest.raises(IndexError, match="too large"):
            require("below_a_limit", wrong, [x], [2], lambda *_: IndexError("too large"))
    assert looked == [5, 6, 2, 2]


def test_labels_that_change_are_checked_again() -> None:
    logits, labels = torch.randn(3, 4), torch.tensor([0, 1, 2])
    shared = labels.numpy()
    for change in (
        lambda: shared.__setitem__(1, 9),
        lambda: labels.__setitem__(2, 9),
        lambda: labels.add_(9),
    ):
        labels.copy_(torch.tensor([0, 1, 2]))
        for _ in range(3):
            torch.nn.functional.cross_entropy(logits, labels)
        change()
        with pytest.raises(IndexError, match="Target .* is out of bounds"):
            torch.nn.functional.cross_entropy(logits, labels)


def test_few_values_are_remembered() -> None:
    logits = torch.randn(3, 4)
    for _ in range(3 * checks._REMEMBERED):
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2]))
        assert len(checks._passed) <= checks._REMEMBERED


def test_a_value_that_died_leaves_no_answer() -> None:
    logits = torch.randn(1, 4)
    for k in range(200):  # ids are given out again
        good = torch.tensor(np.array([k % 4]))
        torch.nn.functional.cross_entropy(logits, good)
        del good
        with pytest.raises(IndexError):
            torch.nn.functional.cross_entropy(logits, torch.tensor(np.array([4 + k])))


@pytest.mark.parametrize("bad", [None, 0, 1, 2])
def test_checks_that_follow_one_another_share_a_flag(bad: int | None) -> None:
    weight, row = torch.randn(5, 3), torch.tensor([1])
    torch.ones(1).item()  # nothing is pending
    rows = [F.embedding(row * (9 if k == bad else 1), weight) for k in range(3)]
    assert len(state.checks) == 1
    total = sum(rows)
    if bad is None:
        assert total.tolist() == (3 * weight[1]).unsqueeze(0).tolist()
    else:
        with pytest.raises(IndexError, match="index out of range in self"):
            total.tolist()
    assert not state.checks


def test_checks_of_other_words_keep_their_flags() -> None:
    row = torch.tensor([1])

    def check(text: str, limit: int) -> None:
        require("above", lambda x, n: x > n, [row * 1], [limit], IndexError(text))

    torch.ones(1).item()
    for text, limit in (("one", 5), ("two", 5), ("two", 0), ("one", 0)):
        check(text, limit)
    assert len(state.checks) == 3
    with pytest.raises(IndexError, match="two"):
        (row * 2).tolist()
    assert not state.checks
