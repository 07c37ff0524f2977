"""Rules of gather and scatter, by numpy's index arrays.

A window of the operand starts at each index; `fill_or_drop` leaves out windows that reach outside,
the other modes clamp them inside. Both primitives share `_Windows`, which says for each operand
dimension where the windows' elements lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .table import Array, Run, rule


class _Windows:
    """Where the elements of all windows lie, as one index array a dimension of the operand.

    Index arrays broadcast to (batch dims..., one dim for each operand dim).
    """

    def __init__(
        self, shape: Sequence[int], sizes: Sequence[int], dims: Sequence[int],
        batching: Sequence[int], batches: Sequence[int], batch_rank: int, drop: bool,
    ) -> None:  # fmt: skip
        self.shape, self.sizes = tuple(shape), tuple(sizes)
        self.dims = tuple(dims)  # operand dimension of each index component
        self.batching, self.batches = tuple(batching), tuple(batches)
        self.batch_rank, self.drop = batch_rank, drop

    def locate(self, indices: Array) -> tuple[tuple[Array, ...], Array | None]:
        """Index arrays, and which windows are inside (None: all of them)."""
        rank = len(self.shape)
        batch = indices.shape[:-1]
        starts: list[Any] = [None] * rank
        inside: Array | None = None
        for component, d in enumerate(self.dims):
            start = indices[..., component]
            if start.dtype.kind == "u" and start.dtype.itemsize == 8:
                start = np.minimum(start, np.uint64(np.iinfo(np.int64).max))
            start = start.astype(np.int64)
            last = self.shape[d] - self.sizes[d]
            held = np.clip(start, 0, max(last, 0))
            if self.drop and not np.array_equal(held, start):
                ok = held == start
                inside = ok if inside is None else inside & ok
            starts[d] = held
        for d, at in zip(self.batching, self.batches, strict=True):
            along = [1] * self.batch_rank
            along[at] = batch[at]
            starts[d] = np.arange(batch[at]).reshape(along)
        where = []
        for d, size in enumerate(self.sizes):
            window = np.arange(size).reshape([-1 if k == d else 1 for k in range(rank)])
            start = starts[d]
            if start is not None:
                window = start.reshape(start.shape + (1,) * rank) + window
            where.append(window)
        return tuple(where), inside


def _mode(params: dict[str, Any]) -> str:
    return str(getattr(params["mode"], "name", params["mode"])).upper()


@rule("gather")
def _gather(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    operand, indices = ins[0], ins[1]
    batch_rank = indices.ndim - 1
    drop = "FILL" in _mode(params)
    windows = _Windows(
        operand.shape, sizes, numbers.start_index_map, numbers.operand_batching_dims,
        numbers.start_indices_batching_dims, batch_rank, drop,
    )  # fmt: skip
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = [d for d in range(operand.ndim) if d not in gone]
    squeeze = tuple(batch_rank + d for d in sorted(gone))
    order = _gathered_order(outs[0].ndim, numbers.offset_dims, batch_rank)
    fill: Any = _fill_value(params, outs[0].dtype) if drop else None
    if 0 in outs[0].shape:
        return lambda x, index: np.zeros(outs[0].shape, outs[0].dtype)
    whole_rows = (
        len(numbers.start_index_map) == 1
        and gone == set(numbers.start_index_map)
        and all(sizes[d] == operand.shape[d] for d in kept)
        and operand.shape[numbers.start_index_map[0]] > 0
    )

    def run(x: Array, index: Array) -> Array:
        where, inside = windows.locate(index)
        if any(s > n for s, n in zip(sizes, x.shape, strict=True)):
            return np.full(outs[0].shape, fill, x.dtype)
        found = x[where] if where else np.broadcast_to(x, index.shape[:-1])
        found = np.broadcast_to(found, index.shape[:-1] + tuple(sizes))
        if inside is not None:
            mask = inside.reshape(inside.shape + (1,) * len(sizes))
            found = np.where(mask, found, fill)
        return found.squeeze(squeeze).transpose(order)

    def rows(x: Array, index: Array) -> Array:
        d = numbers.start_index_map[0]
        start = index[..., 0].astype(np.int64)
        held = np.clip(start, 0, x.shape[d] - 1)
        found = np.moveaxis(x, d, 0)[held]
        if drop and not np.array_equal(held, start):
            mask = (held == start).reshape(held.shape + (1,) * len(kept))
            found = np.where(mask, found, fill)
        return found.transpose(order)

    return rows if whole_rows else run


def _gathered_order(rank: int, offset_dims: Sequence[int], batch_rank: int) -> list[int]:
    """From (batch dims, window dims) to the result's order of dimensions."""
    order, batch, window = [], 0, batch_rank
    for d in range(rank):
        if d in offset_dims:
            order.append(window)
            window += 1
        else:
            order.append(batch)
            batch += 1
    return order


