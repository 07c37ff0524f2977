"""The second API against torchvision: the installed one, or what was recorded of it."""

import importlib.util

import pytest

from tests.vision import answers, v2_cases
from torchish.vision.transforms import v2

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


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_a_wrong_alpha_is_refused_where_it_is_given(name):
    for alpha in (0.0, -1.0):
        with pytest.raises(ValueError, match="Expected parameter concentration"):
            getattr(v2, name)(alpha=alpha)
