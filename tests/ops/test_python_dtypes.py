"""int, float, bool and complex stand for dtypes wherever one is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchish

CALLS = """
m.as_tensor([1.0], dtype=int)
m.tensor([1.0], dtype=int)
m.ones(2, dtype=complex)
m.arange(3, dtype=float)
m.ones(2).to(int)
m.ones(2).to(dtype=float)
m.ones(2).to("cpu", int)
m.ones(2).sum(dtype=int)
m.ones(2).mean(dtype=float)
m.ones(2).cumsum(0, dtype=int)
m.nn.functional.softmax(m.ones(2), 0, dtype=float)
m.linalg.vector_norm(m.ones(2), dtype=float)
m.ones(2).new_tensor([1], dtype=int)
m.scalar_tensor(1, dtype=int)
m.zeros_like(m.ones(2), dtype=bool)
m.nn.Linear(1, 1).to(float).weight.dtype
m.nn.Linear(1, 1).to("cpu", float).bias.dtype
m.ones(2).view(int)
m.promote_types(int, float)
m.finfo(float)
m.can_cast(int, float)
""".strip().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_python_types_are_dtypes(call: str) -> None:
    def result(m: Any) -> str:
        return str(eval(call, {"m": m}))

    assert result(torchish) == result(torch)
