"""Recurrences as primitives: all steps of a layer after the input projection, and their gradient.

They are two primitives, not scans in place: on the CPU each is one call into the optional package
torchish-cpu (a scan of XLA's runs its small products on one thread), numpy runs them as plain
loops, and everywhere else, and in derivatives of higher order, they are `lax.scan`.

Along the steps arrays are (T, N, ...). A gradient takes KNOWN operands first, and is linear in the
rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching

from ..conv import onednn
from ..shared.primitives import define

KNOWN = 4

Shapes = Callable[..., list[tuple[int, ...]]]


def before(x: Any, first: Any, reverse: bool) -> Any:
    """What stood before each step: `first` at the recurrence's beginning, then `x`."""
    steps, start = x.shape[0], lax.expand_dims(first, (0,))
    kept = lax.slice_in_dim(x, 1, steps) if reverse else lax.slice_in_dim(x, 0, steps - 1)
    return lax.concatenate((kept, start) if reverse else (start, kept), 0)


def order(steps: int, reverse: bool) -> range:
    """The steps as the recurrence goes through them."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def last_of(outs: Any, reverse: bool) -> Any:
    """What the last step of the recurrence gave."""
    at = 0 if reverse else outs.shape[0] - 1
    return lax.index_in_dim(outs, at, 0, keepdims=False)


def _native(target: str, shapes: Shapes, scan: Any) -> Callable[..., Any]:
    """The lowering on the CPU."""

    def lowered(*operands: Any, reverse: bool) -> list[Any]:
        if operands[0].dtype != jnp.float32 or 0 in operands[0].shape or not onednn.is_wanted():
            return scan(*operands, reverse=reverse)  # type: ignore[no-any-return]
        results = [jax.ShapeDtypeStruct(s, operands[0].dtype) for s in shapes(*operands)]
        call = jax.ffi.ffi_call(target, results)
        return list(call(*operands, reverse=np.int64(reverse)))

    return lowered


def recurrence(name: str, scan: Any, target: str, shapes: Shapes) -> Any:
    """A primitive that is `scan`, and a call of `target` where the package is."""

    def avals(*given: Any, reverse: bool) -> list[Any]:
        return [given[0].update(shape=s, weak_type=False) for s in shapes(*given)]

    primitive = define(
        name, avals, scan, _native(target, shapes, scan), static=["reverse"], several=True,
        around=onednn.portable,
    )  # fmt: skip

    def batch(args: Any, dims: Any, *, reverse: bool) -> Any:
        made = jax.vmap(partial(scan, reverse=reverse), in_axes=dims)(*args)
        return made, [0] * len(made)

    def jvp(primals: Any, tangents: Any, *, reverse: bool) -> Any:
        given = tuple(ad.instantiate_zeros(t) for t in tangents)
        return jax.jvp(partial(scan, reverse=reverse), tuple(primals), given)

    batching.primitive_batchers[primitive] = batch
    ad.primitive_jvps[primitive] = jvp
    return primitive


def gradient(name: str, scan: Any, target: str, shapes: Shapes) -> Any:
    """As `recurrence`, for a gradient: its transpose are tangents."""
    primitive = recurrence(name, scan, target, shapes)

    def transposed(cts: Any, *operands: Any, reverse: bool) -> list[Any]:
        known, incoming = operands[:KNOWN], operands[KNOWN:]
        at = [k for k, x in enumerate(incoming) if ad.is_undefined_primal(x)]

        def linear(*given: Any) -> list[Any]:
            parts = [jnp.zeros_like(x) if k not in at else None for k, x in enumerate(incoming)]
            for k, x in zip(at, given, strict=True):
                parts[k] = x
            return scan(*known, *parts, reverse=reverse)  # type: ignore[no-any-return]

        structs = [jax.ShapeDtypeStruct(incoming[k].aval.shape, incoming[k].aval.dtype) for k in at]
        pulled = jax.linear_transpose(linear, *structs)([ad.instantiate_zeros(ct) for ct in cts])
        made: list[Any] = [None] * len(operands)
        for k, x in zip(at, pulled, strict=True):
            made[KNOWN + k] = x
        return made

    ad.primitive_transposes[primitive] = transposed
    return primitive
