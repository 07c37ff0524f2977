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


def test_dtypes_that_have_a_name_only_are_refused_by_it() -> None:
    ours = {str(d) for d in vars(torchish).values() if isinstance(d, torchish.dtype)}
    assert ours == {str(d) for d in vars(torch).values() if isinstance(d, torch.dtype)}
    assert torchish.complex32.is_complex and torchish.chalf is torchish.complex32
    for dt in (torchish.complex32, torchish.quint8, torchish.float8_e8m0fnu, torchish.int4):
        for use in (
            lambda dt=dt: torchish.ones(2, dtype=dt), lambda dt=dt: torchish.tensor([1], dtype=dt),
            lambda dt=dt: torchish.ones(2).to(dt), lambda dt=dt: torchish.ones(2).view(dt),
            lambda dt=dt: torchish.empty(2, dtype=dt),
        ):  # fmt: skip
            with pytest.raises(torchish.NotSupportedError, match=f"tensors of {dt}"):
                use()
