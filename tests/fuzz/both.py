"""One call in both libraries: both raise, or both give results of equal value, shape and dtype.

Where several things are wrong with a call, the libraries may look at them in another order: the
class of the error is compared by the OpInfo runs and the operators' own tests, not here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

import torchish
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


def array(result: Any) -> np.ndarray[Any, Any]:
    """A result as numpy, half types in float32."""
    result = result.detach()
    if str(result.dtype) in ("torch.float16", "torch.bfloat16"):
        result = result.float()
    return np.asarray(result.resolve_conj().numpy())


def leaves(value: Any) -> list[Any]:
    """A result, or the items of a tuple of results."""
    return list(value) if isinstance(value, tuple | list) else [value]


def outcome(call: Callable[[Any], Any], library: Any) -> Any:
    """What a call gives: facts of each result, or the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = leaves(call(library))
            return [
                (str(r.dtype), tuple(r.shape), array(r)) if hasattr(r, "dtype") else r
                for r in found
            ]
        except Exception as error:
            return error


def agree(call: Callable[[Any], Any]) -> None:
    """Run `call(library)` in both libraries and compare."""
    theirs, own = outcome(call, torch), outcome(call, torchish)
    if isinstance(theirs, Exception):
        assert isinstance(own, Exception), f"does not raise {type(theirs).__name__}: {theirs}"
        assert "jnp" not in str(own) and "lax" not in str(own), "an error of JAX's own"
        return
    if isinstance(own, Exception):
        raise own
    assert len(own) == len(theirs)
    for ours, wanted in zip(own, theirs, strict=True):
        if not isinstance(wanted, tuple):
            assert str(ours) == str(wanted)
            continue
        assert ours[:2] == wanted[:2]
        limit = TOLERANCE.get(wanted[0].removeprefix("torch."), 1e-9)
        np.testing.assert_allclose(ours[2], wanted[2], rtol=limit, atol=limit)
