"""Arguments that are easily accepted without effect, beside PyTorch: what each does or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish
from tests.oracle import agree

WINDOWS = ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")


def refusal(work: Callable[[], Any], length: int) -> tuple[bool, str]:
    """The beginning of an error's text, and whether it is a TypeError; of no error, nothing."""
    try:
        work()
    except (RuntimeError, TypeError) as error:
        return isinstance(error, TypeError), str(error)[:length]
    return False, ""


def batch_norm(T: Any, training: bool, mean: bool = True, variance: bool = True) -> Any:
    running = (T.zeros(2) if mean else None, T.ones(2) if variance else None)
    x = T.arange(8.0).reshape(4, 2).requires_grad_()
    parts = T.native_batch_norm(x, T.ones(2) * 3, None, *running, training, 0.25, 1e-5)
    (grad,) = T.autograd.grad((parts[0] * T.arange(8.0).reshape(4, 2)).sum(), [x])
    return [[r for r in running if r is not None], list(parts), grad]


def determinism(T: Any) -> Any:
    seen = []
    try:
        for mode, warn_only in ((True, True), (True, False), (False, True), (False, False)):
            T.use_deterministic_algorithms(mode, warn_only=warn_only)
            seen += [
                T.are_deterministic_algorithms_enabled(), T.get_deterministic_debug_mode(),
                T.is_deterministic_algorithms_warn_only_enabled(),
            ]  # fmt: skip
        for mode in (1, "error", 0):
            T.set_deterministic_debug_mode(mode)
            seen += [
                T.get_deterministic_debug_mode(), T.is_deterministic_algorithms_warn_only_enabled()
            ]  # fmt: skip
    finally:
        T.use_deterministic_algorithms(False)
    return seen


def legacy(name: str, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    def work(T: Any) -> Any:
        named = {k: T.ones(2) if v == "a tensor" else v for k, v in kwargs.items()}
        return getattr(T, name)(*args, **named)

    return work


HEEDED: dict[str, Callable[[Any], Any]] = {
    "batch norm, training": lambda T: batch_norm(T, True),
    "batch norm, only the mean runs": lambda T: batch_norm(T, True, variance=False)[1:],
    "batch norm, not training": lambda T: T.native_batch_norm(
        T.ones(2, 2), None, None, T.zeros(2), T.ones(2), False, 0.1, 1e-5)[0],
    "batch norm, only the variance runs": lambda T: T.nn.functional.batch_norm(
        T.ones(2, 2), None, T.ones(2), training=True),
    "batch norm, nothing runs": lambda T: batch_norm(T, True, False, False),
    "group norm": lambda T: list(T.native_group_norm(T.arange(8.0).reshape(1, 4, 2), None, None,
                                                     1, 4, 2, 2, 1e-5)),
    "determinism": determinism,
    "by data": legacy("FloatTensor", data=[1, 2]),
    "by other": legacy("Tensor", other="a tensor"),
    "by size": lambda T: list(T.LongTensor(size=(2, 0)).shape),
    "device": legacy("Tensor", [1, 2], device="cpu"),
    "device only": legacy("FloatTensor", device="cpu"),
    "no device": legacy("IntTensor", [3], device=None),
    "sizes on a device": lambda T: list(T.DoubleTensor(3, 0, device="cpu").shape),
    "strided windows": lambda T: T.hann_window(4, layout=T.strided),
}  # fmt: skip


@pytest.mark.parametrize("name", HEEDED)
def test_what_an_argument_changes(name: str) -> None:
    agree(HEEDED[name], warned=False)


def sparse_clone(format_name: str) -> Callable[[Any], Any]:
    return lambda T: T.eye(2).to_sparse().clone(memory_format=getattr(T, format_name))


REFUSED: dict[str, tuple[int, Callable[[Any], Any]]] = {
    **{name: (40, lambda T, name=name: getattr(T, name)(3, layout=T.sparse_coo))
       for name in WINDOWS},
    "segments by indices": (90, lambda T: T.segment_reduce(T.arange(4.0), "sum",
                                                           indices=T.tensor([0, 0, 1, 1]))),
    "group norm": (60, lambda T: T.native_group_norm(T.arange(8.0).reshape(1, 4, 2), None, None,
                                                     1, 4, 3, 2, 1e-5)),
    "another device": (99, legacy("Tensor", [1], device="cuda")),
    "meta": (99, legacy("LongTensor", [1], device="meta")),
    "dtype": (49, legacy("FloatTensor", [1], dtype=None)),
    "data twice": (49, legacy("Tensor", [1], data=[2])),
    **{f"clone, {name}": (99, sparse_clone(name))
       for name in ("channels_last", "contiguous_format", "preserve_format")},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_argument_may_not_be(name: str) -> None:
    length, work = REFUSED[name]
    theirs = refusal(lambda: work(torch), length)
    assert theirs[1]
    assert refusal(lambda: work(torchish), length) == theirs
