"""One call in both libraries: both raise, or both give results of equal value, shape and dtype.

Where several things are wrong with a call, the libraries may look at them in another order: the
class of the error is compared by the OpInfo runs and the operators' own tests, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

import torchish
from tests.oracle import is_tensor, outcome, same
from torchish._basics.settings import settings as engine
from torchish._ops.call.operator import forget_kernels

TOLERANCE = {"float16": 4e-3, "bfloat16": 2e-2, "float32": 2e-5, "complex64": 2e-5}


def cases(count: int) -> Any:
    """The settings of a test of `count` examples, the same ones every time."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def node_by_node() -> Iterator[None]:
    """Kernels are shared between examples; a whole program for each would never be seen again."""
    before = engine.eager
    engine.eager = True
    yield
    engine.eager = before
    forget_kernels()


def agree(call: Callable[[Any], Any]) -> None:
    """Run `call(library)` in both libraries and compare results, or that both raise."""
    theirs, _, their_error = outcome(call, torch)
    ours, _, error = outcome(call, torchish)
    assert bool(error) == bool(their_error), f"{error!r}, not {their_error!r}"
    assert "jnp" not in error and "lax" not in error, "an error of JAX's own"
    if error:
        return
    pair = (ours, theirs) if isinstance(theirs, tuple | list) else ([ours], [theirs])
    for mine, wanted in zip(*pair, strict=True):
        if is_tensor(wanted):
            kind = str(wanted.dtype).removeprefix("torch.")
            same(mine, wanted, TOLERANCE.get(kind, 1e-9))
        else:
            same(str(mine), str(wanted))
