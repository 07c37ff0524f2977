"""View operators: stride arithmetic on the same storage.

Each operator is a rule (shape, strides, offset) -> (shape, strides, offset); reading, writing and the
gradient follow from the layouts alone (see _core/layout.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .._core import dtypes
from .._core.dtypes import SCALAR_NAMES, dtype
from .._core.layout import view_strides
from .._core.storage import dense_span
from .._core.tensor_base import MULTI_OUTPUT, TensorBase, view_of
from .registry import composite, methods, ops, wrap_dim

Ints = tuple[int, ...]


def as_sizes(args: Sequence[Any], name: str = "view") -> Ints:
    """Sizes from varargs or from one sequence."""
    if len(args) == 1 and isinstance(args[0], tuple | list):
        args = args[0]
    found = []
    for position, n in enumerate(args):
        if isinstance(n, TensorBase) or hasattr(n, "__index__"):
            found.append(int(n))
        else:
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {position + 1} with "
                f"error \"type must be tuple of ints,but got {type(n).__name__}\""
            )
    return tuple(found)


def infer_size(sizes: Ints, numel: int) -> Ints:
    """Replace one -1 by the size that fits.

    Raises: torch's RuntimeErrors for sizes that cannot hold `numel` elements.
    """
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(n < -1 for n in sizes):
        bad = next(n for n in sizes if n < -1)
        raise RuntimeError(f"invalid shape dimension {bad} at index {sizes.index(bad)} of shape "
                           f"{list(sizes)}")
    known = math.prod(n for n in sizes if n != -1)
    if -1 in sizes:
        if known == 0 and numel == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the "
                "unspecified dimension size -1 can be any value and is ambiguous"
            )
        if known and numel % known == 0:
            return tuple(numel // known if n == -1 else n for n in sizes)
    elif known == numel:
        return sizes
    raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {numel}")


def _view_to(input: Any, sizes: Ints, name: str = "ViewBackward0") -> Any:
    """The view of inferred `sizes`, or None when strides forbid it."""
    if view_strides(tuple(input._aval.shape), input._strides, sizes) is None:
        return None

    def rule(shape: Ints, strides: Ints, offset: int) -> tuple[Ints, Ints, int]:
        found = view_strides(shape, strides, sizes)
        assert found is not None
        return sizes, found, offset

    return view_of(input, name, rule)


@composite(into=("method",))
def view(self: Any, *size: Any, dtype: Any = None) -> Any:
    """The same memory in another shape, or as another dtype.

    Raises: RuntimeError when the strides do not allow it (use `reshape`).
    """
    wanted = dtype if dtype is not None else (size[0] if len(size) == 1 else None)
    if isinstance(wanted, dtypes.dtype):
        return view_dtype(self, wanted)
    sizes = infer_size(as_sizes(size), self._aval.numel)
    found = _view_to(self, sizes)
    if found is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


def view_dtype(input: Any, to: dtype) -> Any:
    """The same bytes as elements of another dtype; the last dim is rescaled."""
    have = input._aval.dtype
    if have is to:
        return view_of(input, "AliasBackward0", lambda s, t, o: (s, t, o))
    if input._needs_grad() and (to.category < dtypes.FLOAT):
        input = methods.detach(input)
    a, b = have.itemsize, to.itemsize
    if a == b:
        return view_of(input, "ViewBackward0", lambda s, t, o: (s, t, o), elements=to)
    if input._aval.ndim == 0:
        raise RuntimeError(
            f"self.dim() cannot be 0 to view {SCALAR_NAMES[have]} as {SCALAR_NAMES[to]} (different "
            "element sizes)"
        )
    if input._strides[-1] != 1:
        raise RuntimeError(
            f"self.stride(-1) must be 1 to view {SCALAR_NAMES[have]} as {SCALAR_NAMES[to]} "
            f"(different element sizes), but got {input._strides[-1]}"
        )
    if a < b:
        ratio = b // a
        shape, strides = input._aval.shape, input._strides
        if shape[-1] % ratio or input._offset % ratio or any(s % ratio for s in strides[:-1]):
            raise RuntimeError(
                f"self.size(-1) must be divisible by {ratio} to view {SCALAR_NAMES[have]} as "
                f"{SCALAR_NAMES[to]} (different element sizes), but got {shape[-1]}"
            )

    def rule(shape: Ints, strides: Ints, offset: int) -> tuple[Ints, Ints, int]:
        return (
            (*shape[:-1], shape[-1] * a // b),
            (*[s * a // b for s in strides[:-1]], 1),
            offset * a // b,
        )

    return view_of(input, "ViewBackward0", rule, elements=to)


@composite()
def reshape(input: Any, *shape: Any, **kwargs: Any) -> Any:
    """A view where strides allow it, else a copy, in another shape."""
    sizes = infer_size(as_sizes(kwargs.get("shape") and (kwargs["shape"],) or shape, "reshape"),
                       input._aval.numel)
    found = _view_to(input, sizes)
    if found is not None:
        return found
    return _view_to(methods.contiguous(input), sizes, "UnsafeViewBackward0")


@composite(into=("method",))
def reshape_as(self: Any, other: Any) -> Any:
    """`self.reshape(other.shape)`."""
    return reshape(self, other._aval.shape)


@composite(into=("method",))
def view_as(self: Any, other: Any) -> Any:
    """`self.view(other.shape)`."""
    return view(self, other._aval.shape)


@composite()
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the dims from `start_dim` to `end_dim`."""
    shape = input._aval.shape
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@composite()
def ravel(input: Any) -> Any:
    """The elements as one dim."""
    return view(methods.contiguous(input), -1)


