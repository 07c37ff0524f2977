"""When what two libraries logged counts as equal."""

from __future__ import annotations

import re
from typing import Any

import numpy as np


def same(a: Any, b: Any) -> bool:
    """Whether two logs agree; floats to a relative 1e-5."""
    if isinstance(a, str) and isinstance(b, str):
        return same_text(a, b)
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if ("refused", "") in (a, b):
        return isinstance(a, tuple) and isinstance(b, tuple)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def same_text(ours: str, theirs: str) -> bool:
    """Whether two names or error texts agree, apart from which of several errors comes first.

    A view that may not be rebased raises when torch first reads its grad_fn, which may be before it
    looks at other arguments; shape and "output k of F" depend on which node is current by then.
    Sizes that do not broadcast may be named in the other order.
    """
    if "view" in theirs and "modified inplace" in theirs:
        return True
    if "modified by an inplace operation" in ours:
        return "modified by an inplace operation" in theirs or "detached in-place" in theirs
    if "must match the size of tensor" in theirs and "must match the size of tensor" in ours:
        return sorted(re.findall(r"\d+", ours)) == sorted(re.findall(r"\d+", theirs))
    where = r" \[[\d, ]*\]\](, which is output \d+ of [\w:]+,)?"
    return re.sub(where, "", ours) == re.sub(where, "", theirs)
