"""Small functions that programs probe or call: of GPUs that are not there, symbols, swapping."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish

# What PyTorch without CUDA answers, too.
WITHOUT_A_GPU: dict[str, Callable[[Any], Any]] = {
    "arch": lambda m: (m.cuda.get_arch_list(), m.cuda.get_gencode_flags()),
    "halves": lambda m: (m.cuda.has_half, m.cuda.has_magma, m.cuda.default_generators),
    "seeds": lambda m: (m.cuda.seed(), m.cuda.seed_all()),
    "tf32": lambda m: m.cuda.is_tf32_supported(),
    "nested": lambda m: m.cuda.memory_stats_as_nested_dict(),
    "host": lambda m: dict(m.cuda.host_memory_stats()),
    "processes": lambda m: m.cuda.list_gpu_processes(),
    "sync": lambda m: m.cuda.get_sync_debug_mode(),
    "set sync": lambda m: m.cuda.set_sync_debug_mode("warn"),
    "peers": lambda m: m.cuda.can_device_access_peer(0, 1),
    "load": lambda m: m.cuda.utilization(),
    "heat": lambda m: m.cuda.temperature(),
    "push": lambda m: m.cuda.nvtx.range_push("a"),
    "block": lambda m: m.cuda.nvtx.range("a {}", 3).__enter__(),
    "stream": lambda m: m.cuda.StreamContext(None).__enter__(),
    "ints": lambda m: (m.sym_int(2.7), m.sym_float(2), m.sym_not(True), m.sym_max(1, 2.0)),
    "more": lambda m: (m.sym_min(1, 2.0), m.sym_sqrt(4), m.sym_sum([1, 2]), m.sym_ite(True, 1, 2)),
    "a number decides": lambda m: m.cond(3, lambda: 1, lambda: 2),
    "backends": lambda m: [m.distributed.is_backend_available(n) for n in ("gloo", "mpi", "x")],
    "default backends": lambda m: [
        m.distributed.get_default_backend_for_device(d) for d in ("cpu", "cuda:1")
    ],
    "no backend": lambda m: m.distributed.get_default_backend_for_device("meta"),
    "no module": lambda m: m.utils.set_module(len, 3),
}


@pytest.mark.skipif(torchish.cuda.is_available(), reason="asks about a GPU that is absent")
@pytest.mark.parametrize("name", WITHOUT_A_GPU)
def test_answers(name: str) -> None:
    found = []
    for m in (torchish, torch):
        try:
            found.append(repr(WITHOUT_A_GPU[name](m)))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    mine, theirs = found
    assert mine == theirs or (  # where a GPU is missed, the text goes on with what to install
        "compiled with CUDA" in theirs and mine.startswith(theirs)
    )


def test_a_branch_is_taken() -> None:
    x = torchish.ones(2).requires_grad_()
    y = torchish.cond(x.sum() > 1, lambda t: t * 3, lambda t: t - 1, (x,))
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="single-element"):
        torchish.cond(torchish.ones(2) > 0, len, len)
    with pytest.raises(RuntimeError, match="tuple"):
        torchish.cond(True, len, len, 3)


def test_tensors_change_places() -> None:
    for m in (torchish, torch):
        a, b = m.nn.Parameter(m.ones(2)), m.zeros(3)
        m.utils.swap_tensors(a, b)
        assert a.tolist() == [0.0] * 3 and b.tolist() == [1.0, 1.0]
        assert isinstance(b, m.nn.Parameter) and b.requires_grad and not a.requires_grad
        ref = weakref.ref(a)
        with pytest.raises(RuntimeError, match="has weakref associated"):
            m.utils.swap_tensors(a, b)
        del ref


def test_threads_of_backward_are_not_chosen() -> None:
    with torchish.autograd.set_multithreading_enabled(False):
        x = torchish.ones(1).requires_grad_()
        (x * 2).backward()
    assert x.grad.item() == 2.0
