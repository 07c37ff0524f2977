"""Views of parts: select, slices, splits, diagonals, windows, and any layout at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from ..._autograd.capture import sizes_around
from ..._autograd.tensor_base import MULTI_OUTPUT, TensorBase, view_of
from ..._basics.dtypes import INT
from ..._basics.strides import dense_span
from ..registry import Tensor, composite, wrap_dim
from .remembered import remembered
from .whole import Ints, as_sizes

_parts = partial(remembered, creation=MULTI_OUTPUT)


@composite()
@remembered
def select(input: Any, dim: int, index: Any) -> Tensor:
    """The slice at `index` along `dim`, without that dim."""
    shape = input._aval.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, i = wrap_dim(dim, len(shape)), int(index)
    if not -shape[d] <= i < shape[d]:
        around = sizes_around(input)
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {[*around, *shape]} at dimension "
            f"{d + len(around)}"
        )
    return selected(input, d, i % shape[d])


def selected(input: Any, d: int, i: int) -> Any:
    """`select` of what is known to be in range."""
    return view_of(
        input,
        "SelectBackward0",
        lambda s, t, o: ((*s[:d], *s[d + 1 :]), (*t[:d], *t[d + 1 :]), o + i * t[d]),
    )


@composite(into=("method",), name="_slice")
def slice_(self: Any, dim: int, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """`self[start:end:step]` along `dim`, with Python's clamping of the ends."""
    n = self._aval.shape[wrap_dim(dim, self._aval.ndim)]
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    first, last, _ = slice(start, end, 1).indices(n)
    return _sliced(self, wrap_dim(dim, self._aval.ndim), first, max(last, first), step)


