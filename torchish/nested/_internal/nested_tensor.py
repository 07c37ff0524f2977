"""Tensors with one ragged dim: the elements packed along it, and where each sample begins.

Invariants: what is computed goes through operators on the packed values, so that gradients reach
them by the engine's own autograd; the lengths of samples are read once for each tensor of offsets.
A dim `d` of the nested tensor is `d - 1` of its values: the batch is packed into the ragged one.
"""

from __future__ import annotations

import itertools
from typing import Any

from ..._basics import dtypes
from ..._basics.errors import not_supported
from ..._basics.size import Size
from ..._ops.registry import ops
from ..._ops.shared import layout_type
from ..._tensor.facade import Facade
from ...utils.weak import WeakTensorKeyDictionary
from .nested_int import size_of

_lists = WeakTensorKeyDictionary()  # tensors of offsets or lengths -> their numbers


def numbers(source: Any) -> list[int]:
    """The numbers in a tensor of offsets or lengths."""
    if source not in _lists:
        _lists[source] = source.tolist()
    return _lists[source]  # type: ignore[no-any-return]


class NestedBase(Facade):
    """What both layouts share."""

    __module__ = "torch"
    is_nested = True

    def dim(self) -> int:
        """How many dims there are, the batch and the ragged one included."""
        return len(self.shape)

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """How many dims there are."""
        return self.dim()

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one of its sizes."""
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return int(self.size(0))

    def to_padded_tensor(self, padding: float, output_size: Any = None) -> Any:
        """A dense tensor in which shorter samples are followed by `padding`."""
        given = (self, padding, output_size)
        return self._call("to_padded_tensor", None, given, {})

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse.

        Raises: RuntimeError: there is no rectangular array.
        """
        raise RuntimeError("numpy() is not supported for nested tensors; use unbind() first")

    __array__ = tolist = numpy

    def storage(self) -> Any:
        """Refuse.

        Raises: NotSupportedError.
        """
        raise not_supported("the storage of a nested tensor", "values(), or unbind()")

    untyped_storage = data_ptr = storage


def _adopt(made: Any, values: Any) -> Any:
    """Give a nested tensor the dtype and device of what it is made of."""
    made._aval, made._storage = values._aval, values._storage
    return made