@composite()
def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """Cut `dim` into `sizes`."""
    shape = input._aval.shape
    d = wrap_dim(dim, len(shape))
    sizes = as_sizes((sizes,), "unflatten")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        sizes = infer_size(sizes, shape[d])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
            f"({shape[d]}) in the input tensor"
        ) from None
    return view(input, (*shape[:d], *sizes, *shape[d + 1 :]))


# --- permutations ----------------------------------------------------------------------------------


def _permuted(input: Any, dims: Ints, name: str) -> Any:
    return view_of(
        input,
        name,
        lambda shape, strides, offset: (
            tuple(shape[d] for d in dims), tuple(strides[d] for d in dims), offset,
        ),
    )  # fmt: skip


@composite()
def permute(input: Any, *dims: Any, **kwargs: Any) -> Any:
    """Dims in another order."""
    wanted = as_sizes((kwargs["dims"],) if "dims" in kwargs else dims, "permute")
    ndim = input._aval.ndim
    if len(wanted) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            "length of the desired ordering of dimensions i.e. input.dim() = "
            f"{ndim} is not equal to len(dims) = {len(wanted)}"
        )
    found = tuple(wrap_dim(d, ndim) for d in wanted)
    if len(set(found)) != ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permuted(input, found, "PermuteBackward0")


@composite(aliases=("swapaxes", "swapdims"))
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Swap two dims."""
    ndim = input._aval.ndim
    a, b = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = order[b], order[a]
    return _permuted(input, tuple(order), "TransposeBackward0")


@composite()
def t(input: Any) -> Any:
    """The transpose of a matrix; tensors of fewer dims as they are."""
    ndim = input._aval.ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return _permuted(input, tuple(range(ndim))[::-1], "TBackward0")


@composite(aliases=("moveaxis",))
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Move dims to other positions; the rest keep their order."""
    ndim = input._aval.ndim
    src = (source,) if isinstance(source, int) else tuple(source)
    dst = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(src) != len(dst):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(src)} dims) should contain the same number of dims as destination "
            f"({list(dst)} dims)"
        )
    src = tuple(wrap_dim(d, ndim) for d in src)
    dst = tuple(wrap_dim(d, ndim) for d in dst)
    for label, group, given in (("source", src, source), ("destination", dst, destination)):
        if len(set(group)) != len(group):
            shown = [given] if isinstance(given, int) else list(given)
            raise RuntimeError(f"movedim: repeated dim in `{label}` ({shown})")
    order = [-1] * ndim
    for s, d in zip(src, dst, strict=True):
        order[d] = s
    rest = iter(d for d in range(ndim) if d not in src)
    return _permuted(input, tuple(next(rest) if d == -1 else d for d in order), "PermuteBackward0")


@composite()
def adjoint(input: Any) -> Any:
    """The conjugate transpose of the last two dims."""
    found = transpose(input, -2, -1)
    return methods.conj(found) if found._aval.dtype.is_complex else found


# --- sizes of one --------------------------------------------------------------------------------


@composite()
def unsqueeze(input: Any, dim: int) -> Any:
    """Insert a dim of size one at `dim`."""
    d = wrap_dim(dim, input._aval.ndim + 1)

    def rule(shape: Ints, strides: Ints, offset: int) -> tuple[Ints, Ints, int]:
        step = shape[d] * strides[d] if d < len(shape) else 1
        return (*shape[:d], 1, *shape[d:]), (*strides[:d], step, *strides[d:]), offset

    return view_of(input, "UnsqueezeBackward0", rule)


