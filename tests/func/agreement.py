"""The same transformation on both libraries, and whether the results agree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.func

import torchish
import torchish.func

Work = Callable[[Any], Any]


def leaves(tree: Any) -> list[Any]:
    """Tensors of nested containers as arrays, other things as they are, with dict keys."""
    if isinstance(tree, dict):
        return [x for k, v in tree.items() for x in (k, *leaves(v))]
    if isinstance(tree, list | tuple):
        return [x for v in tree for x in leaves(v)]
    return [tree.detach().numpy()] if hasattr(tree, "detach") else [tree]


def agree(work: Work, rtol: float = 2e-5) -> None:
    """Assert equal results, or equal classes and first lines of what is raised."""
    found = []
    for m in (torchish, torch):
        m.manual_seed(0)
        try:
            with warnings.catch_warnings():
                if m is torch:  # it loads its own deprecated parts for forward mode
                    warnings.simplefilter("ignore")
                found.append(leaves(work(m)))
        except Exception as error:
            found.append([type(error).__name__, str(error).split("\n")[0]])
    assert len(found[0]) == len(found[1]), found
    for mine, theirs in zip(*found, strict=True):
        if isinstance(theirs, np.ndarray):
            assert mine.shape == theirs.shape
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=1e-5)
        else:
            assert mine == theirs