def _fill_value(params: dict[str, Any], dtype: Any) -> Any:
    value = params.get("fill_value")
    if value is not None:
        return np.asarray(value, dtype)
    if dtype.kind in "fVc":
        return np.asarray(np.nan, dtype)
    if dtype == np.bool_:
        return np.asarray(True)
    limits = np.iinfo(dtype)
    return np.asarray(limits.min if dtype.kind == "i" else limits.max, dtype)


def _put(x: Array, where: tuple[Array, ...], values: Array) -> None:
    x[where] = values


_WRITES: dict[str, Callable[[Array, tuple[Array, ...], Array], None]] = {
    "scatter": _put,
    "scatter-add": np.add.at,
    "scatter_add": np.add.at,
    "scatter-sub": np.subtract.at,
    "scatter_sub": np.subtract.at,
    "scatter-mul": np.multiply.at,
    "scatter_mul": np.multiply.at,
    "scatter-min": np.minimum.at,
    "scatter_min": np.minimum.at,
    "scatter-max": np.maximum.at,
    "scatter_max": np.maximum.at,
}


def _scatter(name: str) -> Any:
    write = _WRITES[name]

    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        into = _scattering(params, ins, write)
        return lambda x, index, updates: into(x.copy(), index, updates)

    return make


def _scattering(params: dict[str, Any], ins: Sequence[Any], write: Any) -> Run:
    """A function that scatters into its first argument itself."""
    numbers = params["dimension_numbers"]
    operand, indices, updates = ins
    batch_rank = indices.ndim - 1
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    kept = [d for d in range(operand.ndim) if d not in gone]
    sizes = [1] * operand.ndim
    for d, u in zip(kept, numbers.update_window_dims, strict=True):
        sizes[d] = updates.shape[u]
    windows = _Windows(
        operand.shape, sizes, numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims,
        numbers.scatter_indices_batching_dims, batch_rank, "CLIP" not in _mode(params),
    )  # fmt: skip
    scattered = [u for u in range(updates.ndim) if u not in numbers.update_window_dims]
    order = [*scattered, *numbers.update_window_dims]
    full = tuple(updates.shape[u] for u in scattered) + tuple(sizes)

    def into(x: Array, index: Array, update: Array) -> Array:
        if any(s > n for s, n in zip(sizes, x.shape, strict=True)):
            return x
        where, inside = windows.locate(index)
        values = update.transpose(order).reshape(full)
        if not where:
            for value in values.reshape(-1):
                write(x, (), value)
            return x
        if inside is not None:
            where = tuple(np.broadcast_to(w, full)[inside] for w in where)
            values = values[inside]
        write(x, where, values)
        return x

    return into


for _name in _WRITES:
    rule(_name)(_scatter(_name))


def scatter_in_place(name: str, params: dict[str, Any], ins: Sequence[Any]) -> Run | None:
    """The scatter that writes into its operand; None where there is no rule for `name`."""
    write = _WRITES.get(name)
    return None if write is None else _scattering(params, ins, write)
