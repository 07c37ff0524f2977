"""In-place writes through memory that several elements of the target share.

torch walks the target element by element and reads what earlier elements have written. What comes
of that depends on how an operator uses the target, which its record says (`overlap`):

- "again": it computes each element from that element: one pass for the first elements of all
  locations, one for the second ones, and so on;
- "last": it does not read the target: the last element of a location stays;
- "sum": it adds to some elements: all that was added to a location adds up;
- "accumulate": it is "sum" if its last static argument is true, else "merge";
- "lines": it walks lines along its first static argument, a dim, as "again" walks elements;
- "merge": it writes some elements and leaves the others: those that changed stay.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from .._basics import dtypes
from .._basics.memo import memoised
from .._basics.strides import Ints, elementwise_strides
from .._core.kernels import Kernel
from .._core.layout import Geometry, Slab, flat_of, flipped, gather_slab, unflat_of
from .._core.trace import record
from .._core.values import Aval, Value, aval_of, host_value
from .casting import cast_kernel

if TYPE_CHECKING:
    from .tensor_base import TensorBase


def shares_itself(shape: Ints, strides: Ints) -> bool:
    """Whether two elements of a layout lie at one location."""
    live = sorted((s, n) for n, s in zip(shape, strides, strict=True) if n != 1)
    reach = 0
    for s, n in live:
        if s <= reach:
            return 0 not in shape and rounds(shape, strides) is not None
        reach += (n - 1) * s
    return False


Round = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@functools.lru_cache(maxsize=256)
def rounds(shape: Ints, strides: Ints) -> list[Round] | None:
    """Elements and their locations, the first of each location first; None if none is shared."""
    at = _places(shape, strides)
    walk = elementwise_strides(shape, [(shape, strides)])
    order = sorted(range(len(shape)), key=lambda d: (-walk[d], d))
    elements = np.arange(at.size).reshape(shape).transpose(order).reshape(-1)
    places = at.reshape(-1)[elements]
    by_place = np.argsort(places, kind="stable")
    sorted_places = places[by_place]
    starts = np.r_[True, sorted_places[1:] != sorted_places[:-1]]
    first = np.maximum.accumulate(np.where(starts, np.arange(at.size), 0))
    nth = np.empty(at.size, np.int64)
    nth[by_place] = np.arange(at.size) - first
    if not nth.any():
        return None
    return [(elements[nth == k], places[nth == k]) for k in range(int(nth.max()) + 1)]


def _places(shape: Ints, strides: Ints) -> np.ndarray[Any, Any]:
    """Where each element lies."""
    at = np.zeros(shape, np.int64)
    for d, (n, s) in enumerate(zip(shape, strides, strict=True)):
        at += (np.arange(n) * s).reshape([-1 if k == d else 1 for k in range(len(shape))])
    return at


@functools.lru_cache(maxsize=256)
def rounds_of_lines(shape: Ints, strides: Ints, dim: int) -> list[Round]:
    """Elements and locations of the lines along `dim`; lines that share something come in order."""
    at = np.moveaxis(_places(shape, strides), dim, -1)
    elements = np.moveaxis(np.arange(at.size).reshape(shape), dim, -1)
    squashed = tuple(1 if d == dim else n for d, n in enumerate(shape))
    walk = elementwise_strides(squashed, [(squashed, strides)])
    others = [d for d in range(len(shape)) if d != dim]
    order = sorted(range(len(others)), key=lambda k: (-walk[others[k]], others[k]))
    length = shape[dim]
    at = at.transpose(*order, -1).reshape(-1, length)
    elements = elements.transpose(*order, -1).reshape(-1, length)
    taken: dict[int, int] = {}
    turns = np.zeros(len(at), np.int64)
    for number, line in enumerate(at.tolist()):
        turns[number] = turn = 1 + max(taken.get(place, -1) for place in line)
        taken.update(dict.fromkeys(line, turn))
    return [
        (elements[turns == k].reshape(-1), at[turns == k].reshape(-1))
        for k in range(int(turns.max()) + 1)
    ]


@memoised(256)
def last_kernel(aval: Aval, strides: Ints) -> Kernel:
    """Keep the last element of each location; for the others nothing flows back.

    torch writes the gradient of what was overwritten back through the same memory, so that of one
    element stays there.
    """
    passes = rounds(tuple(aval.shape), strides)
    assert passes is not None
    last: dict[int, int] = {}
    for elements, places in passes:
        last.update(zip(places.tolist(), elements.tolist(), strict=True))
    kept = np.zeros(aval.numel, np.bool_)
    kept[list(last.values())] = True
    kept = kept.reshape(aval.shape)
    return Kernel("last", lambda x: (jnp.where(kept, x, jnp.zeros_like(x)),), (aval,), (aval,))


def write_shared(
    target: TensorBase,
    kernel: Kernel,
    operands: Sequence[Any],
    new: Value,
    how: str,
    key: Sequence[Any] = (),
) -> None:
    """Write the result of `kernel`, which `new` is at first, into a target that shares itself."""
    shape, strides = tuple(target._aval.shape), tuple(target._strides)
    passes = rounds(shape, strides)
    assert passes is not None
    if how == "accumulate":
        how = "sum" if key[-1] == 1 else "merge"  # a default is no value
    if how == "lines":
        passes = rounds_of_lines(shape, strides, key[len(operands)] % len(shape))
    if how in ("again", "lines"):
        for number, (elements, places) in enumerate(passes):
            if number:
                values = [x._value() if hasattr(x, "_value") else x for x in operands]
                (new,) = record(kernel, values)[:1]
                if new.aval.dtype is not target._aval.dtype:
                    (new,) = record(cast_kernel(new.aval, target._aval.dtype), (new,))
            _put(target, "last", new, None, elements, places)
        return
    if how == "last":
        taken: dict[int, int] = {}
        for elements, places in passes:
            taken.update(zip(places.tolist(), elements.tolist(), strict=True))
        chosen, where = np.array(list(taken.values())), np.array(list(taken))
    else:
        chosen, where = (np.concatenate(both) for both in zip(*passes, strict=True))
    _put(target, how, new, target._value(), chosen, where)


def _put(
    target: TensorBase, how: str, new: Value, old: Value | None, elements: Any, places: Any
) -> None:
    storage = target._storage
    slab = gather_slab(
        storage.geometry, tuple(target._aval.shape), target._strides, target._aval.dtype
    )
    kernel = _kernel(storage.geometry, slab, how, target._conjugated, elements.size)
    old = new if old is None else old
    operands = (storage.value, new, old, host_value(elements), host_value(places + target._offset))
    (whole,) = record(kernel, operands)
    storage.set(whole)


@memoised(512)
def _kernel(base: Geometry, slab: Slab, how: str, conj: bool, count: int) -> Kernel:
    def fn(x: Any, new: Any, old: Any, elements: Any, places: Any) -> tuple[Any]:
        if conj:
            new, old = flipped(new), flipped(old)
        flat = flat_of(x, slab)
        new, old = new.reshape(-1)[elements], old.reshape(-1)[elements]
        if how == "sum" and new.dtype != bool:
            flat = flat.at[places].add(new - old)
        elif how == "last":
            flat = flat.at[places].set(new)
        else:
            changed = jnp.where(new != old, places, flat.size)
            flat = flat.at[changed].set(new, mode="drop")
        return (unflat_of(flat, base, slab, x),)

    view = aval_of(slab.shape, slab.elements)
    indices = aval_of((count,), dtypes.int64)
    whole = aval_of(base.shape, base.dtype)
    return Kernel("overlapping_write", fn, (whole, view, view, indices, indices), (whole,))
