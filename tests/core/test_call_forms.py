"""Call forms: the short way and the general way of calling an operator do the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

import torchish as torch
from torchish._ops.call import forms
from torchish._ops.registry import operators


def _calls() -> dict[str, Any]:
    x, y = torch.arange(6.0).view(2, 3).clone(), torch.full((2, 3), 2.0)
    return {
        "operator": lambda: x * y,
        "number": lambda: x * 2,
        "method": lambda: x.add(y, alpha=3),
        "function": lambda: torch.add(x, y, alpha=3),
        "keywords": lambda: torch.sum(x, dim=1, keepdim=True),
        "mixed": lambda: torch.sum(x, 1, keepdim=True),
        "static list": lambda: torch.sum(x, dim=[0, 1]),
        "scalars": lambda: torch.clamp(x, 1, 4),
        "optional": lambda: torch.nn.functional.layer_norm(x, (3,), torch.ones(3), None),
        "view": lambda: x.t() * y.t(),
        "integer": lambda: torch.arange(3) + 1,
    }


@pytest.mark.parametrize("name", _calls())
def test_the_second_call_takes_a_form_and_gives_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _calls()[name]
    first, second = run(), run()  # the first makes the kernel
    with monkeypatch.context() as patch:
        for operator in set(operators.values()):
            patch.setattr(operator, "forms", {})
        patch.setattr("torchish._ops.call.forms.make_form", lambda *_: forms._no_form)
        general = run()
    for made in (second, general):
        assert made.dtype is first.dtype and made.stride() == first.stride()
        assert torch.equal(made, first)


def test_a_form_records_history_as_the_general_way() -> None:
    w = torch.tensor([2.0, 3.0], requires_grad=True)
    for _ in range(2):
        w.grad = None
        y = (w * w).sum()
        assert type(y.grad_fn).__name__ == "SumBackward0"
        y.backward()
        assert w.grad.tolist() == [4.0, 6.0]
    with torch.no_grad():
        assert not (w * w).requires_grad
    with torch.inference_mode():
        assert (w * w).is_inference()


def test_errors_are_those_of_the_general_way() -> None:
    x = torch.ones(2)
    assert torch.equal(x.add(x), x + x)
    for call, text in (
        (lambda: x.add(x, beta=1), "unexpected keyword argument 'beta'"),
        (lambda: torch.add(x), "missing 1 required positional argument"),
        (lambda: torch.sum(x, dim=0, keepdim=1), "argument 'keepdim' must be bool, not int"),
        (lambda: x * torch.ones(3), "The size of tensor a (2) must match the size of tensor b (3)"),
    ):
        for _ in range(2):
            with pytest.raises((TypeError, RuntimeError), match=re.escape(text)):
                call()


def test_autocast_is_asked_by_python_operators_that_have_a_kernel_already() -> None:
    a, b = torch.ones(4, 4), torch.ones(4, 4)
    assert (a @ b).dtype is torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ b).dtype is torch.bfloat16
    assert (a @ b).dtype is torch.float32
