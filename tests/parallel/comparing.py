"""What checks on several devices or processes assert: values that agree, errors that are raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np


def close(a: Any, b: Any, tol: float = 1e-5) -> None:
    """Two tensors, wherever they are, agree."""
    np.testing.assert_allclose(
        a.detach().cpu().numpy(), b.detach().cpu().numpy(), rtol=tol, atol=tol
    )


def same_weights(a: Any, b: Any, tol: float = 1e-5) -> None:
    """The parameters of two modules agree."""
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        close(x, y, tol)


def raises(kind: type[Exception], text: str, fn: Callable[[], Any]) -> None:
    """`fn` raises an error of this kind, in whose text the pattern is found."""
    try:
        fn()
    except kind as error:
        assert re.search(text, str(error)), str(error)
    else:
        raise AssertionError(f"no {kind.__name__}")
