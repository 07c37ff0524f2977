"""`torch._check` and its relatives raise what PyTorch's raise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchish

CALLS = """
m._check(False)
m._check(False, lambda: "hey")
m._check(1)
m._check(False, "text")
m._check(True, "text")
m._check_index(False, lambda: "i")
m._check_value(False)
m._check_type(False)
m._check_not_implemented(False)
m._check(m.tensor(False))
m._check_with(KeyError, False, lambda: "q")
m._check_tensor_all(m.tensor([True, False]))
m._check_tensor_all(m.tensor([True, True]))
m._check_tensor_all(m.ones(2))
m._check_tensor_all(3)
m._assert_async(m.tensor(0))
m._assert_async(m.tensor(False), "bad")
m._assert_async(m.tensor([2.0]))
m._assert_async(m.ones(2))
m._assert_async(m.ones(0))
m._shape_as_tensor(m.ones(2, 3))
""".strip().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_conditions(call: str) -> None:
    def result(m: Any) -> str:
        try:
            return str(eval(call, {"m": m}))
        except Exception as error:
            text = str(error).replace("torchish.", "torch.")
            return f"{type(error).__name__}: {text}"

    assert result(torchish) == result(torch)
