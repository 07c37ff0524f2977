"""Memory formats: bookkeeping of strides only, since XLA chooses the layouts it computes in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ..._basics.strides import contiguous_strides, elementwise_strides, preserved_strides
from .constants import Constant


class memory_format(Constant):
    """A named order of dims in memory."""

    __slots__ = ()
    __module__ = "torch"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_by_name, (self.name,))


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
_ALL = {f.name: f for f in (contiguous_format, preserve_format, channels_last, channels_last_3d)}


def _by_name(name: str) -> memory_format:
    return _ALL[name]


def suggested(shape: tuple[int, ...], strides: tuple[int, ...]) -> memory_format:
    """The format that torch takes a layout for (`suggest_memory_format`)."""
    found = {4: channels_last, 5: channels_last_3d}.get(len(shape))
    if found is None or strides[1] == 0:
        return contiguous_format
    least = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if shape[d] == 0 or strides[d] < least or (d == 0 and least == strides[1]):
            return contiguous_format
        least = strides[d] * max(shape[d], 1)
    return found


def _is_plain(x: Any) -> bool:
    return x._layout is None and x._storage.strides is None


def _suggests(x: Any) -> memory_format:
    if _is_plain(x):
        return contiguous_format
    return suggested(tuple(x._aval.shape), tuple(x._strides))


Rule = TypeVar("Rule", bound=Callable[..., Any])


def follows(rule: Rule, which: str = "all") -> Rule:
    """Mark a layout by which results lie row by row where all operands do (they are no views).

    Or one of them. Calls of operators with such a layout are recorded at once then
    (`call/forms.py`).
    """
    rule.follows = which  # type: ignore[attr-defined]
    return rule


@follows
def follow(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: results are channels-last where the first operand is (an operator's `layout`)."""
    x = operands[0]
    fmt = _suggests(x)
    if fmt is contiguous_format:
        return None
    return [
        channels_last_strides(tuple(a.shape), fmt) if len(a.shape) == x._aval.ndim else None
        for a in avals
    ]


def follow_spatial(*counts: int) -> Any:
    """A layout like `follow`, for the numbers of spatial dims that torch has it for.

    The last entry of the key is that number. Three dims are one spatial dim of height 1.
    """

    @follows
    def layout(avals: Any, operands: Any, key: Any) -> list[Any] | None:
        spatial = key[-1]
        if spatial not in counts or operands[0]._aval.ndim != spatial + 2:
            return None
        return follow_windows(avals, operands[:1], spatial)

    return layout


def follow_windows(avals: Any, operands: Any, spatial: int) -> list[Any] | None:
    """Results of windows over `spatial` dims: channels-last where one of the operands is.

    As torch does it, an operand without a batch gets one, and one spatial dim becomes two.
    """
    if all(_is_plain(x) for x in operands):
        return None
    for x in operands:
        shape, strides = tuple(x._aval.shape), tuple(x._strides)
        if len(shape) == spatial + 1:
            shape, strides = (1, *shape), (shape[0] * strides[0], *strides)
        if spatial == 1 and len(shape) == 3:
            shape = (*shape[:2], 1, shape[2])
            strides = (*strides[:2], shape[3] * strides[2], strides[2])
        fmt = suggested(shape, strides)
        if fmt is not contiguous_format:
            return [_window_strides(tuple(a.shape), spatial) for a in avals]
    return None


def _window_strides(shape: tuple[int, ...], spatial: int) -> tuple[int, ...]:
    """Strides of (N, C, *spatial) or (C, *spatial) with the channels innermost."""
    batched = shape if len(shape) == spatial + 2 else (1, *shape)
    order = (0, *range(2, len(batched)), 1)
    inner = contiguous_strides(tuple(batched[d] for d in order))
    found = [0] * len(batched)
    for d, s in zip(order, inner, strict=True):
        found[d] = s
    return tuple(found[len(batched) - len(shape) :])


@partial(follows, which="one")
def follow_all(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: the result of a join is channels-last where every part is."""
    shape = tuple(avals[0].shape)
    found = {4: channels_last, 5: channels_last_3d}.get(len(shape))
    if found is None or not all(_suggests(x) is found for x in operands):
        return None
    return [channels_last_strides(shape, found)]


@follows
def stacked(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """The layout of `stack`: that of a join along `dim`, cut in two there."""
    part, dim = tuple(operands[0]._aval.shape), key[1] if isinstance(key[1], int) else 0
    dim = dim + len(part) + 1 if dim < 0 else dim
    fmt = {4: channels_last, 5: channels_last_3d}.get(len(part))
    if dim == len(part) or fmt is None or not all(_suggests(x) is fmt for x in operands):
        return None
    count = len(operands)
    joint = channels_last_strides((*part[:dim], count * part[dim], *part[dim + 1 :]), fmt)
    return [(*joint[:dim], part[dim] * joint[dim], *joint[dim:])]


@follows
def preserve(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: results of the first operand's shape lie in memory as it does."""
    x = operands[0]
    if _is_plain(x):
        return None
    shape = tuple(x._aval.shape)
    found = preserved_strides(shape, tuple(x._strides))
    return [found if tuple(a.shape) == shape else None for a in avals]


@follows
def pointwise(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: that of an elementwise operator of all operands, for results of their shape."""
    given = [x for x in operands if hasattr(x, "_aval")]
    if all(_is_plain(x) for x in given):
        return None
    layouts = [(tuple(x._aval.shape), tuple(x._strides)) for x in given]
    ndim = max(len(s) for s, _ in layouts)
    wide = [s for s, _ in layouts if len(s) == ndim]
    return [
        elementwise_strides(tuple(a.shape), layouts)
        if len(a.shape) == ndim and tuple(a.shape) == tuple(map(max, zip(*wide, strict=True)))
        else None
        for a in avals
    ]


@follows
def row_major(avals: Any, operands: Any, key: Any) -> None:
    """A layout: for operators that broadcast and whose results lie row by row all the same."""


@follows
def reversed_pointwise(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """`pointwise` for an operator that torch computes with its operands exchanged."""
    return pointwise(avals, operands[::-1], key)


def channels_last_strides(shape: tuple[int, ...], fmt: memory_format) -> tuple[int, ...]:
    """Strides of a dense tensor in a channels-last format.

    Raises: RuntimeError when the number of dims does not fit the format.
    """
    need = 4 if fmt is channels_last else 5
    if len(shape) != need:
        raise RuntimeError(f"required rank {need} tensor to use {fmt.name} format")
    order = (0, *range(2, need), 1)
    inner = contiguous_strides(tuple(shape[d] for d in order))
    strides = [0] * need
    for d, s in zip(order, inner, strict=True):
        strides[d] = s
    return tuple(strides)