@composite()
def squeeze(input: Any, dim: Any = None) -> Any:
    """Drop dims of size one (all, or those named)."""
    shape = input._aval.shape
    if dim is None:
        gone = {d for d, n in enumerate(shape) if n == 1}
        name = "SqueezeBackward0"
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        wrapped = [wrap_dim(d, len(shape)) for d in dims]
        if len(set(wrapped)) != len(wrapped):
            raise RuntimeError(f"dim {wrapped[0]} appears multiple times in the list of dims")
        gone = {d for d in wrapped if d < len(shape) and shape[d] == 1}
        name = "SqueezeBackward1" if isinstance(dim, int) else "SqueezeBackward2"
    kept = [d for d in range(len(shape)) if d not in gone]
    return view_of(
        input,
        name,
        lambda s, t, o: (tuple(s[d] for d in kept), tuple(t[d] for d in kept), o),
    )


@composite(into=("method",))
def expand(self: Any, *size: Any, implicit: bool = False) -> Any:
    """Repeat dims of size one without copying; -1 keeps a size."""
    return _expand(self, as_sizes(size, "expand"))


def _expand(input: Any, sizes: Ints) -> Any:
    shape = tuple(input._aval.shape)
    lead = len(sizes) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.{SCALAR_NAMES[input._aval.dtype]}Tensor{{{list(shape)}}}, "
            f"size={list(sizes)}): the number of sizes provided ({len(sizes)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(shape)})"
        )
    wanted = list(sizes)
    for d in range(len(sizes) - 1, -1, -1):  # from the last dim: the order of torch's errors
        n = sizes[d]
        have = shape[d - lead] if d >= lead else None
        if n == -1:
            if have is None:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, "
                    f"non-existing dimension {d}"
                )
            wanted[d] = have
        elif have is not None and have != 1 and have != n:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at "
                f"non-singleton dimension {d}.  Target sizes: {list(sizes)}.  Tensor sizes: "
                f"{list(shape)}"
            )

    def rule(s: Ints, t: Ints, offset: int) -> tuple[Ints, Ints, int]:
        strides = [0] * len(wanted)
        for d in range(len(wanted) - 1, -1, -1):
            if d >= lead:
                strides[d] = t[d - lead] if s[d - lead] == wanted[d] else 0
            elif wanted[d] == 1:
                strides[d] = wanted[d + 1] * strides[d + 1] if d + 1 < len(wanted) else 1
        return tuple(wanted), tuple(strides), offset

    return view_of(input, "ExpandBackward0", rule)


@composite()
def broadcast_to(input: Any, size: Any) -> Any:
    """`input.expand(size)`."""
    return _expand(input, as_sizes((size,), "broadcast_to"))


@composite(into=("method",))
def expand_as(self: Any, other: Any) -> Any:
    """`self.expand(other.shape)`."""
    return _expand(self, tuple(other._aval.shape))


# --- parts -----------------------------------------------------------------------------------------


