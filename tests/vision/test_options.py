"""Every public transform and function of both APIs, every option of it, against torchvision."""

import importlib.util
import inspect
import json

import pytest

from tests.vision import answers, function_cases, option_cases, public_names

LIVE = importlib.util.find_spec("torchvision") is not None
NAMES = json.loads(public_names.TABLE.read_text())
# The base class, and what torchvision computes by its compiled encoder (test_io.py has ours).
APART = {"Transform", "JPEG", "jpeg", "jpeg_image", "jpeg_video"}
# Helpers: of one's own classes and kernels, and questions about samples.
HELPERS = {"register_kernel", "is_pure_tensor", "check_type", "get_bounding_boxes",
           "get_keypoints", "has_all", "has_any", "query_chw", "query_size"}  # fmt: skip


def public(module: str, kind: str) -> list[str]:
    """The classes or functions that torchvision shows in a module."""
    names = NAMES["names"][module].items()
    found = {name for name, place in names if NAMES["things"][place]["kind"] == kind}
    return sorted(found - APART - HELPERS)


FUNCTIONS = public("transforms.v2.functional", "function")
RECORDED = {
    option_cases.EXPECTED: list(option_cases.cases()),
    function_cases.EXPECTED: list(function_cases.cases(FUNCTIONS)),
}
CASES = [case for cases in RECORDED.values() for case in cases]


@pytest.fixture(scope="module")
def ours():
    return answers.Library("torchish", "torchish.vision")


@pytest.fixture(scope="module")
def expected():
    """A function from cases to torchvision's answers."""
    if LIVE:
        theirs = answers.Library("torch", "torchvision")
        return lambda case: answers.answers(theirs, case)
    found = {}
    for path in RECORDED:
        found.update(answers.recorded(path))
    return lambda case: found[case.name]


def options(thing, first: int = 0) -> set[str]:
    return set(list(inspect.signature(thing).parameters)[first:])


@pytest.mark.parametrize(("api", "module"), [("v1", "transforms"), ("v2", "transforms.v2")])
def test_every_transform_has_cases_for_every_option(api, module, ours):
    table, T = option_cases.tables()[api], getattr(ours, api)
    assert sorted(table) == public(module, "class")
    for name, entries in table.items():
        given = {key for entry in entries for key in option_cases.arguments(ours, T, entry)}
        assert options(getattr(T, name)) <= given, name


@pytest.mark.parametrize(
    ("api", "module"), [("v1", "transforms.functional"), ("v2", "transforms.v2.functional")]
)
def test_every_function_has_cases_for_every_option(api, module, ours):
    table, F = function_cases.tables()[api], function_cases.functional(ours, api)
    kernels = function_cases.kernels(FUNCTIONS) if api == "v2" else {}
    assert sorted([*table, *kernels]) == public(module, "function")
    for name, entries in table.items():
        given = {key for entry in entries for key in function_cases.arguments(ours, api, entry)}
        assert options(getattr(F, name), first=1) <= given, name


@pytest.mark.parametrize("name", sorted(set(map(answers.group, CASES))))
def test_same_answers(name, ours, expected):
    assert not answers.wrong(CASES, name, ours, expected)
