"""What checks on several devices or processes assert: equal weights, errors that are raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.agreement import same


def same_weights(a: Any, b: Any, tol: float = 1e-5) -> None:
    """The parameters of two modules agree."""
    same(list(a.parameters()), list(b.parameters()), tol)


def raises(kind: type[Exception], text: str, fn: Callable[[], Any]) -> None:
    """`fn` raises an error of this kind, in whose text the pattern is found."""
    try:
        fn()
    except kind as error:
        assert re.search(text, str(error)), str(error)
    else:
        raise AssertionError(f"no {kind.__name__}")
