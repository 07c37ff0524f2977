"""Memory formats: bookkeeping of strides only, since XLA chooses the layouts it computes in."""

from __future__ import annotations

from typing import Any

from .._core.values import contiguous_strides


class memory_format:
    """A named order of dims in memory."""

    __slots__ = ("name",)
    __module__ = "torch"

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_by_name, (self.name,))


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
_ALL = {f.name: f for f in (contiguous_format, preserve_format, channels_last, channels_last_3d)}


def _by_name(name: str) -> memory_format:
    return _ALL[name]


def follow(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: results are channels-last where the first operand is (an operator's `layout`)."""
    x = operands[0]
    if x._layout is None and x._storage.strides is None:
        return None
    shape, strides = tuple(x._aval.shape), tuple(x._strides)
    fmt = {4: channels_last, 5: channels_last_3d}.get(len(shape))
    if fmt is None or strides != channels_last_strides(shape, fmt):
        return None
    if strides == contiguous_strides(shape):
        return None
    return [
        channels_last_strides(tuple(a.shape), fmt) if len(a.shape) == len(shape) else None
        for a in avals
    ]


def follow_all(avals: Any, operands: Any, key: Any) -> list[Any] | None:
    """A layout: the result of a join is channels-last where every part is."""
    shape = tuple(avals[0].shape)
    found = {4: channels_last, 5: channels_last_3d}.get(len(shape))
    if found is None or not all(follow(avals, [x], key) for x in operands):
        return None
    return [channels_last_strides(shape, found)]


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