class NestedTensor(NestedBase):
    """A batch of tensors that differ in one dim (the jagged layout).

    Args:
        values: the samples one after the other along the ragged dim.
        offsets: where each sample begins in it, and the end.
        lengths: how long each sample is, where they leave holes.
    """

    __module__ = "torch.nested._internal.nested_tensor"
    layout = layout_type.jagged  # type: ignore[assignment]
    _values: Any
    _offsets: Any
    _lengths: Any
    _ragged_idx: int
    _cached: dict[str, int]

    def __new__(
        cls, values: Any, offsets: Any, *, lengths: Any = None, _ragged_idx: int = 1,
        _metadata_cache: Any = None, requires_grad: bool = False,
    ) -> NestedTensor:  # fmt: skip
        """The nested tensor of these parts."""
        if offsets is None:
            raise AssertionError("offsets must not be None")
        if offsets.dim() != 1:
            raise AssertionError(f"offsets must be 1D, but got {offsets.dim()}D")
        if values.device != offsets.device:
            raise AssertionError(
                "values and offsets must be on the same device, but got values.device="
                f"{values.device} and offsets.device={offsets.device}"
            )
        if lengths is not None and offsets.shape[0] - 1 != lengths.shape[0]:
            raise AssertionError(
                "offsets and lengths batch sizes must match: offsets.shape[0] - 1 = "
                f"{offsets.shape[0] - 1}, lengths.shape[0] = {lengths.shape[0]}"
            )
        made = _adopt(object.__new__(cls), values)
        made._values, made._offsets, made._lengths = values, offsets, lengths
        made._ragged_idx = _ragged_idx
        made._cached = dict(_metadata_cache or {})
        if requires_grad:
            values.requires_grad_()
        return made  # type: ignore[no-any-return]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def like(self, values: Any, ragged_idx: int | None = None) -> NestedTensor:
        """The same samples' places with other values."""
        return NestedTensor(
            values, self._offsets, lengths=self._lengths, _metadata_cache=self._cached,
            _ragged_idx=self._ragged_idx if ragged_idx is None else ragged_idx,
        )  # fmt: skip

    # --- facts ---

    @property
    def shape(self) -> Any:  # type: ignore[override]
        """(batch, ..., the ragged size, ...)."""
        source = self._offsets if self._lengths is None else self._lengths
        inner, r = tuple(self._values.shape), self._ragged_idx - 1
        whole = (self._offsets.shape[0] - 1, *inner[:r], size_of(source), *inner[r + 1 :])
        return tuple.__new__(Size, whole)

    _size = shape

    def stride(self, dim: int | None = None) -> Any:
        """The strides of the values, before them that of a sample."""
        inner = self._values.stride()
        ragged = self.shape[self._ragged_idx]
        whole = (inner[self._ragged_idx - 1] * ragged, *inner)
        return whole if dim is None else whole[dim]

    def numel(self) -> int:
        """How many elements all samples have."""
        if self._lengths is None:
            return int(self._values.numel())
        return sum(self.sample_lengths()) * (
            self._values.numel() // max(1, self._values.shape[self._ragged_idx - 1])
        )

    def values(self) -> Any:
        """The packed elements."""
        return self._values

    def offsets(self) -> Any:
        """Where samples begin, and the end."""
        return self._offsets

    def lengths(self) -> Any:
        """How long samples are, if they leave holes; None otherwise."""
        return self._lengths

    def sample_starts(self) -> list[int]:
        """Where each sample begins."""
        return numbers(self._offsets)[:-1]

    def sample_lengths(self) -> list[int]:
        """How long each sample is."""
        if self._lengths is not None:
            return numbers(self._lengths)
        marks = numbers(self._offsets)
        return [b - a for a, b in itertools.pairwise(marks)]

    def _get_max_seqlen(self) -> int:
        found = self._cached.get("max_seqlen")
        return max(self.sample_lengths(), default=0) if found is None else found

    def _get_min_seqlen(self) -> int:
        found = self._cached.get("min_seqlen")
        return min(self.sample_lengths(), default=0) if found is None else found

    _max_seqlen, _min_seqlen = property(_get_max_seqlen), property(_get_min_seqlen)
    _maybe_max_seqlen, _maybe_min_seqlen = _max_seqlen, _min_seqlen

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether samples leave no holes and the values are contiguous."""
        return self._lengths is None and bool(self._values.is_contiguous())

    # --- autograd: that of the values ---

    def _held(self) -> tuple[Any, ...]:
        return (self._values,)

    def _over(self, held: Any) -> Any:
        return self.like(held[0])

    def backward(self, gradient: Any = None, *args: Any, **kwargs: Any) -> None:
        """Gradients of all samples, each weighted by `gradient`."""
        seed = gradient._values if isinstance(gradient, NestedTensor) else gradient
        self._values.backward(seed, *args, **kwargs)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        tail = f", requires_grad={self.requires_grad}" if self.requires_grad else ""
        if self.grad_fn is not None:
            tail = f", grad_fn={self.grad_fn}"
        return (
            f"NestedTensor(size={tuple(self.shape)}, offsets={self._offsets}{tail}, "
            f"contiguous={self.is_contiguous()})"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts = {
            "values": self._values, "offsets": self._offsets, "lengths": self._lengths,
            "_ragged_idx": self._ragged_idx, "requires_grad": self.requires_grad,
        }  # fmt: skip
        return _rebuild_njt, (parts,)

    def __deepcopy__(self, memo: Any) -> Any:
        made = self.like(self._values.detach().clone())
        return made.requires_grad_(self.requires_grad)


def _rebuild_njt(constructor_kwargs: Any) -> NestedTensor:
    """What pickles call."""
    return NestedTensor(**constructor_kwargs)


# --- padded tensors and back -------------------------------------------------------------------


def _places(x: NestedTensor, width: int) -> tuple[Any, Any]:
    """For each (sample, position): its place among the values, and whether there is one."""
    device = x._values.device
    position = ops.arange(width, device=device)
    lengths = x._lengths if x._lengths is not None else x._offsets.diff()
    there = position < lengths.unsqueeze(1)
    place = x._offsets[:-1].unsqueeze(1) + position
    return ops.where(there, place, 0), there


def to_padded(x: NestedTensor, padding: Any, width: int | None = None) -> Any:
    """(batch, ..., width, ...): each sample followed by `padding`."""
    r = x._ragged_idx - 1
    if x._values.shape[r] == 0:
        raise RuntimeError(
            "to_padded_tensor: at least one constituent tensor should have non-zero numel"
        )
    place, there = _places(x, x._get_max_seqlen() if width is None else width)
    values = x._values.movedim(r, 0)
    found = values.index_select(0, place.flatten())
    found = found.unflatten(0, tuple(there.shape))
    there = there.reshape(*there.shape, *[1] * (found.dim() - 2))
    return found.masked_fill(~there, padding).movedim(1, r + 1)


def sample_of_each(x: NestedTensor) -> Any:
    """The sample that each packed place belongs to."""
    counts = x._offsets.diff()
    batch = ops.arange(counts.shape[0], device=x._values.device)
    return ops.repeat_interleave(batch, counts, output_size=x._values.shape[x._ragged_idx - 1])


def from_padded(padded: Any, like: NestedTensor) -> NestedTensor:
    """The samples of a padded tensor, packed as those of `like`."""
    r = like._ragged_idx
    sample = sample_of_each(like)
    total = sample.shape[0]
    position = ops.arange(total, device=padded.device) - like._offsets[sample]
    width = padded.shape[r]
    flat = padded.movedim(r, 1).flatten(0, 1)
    values = flat.index_select(0, sample * width + position)
    return like.like(values.movedim(0, r - 1))


def nested_from_padded(
    padded: Any, offsets: Any, ragged_idx: int = 1, min_seqlen: Any = None, max_seqlen: Any = None,
    sum_S: Any = None,
) -> NestedTensor:  # fmt: skip
    """The jagged tensor of a padded one."""
    total = numbers(offsets)[-1] if sum_S is None else sum_S
    empty = ops.empty((total,), device=padded.device, dtype=dtypes.float32)
    shape = NestedTensor(empty, offsets)
    cached = {"min_seqlen": min_seqlen, "max_seqlen": max_seqlen}
    found = from_padded(padded.movedim(ragged_idx, 1), shape)._values
    return NestedTensor(
        found.movedim(0, ragged_idx - 1), offsets, _ragged_idx=ragged_idx, _metadata_cache=cached
    )


# --- construction ------------------------------------------------------------------------------


def nested_view_from_values_offsets(
    values: Any, offsets: Any, ragged_idx: int = 1, min_seqlen: Any = None, max_seqlen: Any = None
) -> NestedTensor:
    """The jagged tensor of packed values."""
    return nested_view_from_values_offsets_lengths(
        values, offsets, None, ragged_idx, min_seqlen, max_seqlen
    )


def nested_view_from_values_offsets_lengths(
    values: Any, offsets: Any, lengths: Any, ragged_idx: int = 1, min_seqlen: Any = None,
    max_seqlen: Any = None,
) -> NestedTensor:  # fmt: skip
    """The jagged tensor of packed values with holes."""
    cached = {"min_seqlen": min_seqlen, "max_seqlen": max_seqlen}
    return NestedTensor(
        values, offsets, lengths=lengths, _ragged_idx=ragged_idx, _metadata_cache=cached
    )


def _ragged_dim(shapes: list[Any]) -> int:
    """The one dim in which shapes differ; the first if they do not.

    Raises: RuntimeError for two.
    """
    differ = [d for d in range(len(shapes[0])) if any(s[d] != shapes[0][d] for s in shapes)]
    if len(differ) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note "
            "that the jagged layout only allows for a single ragged dimension. For example: (B, *, "
            "D_0, D_1, ..., D_N), with ragged * dim."
        )
    return differ[0] if differ else 0


def jagged_from_list(
    tensors: list[Any], offsets: Any = None, dtype: Any = None, device: Any = None
) -> tuple[NestedTensor, Any]:
    """The jagged tensor of a list of tensors, and its offsets.

    Raises: RuntimeError for tensors that differ in dtype, device, dims or more than one size.
    """
    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    for what, facts in (
        ("have the same dtype", {t.dtype for t in tensors}),
        ("be on the same device", {t.device for t in tensors}),
        ("have the same dim", {t.dim() for t in tensors}),
    ):
        if len(facts) != 1:
            raise RuntimeError(
                f"When constructing a nested tensor, all tensors in list must {what}"
            )
    if tensors[0].dim() == 0:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    r = _ragged_dim([tuple(t.shape) for t in tensors])
    values = ops.cat(tensors, r).to(device=device, dtype=dtype)
    sizes = [t.shape[r] for t in tensors]
    if offsets is None:
        marks = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
        offsets = ops.tensor(marks, dtype=dtypes.int64, device=values.device)
        _lists[offsets] = marks
    made = nested_view_from_values_offsets(values, offsets, r + 1, min(sizes), max(sizes))
    return made, offsets


def jagged_from_tensor_and_lengths(
    tensor: Any, starts: Any, lengths: Any
) -> tuple[NestedTensor, Any, Any]:
    """Rows of a batch from `starts`, `lengths` long: the tensor, its offsets and lengths.

    Raises: RuntimeError for starts and lengths that do not broadcast to the batch.
    """
    batch = tensor.shape[0]
    if any(x.dim() > 1 or x.numel() not in (1, batch) for x in (starts, lengths)):
        raise RuntimeError(
            "When constructing a jagged nested tensor using narrow(), your start and length must "
            "be Tensors that broadcast to input.shape[0]"
        )
    if tensor.dim() < 2:
        raise AssertionError("tensor must at least be 2D for the nested narrow op to work")
    starts, lengths = starts.reshape(-1).expand(batch), lengths.reshape(-1).expand(batch)
    width = tensor.shape[1]
    begins = starts + width * ops.arange(batch, dtype=dtypes.int64, device=tensor.device)
    offsets = ops.cat([begins, begins[-1:] + lengths[-1:]])
    values = tensor.reshape(-1, *tensor.shape[2:])
    begun, long = numbers(offsets), lengths.tolist()
    ends = [begun[k] + long[k] for k in range(batch)]
    if ends == begun[1:]:  # no holes
        first = begun[0]
        whole = values[first : begun[-1]]
        moved = offsets - first
        made = nested_view_from_values_offsets(whole, moved, 1, min(long), max(long))
        return made, moved, None
    made = nested_view_from_values_offsets_lengths(
        values, offsets, lengths, 1, min(long), max(long)
    )
    return made, offsets, lengths
