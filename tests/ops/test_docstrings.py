"""Docstrings of public operators: their own words, and what the registry says of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import torchish
from torchish._ops import registry
from torchish._ops.call.docstrings import MANUAL, page

PLACES = [place for place in registry.PLACES if place != "internal"]
# Bodies that stand for several functions say what their first argument is in their own words.
FIRST = {"self", "input", "tensor", "A"}


def functions(place: str) -> Iterator[tuple[str, Any]]:
    yield from ((n, f) for n, f in registry.table(place).items() if inspect.isfunction(f))


def sections(function: Any) -> dict[str, str]:
    return dict(re.findall(r"^(Shape|Dtype|Raises|Source): (.+)", function.__doc__, re.M))


@pytest.mark.parametrize("place", PLACES)
def test_every_operator_says_what_it_does_how_it_is_called_and_whence(place: str) -> None:
    for name, function in functions(place):
        text = function.__doc__
        head, call, *_ = text.split("\n\n")
        assert head.strip() and "Source:" not in head, name
        assert re.match(r"torch[\w.]*\.\w+\(.*\)$", call), (name, text)
        last = text.splitlines()[-1]
        assert last.startswith("Source: ") and MANUAL in last, (name, text)
        assert text == inspect.cleandoc(text), name


@pytest.mark.parametrize("place", PLACES)
def test_calls_are_the_signatures(place: str) -> None:
    for name, function in functions(place):
        found = inspect.signature(function).parameters.values()
        signature = inspect.Signature([p.replace(annotation=p.empty) for p in found])
        spelled = re.search(r"^torch[\w.]*\((.*)\)$", function.__doc__, re.M)
        assert spelled, name
        ours, real = spelled[1].split(", "), str(signature)[1:-1].split(", ")
        assert ours[1:] == real[1:], name
        assert ours[0] == real[0] or {ours[0], real[0]} <= FIRST, name


@pytest.mark.parametrize("place", PLACES)
def test_records_say_shapes_dtypes_and_errors(place: str) -> None:
    for name, function in functions(place):
        operator = getattr(function, "operator", None)
        if operator is None:
            continue
        kinds = [p.kind for p in operator.binder.params]
        takes = "tensor" in kinds or "operand" in kinds
        wanted = {"Raises"} | ({"Dtype"} if takes else set())
        wanted |= {"Shape"} if takes and operator.elementwise else set()
        assert wanted <= set(sections(function)), (name, function.__doc__)


def test_what_one_says() -> None:
    assert torchish.add.__doc__ == (
        "out = input + alpha * other.\n\n"
        "torch.add(input, other, *, alpha=1, out=None)\n\n"
        "Shape: `input` and `other` broadcast together.\n"
        "Dtype: computed in the result type of `input` and `other`.\n"
        "Raises: TypeError for arguments of other kinds, RuntimeError for shapes that do not "
        "broadcast or an `out` to whose dtype the result cannot be cast.\n"
        f"Source: {MANUAL}/generated/torch.add.html"
    )
    assert torchish.Tensor.add_.__doc__.splitlines()[2] == (
        "torch.Tensor.add_(self, other, *, alpha=1)"
    )
    assert "int64 for bools" in torchish.sum.__doc__
    # A section of the definition's own stands; papers come first, from the function or its family.
    assert "(n, m) (m) -> (n)" in torchish.matmul.__doc__
    norm = sections(torchish.nn.functional.layer_norm)["Source"]
    assert norm.startswith("Ba et al., 2016; https://")
    assert sections(torchish.fft.rfft)["Source"].startswith("Cooley & Tukey")


def test_pages() -> None:
    functional = registry.table("nn.functional")

    def found(place: str, name: str) -> str:
        return page(place, name, functional).removeprefix(f"{MANUAL}/")

    assert found("torch", "add") == "generated/torch.add.html"
    assert found("torch", "abs_") == "generated/torch.Tensor.abs_.html"
    assert found("torch", "conv2d") == "generated/torch.nn.functional.conv2d.html"
    assert found("torch", "rsub") == "torch.html"
    assert found("method", "relu") == "tensors.html"
    assert found("linalg", "inv") == "generated/torch.linalg.inv.html"
    assert found("special", "ndtr") == "special.html#torch.special.ndtr"
    assert found("nn.functional", "selu_") == "nn.functional.html"
