"""Strided layouts, and how to read or write one through slices, transposes and reshapes.

A storage keeps one dense array (its base). A layout (shape, strides, offset) addresses elements of
the base's memory as torch does. `plan_for` turns a layout into a short chain of JAX operations:

    base -> memory order -> reshape to radices -> (dynamic) slice -> reshape -> permute -> broadcast

Invariant: a plan's structure is static and its slice starts are operands, so `x[i]` for any i is
one kernel. A gather stands in only for layouts that no such chain describes (overlapping windows,
strides that divide nothing); it is exact too, and slower.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._basics import dtypes
from .._basics.dtypes import dtype
from .._basics.memo import memoised
from .._basics.strides import Ints, inverse, memory_order
from . import store
from .kernels import Kernel
from .values import aval_of


@dataclass(frozen=True)
class Geometry:
    """The base of a storage: logical shape, dense strides and element type of its array."""

    shape: Ints
    strides: Ints
    dtype: dtype


@dataclass(frozen=True)
class Slab:
    """The static part of a plan (see the module's text); `None` radices mean a gather."""

    order: Ints  # permutation of the base's dims into memory order
    elements: dtype  # element type after reinterpretation
    count: int  # elements of the base after reinterpretation
    radices: Ints | None
    sizes: Ints
    steps: Ints
    split: Ints  # view dims in memory order
    back: Ints  # permutation to view order
    shape: Ints  # after broadcasting
    unit: Ints  # shape before broadcasting (stride-0 dims are 1)
    strides: Ints
    conj: bool = False


@functools.lru_cache(maxsize=8192)
def plan_for(
    base: Geometry, shape: Ints, strides: Ints, offset: int, elements: dtype, conj: bool
) -> tuple[Slab, Ints]:
    """The plan of a layout over a base, and the slice starts (or the offset, for a gather)."""
    order = memory_order(base.shape, base.strides)
    if order == tuple(range(len(order))):
        order = ()
    count = math.prod(base.shape) * base.dtype.itemsize // elements.itemsize
    unit = tuple(1 if s == 0 and n else n for n, s in zip(shape, strides, strict=True))
    if 0 in shape:
        return _gather_slab(order, elements, count, shape, unit, strides, conj), (0,)
    live = [d for d in range(len(shape)) if unit[d] != 1]
    live.sort(key=lambda d: (-strides[d], d))
    merged = _merge([(unit[d], strides[d]) for d in live])
    cut = _radices(count, merged, offset)
    if cut is None:
        return _gather_slab(order, elements, count, shape, unit, strides, conj), (offset,)
    radices, sizes, steps, starts = cut
    rest = [d for d in range(len(shape)) if unit[d] == 1]
    in_memory = live + rest
    back = inverse(in_memory)
    if back == tuple(range(len(back))):
        back = ()
    slab = Slab(
        order, elements, count, radices, sizes, steps, tuple(unit[d] for d in in_memory), back,
        shape, unit, strides, conj,
    )  # fmt: skip
    return slab, starts


def _gather_slab(
    order: Ints, elements: dtype, count: int, shape: Ints, unit: Ints, strides: Ints, conj: bool
) -> Slab:
    return Slab(order, elements, count, None, (), (), unit, (), shape, unit, strides, conj)


def gather_slab(base: Geometry, shape: Ints, strides: Ints, elements: dtype) -> Slab:
    """A plan that only says how the base lies in memory: elements are addressed one by one."""
    order = memory_order(base.shape, base.strides)
    if order == tuple(range(len(order))):
        order = ()
    count = math.prod(base.shape) * base.dtype.itemsize // elements.itemsize
    return _gather_slab(order, elements, count, shape, shape, strides, False)


def _merge(dims: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join neighbouring dims (outer first) that are contiguous with each other."""
    merged: list[tuple[int, int]] = []
    for n, s in dims:
        if merged and merged[-1][1] == n * s:
            merged[-1] = (merged[-1][0] * n, s)
        else:
            merged.append((n, s))
    return merged


def _radices(
    count: int, dims: list[tuple[int, int]], offset: int
) -> tuple[Ints, Ints, Ints, Ints] | None:
    """Cut `count` elements into a mixed radix in which every dim is one slice.

    Returns radices, slice sizes, steps and starts, or None when the strides do not divide so.
    """
    radices: list[int] = []
    sizes: list[int] = []
    steps: list[int] = []
    starts: list[int] = []
    block, left = count, offset  # elements of the innermost radix so far, offset inside it
    for position, (n, s) in enumerate(dims):
        last = position == len(dims) - 1
        if block % s == 0 and s > 1:
            start, left = divmod(left, s)
            if start + n > block // s:
                return None
            _push(radices, sizes, steps, starts, (block // s, n, 1, start))
            block = s
        elif last:
            if left + (n - 1) * s >= block:
                return None
            _push(radices, sizes, steps, starts, (block, n, s, left))
            return tuple(radices), tuple(sizes), tuple(steps), tuple(starts)
        else:
            return None
    if block > 1 or not dims:
        if left >= max(block, 1):
            return None
        _push(radices, sizes, steps, starts, (block, 1, 1, left))
    return tuple(radices), tuple(sizes), tuple(steps), tuple(starts)


def _push(
    radices: list[int], sizes: list[int], steps: list[int], starts: list[int], new: Any
) -> None:
    for target, value in zip((radices, sizes, steps, starts), new, strict=True):
        target.append(value)


# --- what kernels do with a plan -----------------------------------------------------------------


def flat_of(x: Any, slab: Slab) -> Any:
    """The base's elements in memory order, 1-D, as the view's element type.

    Bytes at the end that make no whole element are left out.
    """
    if slab.order:
        x = jnp.transpose(x, slab.order)
    flat = x.reshape(-1)
    have = dtypes.from_np(flat.dtype)
    used = slab.count * slab.elements.itemsize // have.itemsize
    return reinterpret(flat if used == flat.size else flat[:used], slab.elements)


def unflat_of(flat: Any, base: Geometry, slab: Slab, old: Any) -> Any:
    """Inverse of `flat_of`; `old` is what it was applied to."""
    x = reinterpret(flat, base.dtype)
    if x.size != old.size:
        if slab.order:
            old = jnp.transpose(old, slab.order)
        x = jnp.concatenate([x, old.reshape(-1)[x.size :]])
    if not slab.order:
        return x.reshape(base.shape)
    x = x.reshape([base.shape[d] for d in slab.order])
    return jnp.transpose(x, inverse(slab.order))


def reinterpret(flat: Any, to: dtype) -> Any:
    """The same bytes of a 1-D array as elements of another type (complex and real included)."""
    have = dtypes.from_np(flat.dtype)
    if have is to:
        return flat
    if have.is_complex:
        flat = jnp.stack([flat.real, flat.imag], axis=-1).reshape(-1)
        return reinterpret(flat, to)
    if to.is_complex:
        pairs = reinterpret(flat, to.to_real()).reshape(-1, 2)
        return jax.lax.complex(pairs[:, 0], pairs[:, 1])
    if have is dtypes.bool_ or to is dtypes.bool_:
        flat = flat.astype(np.uint8) if have is dtypes.bool_ else reinterpret(flat, dtypes.uint8)
        return flat != 0 if to is dtypes.bool_ else reinterpret(flat, to)
    if have.itemsize > to.itemsize:
        return jax.lax.bitcast_convert_type(flat, to.np).reshape(-1)
    if have.itemsize < to.itemsize:
        flat = flat.reshape(-1, to.itemsize // have.itemsize)
    return jax.lax.bitcast_convert_type(flat, to.np)


def _is_sliced(slab: Slab) -> bool:
    return slab.radices != slab.sizes


def _indices(slab: Slab, offset: Any) -> Any:
    """Flat indices of the view's elements (gather plans)."""
    index = jnp.zeros((1,) * len(slab.unit), np.int64) + offset
    for d, (n, s) in enumerate(zip(slab.unit, slab.strides, strict=True)):
        if n != 1:
            dim_shape = [n if k == d else 1 for k in range(len(slab.unit))]
            index = index + (jnp.arange(n, dtype=np.int64) * s).reshape(dim_shape)
    return jnp.broadcast_to(index, slab.unit)


def read_array(slab: Slab, x: Any, *starts: Any) -> Any:
    """Apply a plan: the view's elements out of the base array `x`."""
    flat = flat_of(x, slab)
    if slab.radices is None:
        out = _gather(slab, flat, starts[0])
    else:
        block = flat.reshape(slab.radices)
        if _is_sliced(slab):
            spans = [(n - 1) * s + 1 for n, s in zip(slab.sizes, slab.steps, strict=True)]
            block = jax.lax.dynamic_slice(block, starts, spans)
            if any(s != 1 for s in slab.steps):
                block = block[tuple(slice(None, None, s) for s in slab.steps)]
        out = block.reshape(slab.split)
        if slab.back:
            out = jnp.transpose(out, slab.back)
    if slab.unit != slab.shape:
        out = jnp.broadcast_to(out, slab.shape)
    return flipped(out) if slab.conj else out


def flipped(x: Any) -> Any:
    """What a lazy flip stands for: the conjugate of complex numbers, real ones negated."""
    return jnp.conj(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else -x


def _gather(slab: Slab, flat: Any, offset: Any) -> Any:
    if 0 in slab.shape:
        return jnp.zeros(slab.unit, flat.dtype)
    return jnp.take(flat, _indices(slab, offset), axis=0, mode="clip")


def write_array(slab: Slab, base: Geometry, x: Any, new: Any, *starts: Any) -> Any:
    """Apply a plan backwards: the base array `x` with the view's elements replaced by `new`."""
    if 0 in slab.shape:
        return x
    if slab.conj:
        new = flipped(new)
    if slab.unit != slab.shape:  # expanded dims: torch lets only size-1 expansions be written
        new = new[tuple(slice(0, n) for n in slab.unit)]
    flat = flat_of(x, slab)
    if slab.radices is None:
        index = _indices(slab, starts[0]).reshape(-1)
        # Elements that share a location (see overlap.py) each get its gradient, as in torch.
        flat = flat.at[index].set(new.reshape(-1), unique_indices=True)
        return unflat_of(flat, base, slab, x)
    if slab.back:
        new = jnp.transpose(new, inverse(slab.back))
    new = new.reshape(slab.sizes)
    block = flat.reshape(slab.radices)
    if not _is_sliced(slab):
        return unflat_of(new.reshape(-1), base, slab, x)
    if any(s != 1 for s in slab.steps):
        spans = [(n - 1) * s + 1 for n, s in zip(slab.sizes, slab.steps, strict=True)]
        hole = jax.lax.dynamic_slice(block, starts, spans)
        new = hole.at[tuple(slice(None, None, s) for s in slab.steps)].set(new)
    block = jax.lax.dynamic_update_slice(block, new, starts)
    return unflat_of(block.reshape(-1), base, slab, x)


# --- kernels -------------------------------------------------------------------------------------


def _start_operands(slab: Slab, starts: Ints) -> Ints:
    """Starts that the kernel takes (none when nothing is sliced)."""
    return starts if slab.radices is None or _is_sliced(slab) else ()


@memoised(2048)
def _read_kernel(base: Geometry, slab: Slab, n_starts: int) -> Kernel:
    fn = functools.partial(_read_fn, slab)
    return Kernel(
        "strided_read",
        fn,
        (aval_of(base.shape, base.dtype), *[int] * n_starts),
        (aval_of(slab.shape, slab.elements),),
        grad_name="AsStridedBackward0",
        identity=store.identity("strided_read", base, slab, n_starts),
    )


def _read_fn(slab: Slab, x: Any, *starts: Any) -> tuple[Any]:
    return (read_array(slab, x, *(starts or _zeros(slab))),)


def _zeros(slab: Slab) -> Any:
    return (0,) * (len(slab.radices) if slab.radices is not None else 1)


@memoised(2048)
def _write_kernel(base: Geometry, slab: Slab, n_starts: int) -> Kernel:
    fn = functools.partial(_write_fn, slab, base)
    aval = aval_of(base.shape, base.dtype)
    return Kernel(
        "strided_write",
        fn,
        (aval, aval_of(slab.shape, slab.elements), *[int] * n_starts),
        (aval,),
        grad_name="CopySlices",
        identity=store.identity("strided_write", base, slab, n_starts),
    )


def _write_fn(slab: Slab, base: Geometry, x: Any, new: Any, *starts: Any) -> tuple[Any]:
    return (write_array(slab, base, x, new, *(starts or _zeros(slab))),)


@functools.lru_cache(maxsize=4096)
def read_step(
    base: Geometry, shape: Ints, strides: Ints, offset: int, elements: dtype, conj: bool = False
) -> tuple[Kernel, Ints]:
    """Kernel and start operands that read a layout: operands are (base, *starts)."""
    slab, starts = plan_for(base, shape, strides, offset, elements, conj)
    used = _start_operands(slab, starts)
    return _read_kernel(base, slab, len(used)), used


@functools.lru_cache(maxsize=4096)
def write_step(
    base: Geometry, shape: Ints, strides: Ints, offset: int, elements: dtype, conj: bool = False
) -> tuple[Kernel, Ints]:
    """Kernel and start operands that write a layout: operands are (base, new, *starts)."""
    slab, starts = plan_for(base, shape, strides, offset, elements, conj)
    used = _start_operands(slab, starts)
    return _write_kernel(base, slab, len(used)), used


Span = tuple[Ints, Ints, int]  # shape, strides, offset


@memoised(1024)
def relate_read(source: Span, view: Span, dt: dtype, conj: bool) -> Kernel:
    """Read `view` out of the value of a tensor whose layout in the same memory is `source`.

    Works for any source by way of the memory they span; a dense source has a shorter way.
    """
    memory = _memory(source, view, dt)
    into, into_starts = plan_for(memory, *source, dt, False)
    out, out_starts = plan_for(memory, *view, dt, conj)

    def fn(x: Any) -> tuple[Any]:
        flat = write_array(into, memory, jnp.zeros(memory.shape, dt.np), x, *into_starts)
        return (read_array(out, flat, *out_starts),)

    name = store.identity("relate_read", source, view, dt, conj)
    avals = (aval_of(source[0], dt),), (aval_of(view[0], dt),)
    return Kernel("strided_read", fn, *avals, identity=name)


@memoised(1024)
def relate_write(source: Span, view: Span, dt: dtype, conj: bool) -> Kernel:
    """Replace, in the value of a tensor with layout `source`, what `view` shares with it."""
    memory = _memory(source, view, dt)
    base, base_starts = plan_for(memory, *source, dt, False)
    part, part_starts = plan_for(memory, *view, dt, conj)

    def fn(x: Any, new: Any) -> tuple[Any]:
        flat = write_array(base, memory, jnp.zeros(memory.shape, dt.np), x, *base_starts)
        flat = write_array(part, memory, flat, new, *part_starts)
        return (read_array(base, flat, *base_starts),)

    avals = (aval_of(source[0], dt), aval_of(view[0], dt))
    name = store.identity("relate_write", source, view, dt, conj)
    return Kernel("strided_write", fn, avals, avals[:1], grad_name="CopySlices", identity=name)


def _memory(source: Span, view: Span, dt: dtype) -> Geometry:
    """Flat memory that holds both layouts."""
    reach = 1
    for shape, strides, offset in (source, view):
        span = sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        reach = max(reach, offset + span + 1)
    return Geometry((reach,), (1,), dt)
