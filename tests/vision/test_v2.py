"""The second API against torchvision: the installed one, or what was recorded of it."""

import importlib.util

import pytest

from tests.vision import v2_cases

LIVE = importlib.util.find_spec("torchvision") is not None
CASES = v2_cases.cases()


@pytest.fixture(scope="module")
def ours():
    return v2_cases.Library("torchish", "torchish.vision")


@pytest.fixture(scope="module")
def expected():
    """A function from cases to torchvision's answers."""
    if LIVE:
        theirs = v2_cases.Library("torch", "torchvision")
        return lambda case: v2_cases.answers(theirs, case)
    answers = v2_cases.recorded()
    return lambda case: answers[case.name]


def group(case):
    """Cases are run by function or class, so that a failure names one."""
    return ".".join(case.name.split(".")[:2])


@pytest.mark.parametrize("name", sorted({group(case) for case in CASES}))
def test_same_answers(name, ours, expected):
    wrong = []
    for case in (c for c in CASES if group(c) == name):
        difference = v2_cases.differences(v2_cases.answers(ours, case), expected(case), case)
        if difference:
            wrong.append(f"{case.name}: {difference}")
    assert not wrong, "\n".join(wrong)
