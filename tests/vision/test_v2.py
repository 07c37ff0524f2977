"""The second API against torchvision: the installed one, or what was recorded of it."""

import importlib.util

import pytest

from tests.vision import answers, v2_cases

LIVE = importlib.util.find_spec("torchvision") is not None
CASES = v2_cases.cases()


@pytest.fixture(scope="module")
def ours():
    return answers.Library("torchish", "torchish.vision")


@pytest.fixture(scope="module")
def expected():
    """A function from cases to torchvision's answers."""
    if LIVE:
        theirs = answers.Library("torch", "torchvision")
        return lambda case: answers.answers(theirs, case)
    recorded = answers.recorded(v2_cases.EXPECTED)
    return lambda case: recorded[case.name]


@pytest.mark.parametrize("name", sorted(set(map(answers.group, CASES))))
def test_same_answers(name, ours, expected):
    assert not answers.wrong(CASES, name, ours, expected)
