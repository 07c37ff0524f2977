"""Memory that a machine does not have: torch's errors, and nothing changed."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish
from torchish._basics import memory
from torchish._basics.devices import CPU, device

HUGE = 10**14
CASES: dict[str, Callable[[Any], Any]] = {
    # The operands are expanded: torch reads them where they are, and has no room for results.
    "stack": lambda m: m.stack([m.ones(1).expand(HUGE)] * 3, 1),
    "cat": lambda m: m.cat([m.ones(1).expand(HUGE)] * 2),
    "hstack": lambda m: m.hstack([m.ones(1).expand(HUGE)] * 2),
    "tile": lambda m: m.tile(m.ones(1).expand(HUGE), (2,)),
    "pad": lambda m: m.nn.functional.pad(m.ones(1).expand(HUGE), (1, 1)),
    "to double": lambda m: m.ones(1).expand(HUGE).double(),
    "compared": lambda m: m.ones(1).expand(HUGE) > 0,
    "empty": lambda t: t.empty(HUGE),
    "zeros": lambda t: t.zeros(HUGE, dtype=t.float64),
    "ones": lambda t: t.ones(3, HUGE),
    "full": lambda t: t.full((HUGE,), 2),
    "rand": lambda t: t.rand(HUGE),
    "randn": lambda t: t.randn(4, HUGE),
    "randint": lambda t: t.randint(0, 3, (HUGE,)),
    "arange": lambda t: t.arange(HUGE),
    "linspace": lambda t: t.linspace(0, 1, HUGE),
    "eye": lambda t: t.eye(10**7),
    "bool": lambda t: t.zeros(HUGE, dtype=t.bool),
    "new_zeros": lambda t: t.ones(1).new_zeros(HUGE),
    "zeros_like": lambda t: t.zeros_like(t.ones(1).expand(HUGE)),
    "clone": lambda t: t.ones(1).expand(HUGE).clone(),
    "contiguous": lambda t: t.ones(2).expand(HUGE, 2).contiguous(),
    "multiply": lambda t: t.ones(1).expand(HUGE) * 2,
    "repeat": lambda t: t.ones(3).repeat(HUGE),
    "add": lambda t: t.ones(10**7, 1) + t.ones(1, 10**7),
    "matmul": lambda t: t.ones(10**7, 1) @ t.ones(1, 10**7),
    "resize": lambda t: t.ones(1).resize_(HUGE),
    "storage": lambda t: t.UntypedStorage(HUGE),
    "Tensor": lambda t: t.Tensor(HUGE),
    "linear": lambda t: t.nn.Linear(10**7, 10**7),
    "overflow": lambda t: t.empty(2**62, dtype=t.float64),
    "overflow of two": lambda t: t.zeros(2**40, 2**40),
}


def raised(function: Callable[[Any], Any], module: types.ModuleType) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:
        function(module)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_allocated_raises_pytorchs_error(name: str) -> None:
    assert raised(CASES[name], torchish) == raised(CASES[name], torch)


def test_a_failed_allocation_changes_nothing() -> None:
    x = torchish.ones(2)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        x.resize_(HUGE)
    assert x.tolist() == [1, 1] and (x * 2).sum().item() == 4


def test_meta_tensors_need_no_memory() -> None:
    assert torchish.empty(HUGE, device="meta").shape == (HUGE,)
    assert torchish.full((HUGE,), 1.5, device="meta").dtype is torchish.float32
    assert torchish.empty(3, device="meta").new_zeros(HUGE).numel() == HUGE


def test_the_class_of_devices_that_are_full() -> None:
    assert torchish.cuda.OutOfMemoryError is torchish.OutOfMemoryError
    assert [c.__name__ for c in torchish.OutOfMemoryError.__mro__] == [
        c.__name__ for c in torch.OutOfMemoryError.__mro__
    ]
    assert torchish.OutOfMemoryError.__module__ == torch.OutOfMemoryError.__module__


def test_xlas_exhaustion_becomes_torchs_error() -> None:
    error = RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4096 bytes.")
    on_host = memory.as_out_of_memory(error, CPU)
    assert type(on_host) is RuntimeError and "allocate 4096 bytes. Error code 12" in str(on_host)
    on_device = memory.as_out_of_memory(error, device("cuda:1"))
    assert type(on_device) is torchish.OutOfMemoryError
    assert str(on_device).startswith("CUDA out of memory. Tried to allocate 4.00 KiB.")
    assert memory.as_out_of_memory(ValueError("other"), CPU) is None


def test_a_program_that_runs_out_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the sizes of results do not show is found out by XLA.
    monkeypatch.setattr(memory, "all_memory", lambda: 1 << 62)
    x = torchish.ones(1).expand(HUGE)
    with pytest.raises(RuntimeError, match=r"DefaultCPUAllocator: .* 400000000000000 bytes"):
        (x * 2).sum().item()
    assert torchish.ones(2).sum().item() == 2