@composite()
def select(input: Any, dim: int, index: Any) -> Any:
    """The slice at `index` along `dim`, without that dim."""
    shape = input._aval.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, i = wrap_dim(dim, len(shape)), int(index)
    if not -shape[d] <= i < shape[d]:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {d}"
        )
    i %= shape[d]
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
    input: Any, d: int, first: int, last: int, step: int, creation: Any = None, part: int = 0
) -> Any:
    count = -(-(last - first) // step)
    options = {} if creation is None else {"creation": creation, "part": part}
    return view_of(
        input,
        "SliceBackward0" if creation is None else "SplitBackward0",
        lambda s, t, o: (
            (*s[:d], count, *s[d + 1 :]), (*t[:d], t[d] * step, *t[d + 1 :]), o + first * t[d],
        ),
        **options,
    )  # fmt: skip


@composite()
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` elements from `start` along `dim`."""
    if input._aval.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    d = wrap_dim(dim, input._aval.ndim)
    n, first = input._aval.shape[d], int(start)
    if not -n <= first <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {first})"
        )
    first = first + n if first < 0 else first
    if first + length > n:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return _sliced(input, d, first, first + length, 1)


@composite(name="split", aliases=("unsafe_split",))
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
        size = int(sections)
        if size < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        if size == 0:
            if n:
                raise RuntimeError(
                    "split_size can only be 0 if dimension size is 0, but got dimension size of "
                    f"{n}"
                )
            return (_sliced(tensor, d, 0, 0, 1, MULTI_OUTPUT),)
        cuts = list(range(0, max(n, 1), size))
        return tuple(
            _sliced(tensor, d, c, min(c + size, n), 1, MULTI_OUTPUT, k)
            for k, c in enumerate(cuts)
        )
    return _split_sizes(tensor, tuple(int(s) for s in sections), d)


@composite(name="split_with_sizes", aliases=("unsafe_split_with_sizes",))
def split_with_sizes(input: Any, split_sizes: Any, dim: int = 0) -> tuple[Any, ...]:
    """Parts of the given sizes along `dim`."""
    return _split_sizes(input, tuple(int(s) for s in split_sizes), wrap_dim(dim, input._aval.ndim))


def _split_sizes(tensor: Any, sizes: Ints, d: int) -> tuple[Any, ...]:
    n = tensor._aval.shape[d]
    if any(s < 0 for s in sizes) or sum(sizes) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {d}), but got split_sizes={list(sizes)}"
        )
    found = []
    start = 0
    for k, s in enumerate(sizes):
        found.append(_sliced(tensor, d, start, start + s, 1, MULTI_OUTPUT, k))
        start += s
    return tuple(found)


@composite(aliases=("unsafe_chunk",))
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
        return tuple(
            _sliced(input, d, a, b, 1) for a, b in zip(edges[:-1], edges[1:], strict=True)
        )
    points = [0, *[int(i) for i in where], n]
    return tuple(slice_(input, d, a, b) if k == len(points) - 2 else slice_(input, d, a, b)
                 for k, (a, b) in enumerate(zip(points[:-1], points[1:], strict=True)))


def _split_on(name: str, low: int, axis: Callable[[int], int]) -> None:
    def function(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        ndim = input._aval.ndim
        if ndim < low:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {low} dimension"
                f"{'s' if low > 1 else ''}, but got a tensor with {ndim} dimensions!"
            )
        d = axis(ndim)
        if isinstance(indices_or_sections, int):
            n = input._aval.shape[d]
            if n % indices_or_sections:
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
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along `dim`."""
    if input._aval.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
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
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
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
def unfold(self: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of `size` every `step` along a dim, as a last dim (they may overlap)."""
    ndim = self._aval.ndim
    d = wrap_dim(dimension, ndim)
    n = self._aval.shape[d] if ndim else 1
    if size > n:
        raise RuntimeError(
            f"maximum size for tensor at dimension {d} is {n} but size is {size}"
        )
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
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {start}, and "
            f"itemsize {size_each} requiring a storage size of {reach * size_each} are out of "
            f"bounds for storage of size {have}"
        )
    return view_of(
        input, "AsStridedBackward0", lambda s, t, o: (shape, strides, start), in_memory=True
    )


# --- complex ---------------------------------------------------------------------------------------


@composite()
def view_as_real(input: Any) -> Any:
    """A complex tensor as a real one with a last dim of 2."""
    dt = input._aval.dtype
    if not dt.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input._conjugated:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    return view_of(
        input,
        "ViewAsRealBackward0",
        lambda s, t, o: ((*s, 2), (*[2 * x for x in t], 1), 2 * o),
        elements=dt.to_real(),
    )


@composite()
def view_as_complex(input: Any) -> Any:
    """A real tensor with a last dim of 2 as a complex one."""
    dt, shape, strides = input._aval.dtype, input._aval.shape, input._strides
    if dt not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor "
            f"of scalar type: {SCALAR_NAMES[dt]}"
        )
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s, n in zip(strides[:-1], shape[:-1], strict=True) if n != 1):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if input._offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return view_of(
        input,
        "ViewAsComplexBackward0",
        lambda s, t, o: (s[:-1], tuple(x // 2 for x in t[:-1]), o // 2),
        elements=dt.to_complex(),
    )


@composite()
def real(input: Any) -> Any:
    """The real parts (a view; a real tensor itself)."""
    if not input._aval.dtype.is_complex:
        return input
    return select(view_as_real(methods.resolve_conj(input)), -1, 0)


@composite()
def imag(input: Any) -> Any:
    """The imaginary parts (a view).

    Raises: RuntimeError for real tensors.
    """
    if not input._aval.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    if input._conjugated:
        return ops.neg(imag(conj(input)))
    return select(view_as_real(input), -1, 1)


@composite()
def conj(input: Any) -> Any:
    """The conjugate, as a view (a real tensor itself)."""
    if not input._aval.dtype.is_complex:
        return input
    return view_of(input, "ConjBackward0", lambda s, t, o: (s, t, o), flip=True)
