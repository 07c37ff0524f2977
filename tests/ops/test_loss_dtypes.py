"""The dtype of a loss whose operands have different ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchish

CALLS = {
    "of functional": lambda m, *a, **kw: m.nn.functional.binary_cross_entropy_with_logits(*a, **kw),
    "of torch": lambda m, *a, **kw: m.binary_cross_entropy_with_logits(*a, **kw).mean(),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("target", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("weight", ["float64", "float32"])
def test_a_loss_of_logits_has_the_dtype_of_its_target(name: str, target: str, weight: str) -> None:
    def result(m: Any) -> tuple[str, float, str]:
        x = m.tensor([0.3, -1.2, 2.0], requires_grad=True)
        y = m.tensor([0.0, 1.0, 0.25], dtype=getattr(m, target))
        w = m.tensor([0.5, 2.0, 1.0], dtype=getattr(m, weight))
        loss = CALLS[name](m, x, y, weight=w)
        loss.backward()
        return str(loss.dtype).split(".")[1], float(loss.detach()), str(x.grad.dtype).split(".")[1]

    (found, value, grad), (expected, other, as_there) = result(torchish), result(torch)
    assert (found, grad) == (expected, as_there)
    assert value == pytest.approx(other, rel=1e-2 if target == "bfloat16" else 1e-6)
