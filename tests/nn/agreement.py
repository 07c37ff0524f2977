"""Running the same function with torchish and with torch, and comparing what comes out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as oracle

import torchish


def plain(value: Any) -> Any:
    """Tensors as arrays, names without the package, everything else as it is."""
    if isinstance(value, (torchish.Tensor, oracle.Tensor)):
        return np.asarray(value.detach().numpy())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\btorchish\b", "torch", value)
    return value


def attempt(function: Callable[[Any], Any], lib: Any) -> tuple[Any, list[str], str]:
    """The result, the warnings and the error of one run."""
    lib.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, error = plain(function(lib)), ""
        except Exception as problem:
            result, error = None, f"{type(problem).__name__}: {plain(str(problem))}"
    return (
        result,
        sorted({f"{w.category.__name__}: {plain(str(w.message))}" for w in caught}),
        error,
    )


def same(ours: Any, theirs: Any, tolerance: float) -> None:
    if isinstance(theirs, np.ndarray):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, tolerance, tolerance)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key], tolerance)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, tolerance)
    elif isinstance(theirs, float):
        assert ours == theirs or abs(ours - theirs) <= tolerance * max(1, abs(theirs))
    else:
        assert ours == theirs, f"{ours!r} != {theirs!r}"


def agree(function: Callable[[Any], Any], tolerance: float = 1e-5, ignore: str = "") -> None:
    """Asserts the same result, warnings (but those with `ignore`) and error from both libraries."""
    ours, our_warnings, our_error = attempt(function, torchish)
    theirs, their_warnings, their_error = attempt(function, oracle)
    if ignore:
        their_warnings = [w for w in their_warnings if ignore not in w]
    assert our_error == their_error, f"{our_error!r} != {their_error!r}"
    assert our_warnings == their_warnings, f"{our_warnings} != {their_warnings}"
    same(ours, theirs, tolerance)
