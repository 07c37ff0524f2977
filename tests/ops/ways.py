"""A primitive of torchish-cpu's in each way there is to run it: numpy, XLA alone, one call."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from torchish._interpret.plan import Plan
from torchish._ops.conv import onednn


def run(way: str, target: str, function: Any, *operands: Any) -> Any:
    """What `function` gives; only in the way "onednn" its program calls `target`."""
    if way == "numpy":
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*operands)
        flat = [np.asarray(x) for x in jax.tree.leaves(operands)]
        return jax.tree.unflatten(jax.tree.structure(shape), Plan(closed).run(flat))
    jitted = jax.jit(function)
    before, onednn.enabled = onednn.enabled, way == "onednn"
    try:
        lowered = jitted.lower(*operands)
        assert (target in lowered.as_text()) is (way == "onednn")
        return lowered.compile()(*operands)
    finally:
        onednn.enabled = before