def _sliced(
    input: Any, d: int, first: int, last: int, step: int, creation: Any = None, part: int = 0,
    name: str = "SliceBackward0",
) -> Any:  # fmt: skip
    count = -(-(last - first) // step)
    options = {} if creation is None else {"creation": creation, "part": part}
    return view_of(
        input,
        name,
        lambda s, t, o: (
            (*s[:d], count, *s[d + 1 :]), (*t[:d], t[d] * step, *t[d + 1 :]), o + first * t[d],
        ),
        **options,
    )  # fmt: skip


@composite()
@remembered
def narrow(input: Any, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements from `start` along `dim`."""
    if input._aval.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    d = wrap_dim(dim, input._aval.ndim)
    if isinstance(start, TensorBase) and (start._aval.ndim or start._aval.dtype.category != INT):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    n, first = input._aval.shape[d], int(start)
    if not -n <= first <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {first})"
        )
    first = first + n if first < 0 else first
    if first + length > n:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return _sliced(input, d, first, first + length, 1)


_SPLIT, _SPLIT_SIZES = "SplitBackward0", "SplitWithSizesBackward0"


@composite(name="split", aliases=("unsafe_split",))
@_parts
def split(
    tensor: Any, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Any, ...]:
    """Parts of a size, or of the given sizes, along `dim`."""
    sections = split_size if split_size_or_sections is None else split_size_or_sections
    if tensor._aval.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = wrap_dim(dim, tensor._aval.ndim)
    n = tensor._aval.shape[d]
    if isinstance(sections, int | TensorBase):
        number: Any = sections
        size = int(number)
        if size < 0:
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={size}"
            )
        if size == 0:
            if n:
                raise RuntimeError(
                    "split_size can only be 0 if dimension size is 0, but got dimension size of "
                    f"{n}"
                )
            return (_sliced(tensor, d, 0, 0, 1, MULTI_OUTPUT, name=_SPLIT),)
        cuts = list(range(0, max(n, 1), size))
        return tuple(
            _sliced(tensor, d, c, min(c + size, n), 1, MULTI_OUTPUT, k, _SPLIT)
            for k, c in enumerate(cuts)
        )
    return _split_sizes(tensor, tuple(int(s) for s in sections), d)


@composite(name="split_with_sizes", aliases=("unsafe_split_with_sizes",))
@_parts
def split_with_sizes(input: Any, split_sizes: Any, dim: int = 0) -> tuple[Any, ...]:
    """Parts of the given sizes along `dim`."""
    return _split_sizes(input, tuple(int(s) for s in split_sizes), wrap_dim(dim, input._aval.ndim))


def _split_sizes(tensor: Any, sizes: Ints, d: int) -> tuple[Any, ...]:
    n = tensor._aval.shape[d]
    if any(s < 0 for s in sizes) or sum(sizes) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {d + len(sizes_around(tensor))}), but got split_sizes={list(sizes)}"
        )
    found = []
    start = 0
    for k, s in enumerate(sizes):
        found.append(_sliced(tensor, d, start, start + s, 1, MULTI_OUTPUT, k, _SPLIT_SIZES))
        start += s
    return tuple(found)


@composite(aliases=("unsafe_chunk",))
@_parts
def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most `chunks` parts of equal size (the last may be smaller) along `dim`."""
    if input._aval.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = wrap_dim(dim, input._aval.ndim)
    n = input._aval.shape[d]
    if n == 0:
        return _split_sizes(input, (0,) * chunks, d)
    found: tuple[Any, ...] = split(input, -(-n // chunks), d)
    return found


@composite()
def tensor_split(
    input: Any, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None,
    sections: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Cut at indices, or into a number of nearly equal parts, along `dim`."""
    where = next(x for x in (indices_or_sections, indices, sections) if x is not None)
    if input._aval.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = wrap_dim(dim, input._aval.ndim)
    n = input._aval.shape[d]
    if isinstance(where, TensorBase):
        where = where.tolist()  # type: ignore[attr-defined]
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        small, extra = divmod(n, where)
        edges = [0]
        for k in range(where):
            edges.append(edges[-1] + small + (k < extra))
        return tuple(_sliced(input, d, a, b, 1) for a, b in pairwise(edges))
    points = [0, *[int(i) for i in where], n]
    return tuple(slice_(input, d, a, b) for a, b in pairwise(points))


def _split_on(name: str, low: int, axis: Callable[[int], int]) -> None:
    def function(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        ndim = input._aval.ndim
        if ndim < low:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {low} dimension"
                f"{'s' if low > 1 else ''}, but got a tensor with {ndim} dimensions!"
            )
        d = axis(ndim)
        if isinstance(indices_or_sections, str):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, str)"
            )
        if isinstance(indices_or_sections, int):
            n = input._aval.shape[d]
            if indices_or_sections == 0 or n % indices_or_sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {d}, but the size of the "
                    f"dimension {n} is not divisible by the split_size {indices_or_sections}!"
                )
        return tensor_split(input, indices_or_sections, d)  # type: ignore[no-any-return]

    function.__name__ = name
    function.__doc__ = f"`tensor_split` along the dim that `numpy.{name}` uses."
    composite()(function)


_split_on("hsplit", 1, lambda ndim: 0 if ndim == 1 else 1)
_split_on("vsplit", 2, lambda ndim: 0)
_split_on("dsplit", 3, lambda ndim: 2)


@composite()
@_parts
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along `dim`."""
    if input._aval.ndim == 0:
        wrap_dim(dim, 0)
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = wrap_dim(dim, input._aval.ndim)

    def part(i: int) -> Any:
        return view_of(
            input,
            "UnbindBackward0",
            lambda s, t, o: ((*s[:d], *s[d + 1 :]), (*t[:d], *t[d + 1 :]), o + i * t[d]),
            creation=MULTI_OUTPUT,
            part=i,
        )

    return tuple(part(i) for i in range(input._aval.shape[d]))


@composite()
@remembered
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dims, as a last dim."""
    ndim = input._aval.ndim
    a, b = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n, m = input._aval.shape[a], input._aval.shape[b]
    count = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)

    def rule(shape: Ints, strides: Ints, start: int) -> tuple[Ints, Ints, int]:
        rest = [d for d in range(ndim) if d not in (a, b)]
        if count:
            start += offset * strides[b] if offset >= 0 else -offset * strides[a]
        return (
            (*[shape[d] for d in rest], count),
            (*[strides[d] for d in rest], strides[a] + strides[b]),
            start,
        )

    return view_of(input, "DiagonalBackward0", rule)


@composite(into=("linalg",), name="diagonal")
def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """`torch.diagonal` with the last two dims by default."""
    return diagonal(A, offset, dim1, dim2)


@composite(into=("method",))
def unfold(self: Any, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` every `step` along a dim, as a last dim (they may overlap)."""
    ndim = self._aval.ndim
    d = wrap_dim(dimension, ndim)
    n = self._aval.shape[d] if ndim else 1
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")

    def rule(shape: Ints, strides: Ints, offset: int) -> tuple[Ints, Ints, int]:
        if not shape:
            return (size,), (1,), offset
        count = (shape[d] - size) // step + 1
        return (
            (*shape[:d], count, *shape[d + 1 :], size),
            (*strides[:d], strides[d] * step, *strides[d + 1 :], strides[d]),
            offset,
        )

    return view_of(self, "UnfoldBackward0", rule)


@composite()
def as_strided(input: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """Any layout on the same storage.

    Raises: RuntimeError for negative strides or a layout that leaves the storage.
    """
    shape, strides = as_sizes((size,), "as_strided"), as_sizes((stride,), "as_strided")
    start = input._offset if storage_offset is None else int(storage_offset)
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and strides="
            f"{list(strides)}"
        )
    if any(s < 0 for s in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    reach = start + dense_span(shape, strides)
    have = input._storage.numel * input._storage.dtype.itemsize
    size_each = input._aval.dtype.itemsize
    if dense_span(shape, strides) and reach * size_each > have:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {start}, "
            f"and itemsize {size_each} requiring a storage size of {reach * size_each} are out of "
            f"bounds for storage of size {have}"
        )
    return view_of(
        input, "AsStridedBackward0", lambda s, t, o: (shape, strides, start), in_memory=True
    )
