"""Batches of sequences of different lengths."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..._autograd.interop import host_array, wrap_host
from ..._ops.registry import ops
from ..._tensor.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

PackedSequence_ = namedtuple(
    "PackedSequence_", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"]
)


class PackedSequence(PackedSequence_):
    """Sequences joined time step by time step: first all first elements, then all second ones.

    Fields: `data (sum of lengths, *)`, `batch_sizes` (how many sequences reach each time step),
    `sorted_indices` and `unsorted_indices` (the order by length, and back; or None).
    Made by `pack_sequence` and `pack_padded_sequence`.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually. They should be instantiated by functions like pack_sequence "
                "and pack_padded_sequences in nn.utils.rnn. https://pytorch.org/docs/stable/"
                "nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        if data is self.data:
            return self
        indices = [
            None if index is None else index.to(data.device)
            for index in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(data, self.batch_sizes, *indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Moves or casts the data; the indices move with it."""
        return self._with(self.data.to(*args, **kwargs))

    def pin_memory(self) -> PackedSequence:
        """Pins the data's memory."""
        return self._with(self.data.pin_memory())

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Moves to a GPU."""
        return self._with(self.data.cuda(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """Moves to the CPU."""
        return self._with(self.data.cpu())

    def double(self) -> PackedSequence:
        """Casts to float64."""
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        """Casts to float32."""
        return self._with(self.data.float())

    def half(self) -> PackedSequence:
        """Casts to float16."""
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        """Casts to int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """Casts to int32."""
        return self._with(self.data.int())

    def short(self) -> PackedSequence:
        """Casts to int16."""
        return self._with(self.data.short())

    def char(self) -> PackedSequence:
        """Casts to int8."""
        return self._with(self.data.char())

    def byte(self) -> PackedSequence:
        """Casts to uint8."""
        return self._with(self.data.byte())

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the data's memory is pinned."""
        return self.data.is_pinned()


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`."""
    if permutation is None:
        return None
    inverse = np.argsort(host_array(permutation), kind="stable").astype(np.int64)
    return wrap_host(inverse, permutation.device)


def _batch_sizes(lengths: np.ndarray) -> np.ndarray:
    """For each time step, how many of the (descending) lengths reach it."""
    steps = np.arange(lengths[0] if lengths.size else 0)
    return (lengths[None, :] > steps[:, None]).sum(axis=1).astype(np.int64)


def _packed_positions(batch_sizes: np.ndarray, batch: int) -> np.ndarray:
    """Where each packed element stands in a `(time, batch)` grid read row by row."""
    rows = [t * batch + np.arange(n) for t, n in enumerate(batch_sizes)]
    return np.concatenate(rows).astype(np.int64) if rows else np.zeros(0, np.int64)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Drops the padding of a batch of sequences.

    Args:
        input: `(T, B, *)`, or `(B, T, *)` if `batch_first`.
        lengths: the length of each sequence.
        enforce_sorted: require that the lengths descend, instead of sorting.
    """
    if isinstance(lengths, Tensor):
        if lengths.device.type != "cpu":
            raise RuntimeError(
                "'lengths' argument should be a 1D CPU int64 tensor, but got "
                f"{lengths.dim()}D {lengths.device} Long tensor"
            )
        sizes = host_array(lengths).astype(np.int64)
    else:
        sizes = np.asarray(lengths, np.int64)
    order = None
    if not enforce_sorted:
        index = np.argsort(-sizes, kind="stable").astype(np.int64)
        sizes = sizes[index]
        order = wrap_host(index, input.device)
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    _check_lengths(input, sizes)
    counts = _batch_sizes(sizes)
    batch = input.size(1)
    flat = input[: len(counts)].reshape(len(counts) * batch, *input.shape[2:])
    data = flat.index_select(0, wrap_host(_packed_positions(counts, batch), input.device))
    return PackedSequence(data, wrap_host(counts), order, None)


def _check_lengths(input: Tensor, sizes: np.ndarray) -> None:
    if sizes.ndim != 1 or sizes.size != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {sizes.size} "
            f"(batch_size={input.size(1)})"
        )
    if sizes.size and sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if (np.diff(sizes) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if sizes.size and sizes[0] > input.size(0):
        raise RuntimeError(
            "Expected sequence length to be larger than or equal to the longest length, got "
            f"{input.size(0)} and {sizes[0]}"
        )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undoes `pack_padded_sequence`: the padded batch, and the lengths."""
    counts = host_array(sequence.batch_sizes)
    steps = len(counts)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    batch = int(counts[0])
    data = sequence.data
    positions = wrap_host(_packed_positions(counts, batch), data.device)
    padded = ops.full(
        (steps * batch, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device
    ).index_copy(0, positions, data)
    padded = padded.view(steps, batch, *data.shape[1:])
    lengths = (counts[:, None] > np.arange(batch)[None, :]).sum(axis=0).astype(np.int64)
    if batch_first:
        padded = padded.transpose(0, 1)
    inverse = sequence.unsorted_indices
    if inverse is None:
        return padded, wrap_host(lengths)
    lengths = lengths[host_array(inverse)]
    return padded.index_select(0 if batch_first else 1, inverse), wrap_host(lengths)


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stacks sequences `(L_i, *)` into `(T, B, *)`, the shorter ones padded.

    Args:
        batch_first: give `(B, T, *)`.
        padding_side: `'right'` or `'left'`.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    steps = max(seq.size(0) for seq in sequences)
    trailing = tuple(sequences[0].shape[1:])
    rows = []
    for seq in sequences:
        missing = steps - seq.size(0)
        if missing:
            filler = ops.full(
                (missing, *trailing), padding_value, dtype=seq.dtype, device=seq.device
            )
            seq = ops.cat([filler, seq] if padding_side == "left" else [seq, filler])
        rows.append(seq)
    return ops.stack(rows, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each of its length."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    sizes = host_array(lengths) if isinstance(lengths, Tensor) else lengths
    return [row[: int(size)] for row, size in zip(padded_sequences, sizes, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of sequences `(L_i, *)`."""
    lengths = [seq.size(0) for seq in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undoes `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
