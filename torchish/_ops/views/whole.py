"""View operators: stride arithmetic on the same storage.

Each operator is a rule (shape, strides, offset) -> (shape, strides, offset); reading, writing and
the gradient follow from the layouts alone (see _core/layout.py).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..._autograd.capture import sizes_around
from ..._autograd.tensor_base import TensorBase, alias as alias_of, view_of
from ..._basics import dtypes
from ..._basics.dtypes import SCALAR_NAMES, dtype
from ..._basics.strides import view_strides
from ..call.warning import user_level
from ..registry import Tensor, composite, methods, wrap_dim
from .remembered import remembered

Ints = tuple[int, ...]


def as_sizes(args: Sequence[Any], name: str = "view") -> Ints:
    """Sizes from varargs or from one sequence."""
    if len(args) == 1 and isinstance(args[0], tuple | list):
        args = args[0]
    found = []
    for position, n in enumerate(args):
        if type(n) is int:
            found.append(n)
        elif isinstance(n, TensorBase) or hasattr(n, "__index__"):
            found.append(int(n))
        else:
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {position + 1} with "
                f'error "type must be tuple of ints,but got {type(n).__name__}"'
            )
    return tuple(found)


def infer_size(sizes: Ints, numel: int) -> Ints:
    """Replace one -1 by the size that fits.

    Raises: torch's RuntimeErrors for sizes that cannot hold `numel` elements.
    """
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if sizes and min(sizes) < -1:
        bad = next(n for n in sizes if n < -1)
        raise RuntimeError(
            f"invalid shape dimension {bad} at index {sizes.index(bad)} of shape {list(sizes)}"
        )
    if -1 in sizes:
        known = math.prod([n for n in sizes if n != -1])
        if known == 0 and numel == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the "
                "unspecified dimension size -1 can be any value and is ambiguous"
            )
        if known and numel % known == 0:
            return tuple(numel // known if n == -1 else n for n in sizes)
    elif math.prod(sizes) == numel:
        return sizes
    raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {numel}")


def _fitting_sizes(input: Any, sizes: Ints) -> Ints:
    """`infer_size` for a tensor; the error is about all samples where it is one within `vmap`."""
    try:
        return infer_size(sizes, input._aval.numel)
    except RuntimeError:
        around = sizes_around(input)
        infer_size((*around, *sizes), math.prod(around) * input._aval.numel)
        raise


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
@remembered
def view(self: Any, *size: Any, dtype: Any = None) -> Tensor:
    """The same memory in another shape, or as another dtype.

    Raises: RuntimeError when the strides do not allow it (use `reshape`).
    """
    wanted = dtype if dtype is not None else (size[0] if len(size) == 1 else None)
    wanted = dtypes.wanted(wanted)
    if isinstance(wanted, dtypes.dtype):
        return view_dtype(self, wanted)
    sizes = _fitting_sizes(self, as_sizes(size))
    found = _view_to(self, sizes)
    if found is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


def view_dtype(input: Any, to: dtype) -> Any:
    """The same bytes as elements of another dtype, without history; the last dim is rescaled."""
    have = input._aval.dtype
    if input._conjugated:
        kind = "conjugate view tensors" if have.is_complex else "tensors with negative bit set"
        raise RuntimeError(
            f"torch.Tensor.view is not supported for {kind} when converting to a different dtype."
        )
    a, b = have.itemsize, to.itemsize
    if a == b:
        return _same_bytes(input, to, input._aval.shape, input._strides, input._offset)
    if input._aval.ndim == 0:
        raise RuntimeError(
            f"self.dim() cannot be 0 to view {SCALAR_NAMES[have]} as {SCALAR_NAMES[to]} (different "
            "element sizes)"
        )
    if a < b and input._aval.shape[-1] % (b // a):
        raise RuntimeError(
            f"self.size(-1) must be divisible by {b // a} to view {SCALAR_NAMES[have]} as "
            f"{SCALAR_NAMES[to]} (different element sizes), but got {input._aval.shape[-1]}"
        )
    if a < b and input._offset % (b // a):
        raise RuntimeError(
            f"self.storage_offset() must be divisible by {b // a} to view {SCALAR_NAMES[have]} as "
            f"{SCALAR_NAMES[to]} (different element sizes), but got {input._offset}"
        )
    if input._strides[-1] != 1:
        raise RuntimeError(
            f"self.stride(-1) must be 1 to view {SCALAR_NAMES[have]} as {SCALAR_NAMES[to]} "
            f"(different element sizes), but got {input._strides[-1]}"
        )
    if a < b:
        ratio = b // a
        for d, stride in enumerate(input._strides[:-1]):
            if stride % ratio:
                raise RuntimeError(
                    f"self.stride({d}) must be divisible by {ratio} to view {SCALAR_NAMES[have]} "
                    f"as {SCALAR_NAMES[to]} (different element sizes), but got {stride}"
                )

    shape, strides = input._aval.shape, input._strides
    return _same_bytes(
        input, to, (*shape[:-1], shape[-1] * a // b), (*[s * a // b for s in strides[:-1]], 1),
        input._offset * a // b,
    )  # fmt: skip


def _same_bytes(input: Any, to: dtype, shape: Any, strides: Any, offset: int) -> Any:
    """Other elements on the same memory: for autograd, as in torch, this is no view."""
    return alias_of(input, shape, strides, offset, elements=to)


@composite()
@remembered
def reshape(input: Any, *shape: Any, **kwargs: Any) -> Tensor:
    """A view where strides allow it, else a copy, in another shape."""
    given = (kwargs["shape"],) if kwargs.get("shape") else shape
    sizes = _fitting_sizes(input, as_sizes(given, "reshape"))
    found = _view_to(input, sizes)
    if found is not None:
        return found
    made = _view_to(methods.contiguous(input), sizes, "UnsafeViewBackward0")
    made._base = None  # nobody else sees the copy
    return made


@composite(into=("method",))
def reshape_as(self: Any, other: Any) -> Tensor:
    """`self.reshape(other.shape)`."""
    return reshape(self, other._aval.shape)


@composite(into=("method",))
def view_as(self: Any, other: Any) -> Tensor:
    """`self.view(other.shape)`."""
    return view(self, other._aval.shape)


@composite()
@remembered
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
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
def ravel(input: Any) -> Tensor:
    """The elements as one dim."""
    return view(methods.contiguous(input), -1)


@composite()
@remembered
def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """Cut `dim` into `sizes`."""
    shape = input._aval.shape
    d = wrap_dim(dim, len(shape))
    if not shape:
        raise RuntimeError(
            "unflatten got an unexpected error:\nDimension specified as 0 but tensor has no "
            "dimensions"
        )
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


# --- permutations --------------------------------------------------------------------------------


def _permuted(input: Any, dims: Ints, name: str) -> Any:
    return view_of(
        input,
        name,
        lambda shape, strides, offset: (
            tuple([shape[d] for d in dims]), tuple([strides[d] for d in dims]), offset,
        ),
    )  # fmt: skip


@composite()
@remembered
def permute(input: Any, *dims: Any, **kwargs: Any) -> Tensor:
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
@remembered
def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Swap two dims."""
    ndim = input._aval.ndim
    a, b = wrap_dim(dim0, ndim), wrap_dim(dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = order[b], order[a]
    return _permuted(input, tuple(order), "TransposeBackward0")


@composite()
@remembered
def t(input: Any) -> Tensor:
    """The transpose of a matrix; tensors of fewer dims as they are."""
    ndim = input._aval.ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return _permuted(input, tuple(range(ndim))[::-1], "TBackward0")


@composite(aliases=("moveaxis",))
@remembered
def movedim(input: Any, source: Any, destination: Any) -> Tensor:
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
    if ndim == 0:
        return methods.alias(input)
    order = [-1] * ndim
    for s, d in zip(src, dst, strict=True):
        order[d] = s
    rest = iter(d for d in range(ndim) if d not in src)
    return _permuted(input, tuple(next(rest) if d == -1 else d for d in order), "PermuteBackward0")


@composite()
def adjoint(input: Any) -> Any:
    """The conjugate transpose of the last two dims."""
    if input._aval.ndim == 0:
        warnings.warn(
            "adjoint() is deprecated on 0-D tensors. Consider using x.conj().",
            stacklevel=user_level(),
        )
        return methods.conj(input)
    found = transpose(input, -2, -1)
    return methods.conj(found) if found._aval.dtype.is_complex else found


# --- sizes of one --------------------------------------------------------------------------------


@composite()
@remembered
def unsqueeze(input: Any, dim: int) -> Tensor:
    """Insert a dim of size one at `dim`."""
    d = wrap_dim(dim, input._aval.ndim + 1)

    def rule(shape: Ints, strides: Ints, offset: int) -> tuple[Ints, Ints, int]:
        step = shape[d] * strides[d] if d < len(shape) else 1
        return (*shape[:d], 1, *shape[d:]), (*strides[:d], step, *strides[d:]), offset

    return view_of(input, "UnsqueezeBackward0", rule)


@composite()
@remembered
def squeeze(input: Any, dim: Any = None, *more: int) -> Tensor:
    """Drop dims of size one (all, or those named)."""
    shape = input._aval.shape
    if more:
        dim = (dim, *more)
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
@remembered
def expand(self: Any, *size: Any, implicit: bool = False) -> Tensor:
    """Repeat dims of size one without copying; -1 keeps a size."""
    return _expand(self, as_sizes(size, "expand"))


def _expand(input: Any, sizes: Ints) -> Any:
    shape = tuple(input._aval.shape)
    lead = len(sizes) - len(shape)
    around = sizes_around(input) if lead < 0 else ()
    if around:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(sizes)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(shape)})"
        )
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
            if have is None and not shape:
                raise RuntimeError("numel: integer multiplication overflow")
            if have is None:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, "
                    f"non-existing dimension {d}"
                )
            wanted[d] = have
        elif have is not None and have != 1 and have != n:
            around = sizes_around(input)
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at "
                f"non-singleton dimension {d + len(around)}.  Target sizes: "
                f"{[*around, *sizes]}.  Tensor sizes: {[*around, *shape]}"
            )

    def rule(s: Ints, t: Ints, offset: int) -> tuple[Ints, Ints, int]:
        strides = [0] * len(wanted)
        for d in range(len(wanted) - 1, -1, -1) if s else ():
            if d >= lead:
                strides[d] = t[d - lead] if s[d - lead] == wanted[d] else 0
            elif wanted[d] == 1:
                strides[d] = wanted[d + 1] * strides[d + 1] if d + 1 < len(wanted) else 1
        return tuple(wanted), tuple(strides), offset

    return view_of(input, "ExpandBackward0", rule)


@composite()
@remembered
def broadcast_to(input: Any, *size: Any, **kwargs: Any) -> Tensor:
    """`input.expand(size)`."""
    return _expand(input, as_sizes((kwargs["size"],) if kwargs else size, "broadcast_to"))


@composite(into=("method",))
def expand_as(self: Any, other: Any) -> Tensor:
    """`self.expand(other.shape)`."""
    return _expand(self, tuple(other._aval.shape))
