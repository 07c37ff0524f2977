"""Strided nested tensors against PyTorch's."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from torchish._basics.errors import NotSupportedError

from .test_jagged import facts, matrix


def parts(m: Any) -> list[Any]:
    return [matrix(m, 2, 4), matrix(m, 3, 4)]


def nested(m: Any, **kwargs: Any) -> Any:
    return m.nested.nested_tensor(parts(m), **kwargs)


def samples(x: Any) -> list[Any]:
    """What is compared of a result."""
    if isinstance(x, tuple | list):
        return [fact for part in x for fact in samples(part)]
    if getattr(x, "is_nested", False):
        return [part.detach().numpy() for part in x.unbind()]
    return facts(x)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "itself": nested,
    "irregular": lambda m: m.nested.nested_tensor([matrix(m, 2, 3), matrix(m, 3, 2)]),
    "facts": lambda m: [nested(m).dim(), nested(m).numel(), nested(m).size(0), nested(m).size(2),
                        nested(m).is_nested, nested(m).is_contiguous()],
    "sample": lambda m: nested(m)[1],
    "number": lambda m: nested(m) * 3 + 1,
    "both": lambda m: nested(m) + nested(m),
    "relu": lambda m: nested(m).relu(),
    "gelu": lambda m: m.nn.functional.gelu(nested(m)),
    "linear": lambda m: m.nn.functional.linear(nested(m), matrix(m, 3, 4), matrix(m, 3)),
    "layer_norm": lambda m: m.nn.functional.layer_norm(nested(m), (4,), matrix(m, 4), matrix(m, 4)),
    "softmax": lambda m: m.softmax(nested(m), -1),
    "matmul": lambda m: m.matmul(nested(m), nested(m).transpose(1, 2)),
    "bmm": lambda m: m.bmm(nested(m), nested(m).transpose(1, 2)),
    "transpose": lambda m: nested(m).transpose(1, 2),
    "sum": lambda m: nested(m).sum(-1, keepdim=True),
    "chunk": lambda m: nested(m).chunk(2, -1),
    "padded": lambda m: m.nested.to_padded_tensor(nested(m), 9.0),
    "padded more": lambda m: m.nested.to_padded_tensor(nested(m), 9.0, (2, 4, 5)),
    "of rows": lambda m: m.nested.as_nested_tensor(matrix(m, 2, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = samples(QUESTIONS[name](torch))
    mine = samples(QUESTIONS[name](torchish))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, 1e-5, 1e-6)
        else:
            assert a == b


def test_gradients() -> None:
    found = []
    for m in (torchish, torch):
        leaves = [x.requires_grad_() for x in parts(m)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = m.nested.as_nested_tensor(leaves)
            m.nn.functional.linear(x.relu(), matrix(m, 3, 4)).to_padded_tensor(0.0).sum().backward()
        found.append([x.grad.numpy() for x in leaves])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-5)


@pytest.mark.parametrize("kwargs", [{}, {"requires_grad": True}, {"dtype": "float64"}])
def test_printed_text(kwargs: dict[str, Any]) -> None:
    shown = []
    for m in (torchish, torch):
        given = {k: getattr(m, v) if k == "dtype" else v for k, v in kwargs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shown.append(repr(nested(m, **given)))
    assert shown[0] == shown[1]


def test_copies() -> None:
    x = nested(torchish, requires_grad=True)
    y = copy.deepcopy(x)
    assert y.requires_grad and all(bool((a == b).all()) for a, b in zip(x, y, strict=True))


WRONG: dict[str, Callable[[Any], Any]] = {
    "irregular size": lambda m: nested(m).size(1),
    "shape": lambda m: nested(m).shape,
    "dims": lambda m: m.nested.nested_tensor([m.ones(2), m.ones(2, 2)]),
    "narrow": lambda m: m.nested.narrow(m.ones(2, 3), 1, m.tensor([0, 1]), 1),
    "smaller": lambda m: m.nested.to_padded_tensor(nested(m), 0.0, (2, 2, 4)),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises(RuntimeError) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            WRONG[name](m)
        found.append(str(caught.value))
    assert found[0] == found[1]


def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="cumsum of nested tensors"):
        nested(torchish).cumsum(1)
