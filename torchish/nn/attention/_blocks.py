"""Which blocks of a matrix of scores are computed: `BlockMask` and the functions that make one."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.errors import not_supported
from ..._basics.size import Size
from ..._ops.call.warning import user_level
from ..._ops.registry import nnf, ops
from ._mapping import _get_mod_type, _ModificationType, over_places

_DEFAULT_SPARSE_BLOCK_SIZE = 128
_LARGE_SPARSE_BLOCK_SIZE = 1 << 30
_SLICED = """Cannot use mask_mod from a sliced BlockMask. A BlockMask that was indexed does not know
where it was cut out, so its mask_mod is reset; set it from that of the whole BlockMask:

  whole = create_block_mask(mask_mod, ...)
  part = whole[:, :, index]
  part.mask_mod = shifted(part.mask_mod, offset)   # wrong: this error
  part.mask_mod = shifted(whole.mask_mod, offset)  # right"""


def noop_mask(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """A mask that hides nothing."""
    return batch.new_ones(size=(), dtype=dtypes.bool_, device=batch.device)


def _sliced_mask_mod_error(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """Refuse: the mask of a BlockMask that was indexed.

    Raises: RuntimeError.
    """
    raise RuntimeError(_SLICED)


def _dense_of(counts: Any, indices: Any, columns: int) -> Any:
    """1 where a row lists a column among its first `counts` indices: (..., rows, columns)."""
    listed = ops.arange(indices.shape[-1], device=indices.device) < counts.unsqueeze(-1)
    # What is not listed goes to one more column, which is cut off.
    places = ops.where(listed, indices.long(), columns)
    shape = (*indices.shape[:-1], columns + 1)
    dense = ops.zeros(shape, dtype=dtypes.int32, device=indices.device)
    ones = ops.ones_like(places, dtype=dtypes.int32)
    return dense.scatter(-1, places, ones)[..., :columns].contiguous()


def _ordered_of(dense: Any) -> tuple[Any, Any]:
    """How many blocks each row has, and their columns first (the others follow)."""
    dense = dense.to(dtypes.int32)
    order = ops.argsort(dense, dim=-1, descending=True, stable=True)
    return dense.sum(-1).to(dtypes.int32), order.to(dtypes.int32).contiguous()


def _transposed(counts: Any, indices: Any) -> tuple[Any, Any]:
    return _ordered_of(_dense_of(counts, indices, indices.shape[-1]).transpose(-2, -1))


def _cropped(counts: Any, indices: Any, rows: int, columns: int) -> tuple[Any, Any]:
    indices = indices[:, :, :rows, :columns]
    counts = counts[:, :, :rows]
    counts = ops.where(counts < columns, counts, columns)
    return (indices < counts[:, :, :, None]).sum(-1).to(dtypes.int32), indices


class BlockMask:
    """Which blocks of (queries x keys) are computed, and the mask inside of them.

    For each row of blocks: how many it has and where (`kv_num_blocks`, `kv_indices`), those that
    the mask leaves whole apart (`full_kv_...`); the same by columns (`q_...`).
    Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
    """

    _TENSOR_ATTRS = (
        "kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks",
        "q_indices", "full_q_num_blocks", "full_q_indices", "dq_write_order",
        "dq_write_order_full", "dq_kv_order",
    )  # fmt: skip

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Any, kv_indices: Any,
        full_kv_num_blocks: Any, full_kv_indices: Any, q_num_blocks: Any, q_indices: Any,
        full_q_num_blocks: Any, full_q_indices: Any,
        BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: Callable[..., Any] = noop_mask, *, dq_write_order: Any = None,
        dq_write_order_full: Any = None, dq_kv_order: Any = None, dq_kv_order_spt: Any = None,
    ) -> None:  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if kv_num_blocks is None:
            raise AssertionError("kv_num_blocks must be provided")
        _check_pair("full_kv", full_kv_num_blocks, full_kv_indices)
        _check_pair("full_q", full_q_num_blocks, full_q_indices)
        if dq_write_order_full is not None and dq_write_order is None:
            raise ValueError("dq_write_order_full requires dq_write_order")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.dq_write_order, self.dq_write_order_full = dq_write_order, dq_write_order_full
        self.dq_kv_order, self.dq_kv_order_spt = dq_kv_order, dq_kv_order_spt
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Any, kv_indices: Any, full_kv_num_blocks: Any = None,
        full_kv_indices: Any = None, BLOCK_SIZE: Any = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: Any = None, seq_lengths: Any = None, compute_q_blocks: bool = True, *,
        dq_write_order: Any = None, dq_write_order_full: Any = None, dq_kv_order: Any = None,
    ) -> BlockMask:  # fmt: skip
        """The BlockMask of these rows of blocks; the columns follow from them.

        Raises: RuntimeError for fewer than 2 dims, AssertionError for half a pair.
        """
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        _check_pair("full_kv", full_kv_num_blocks, full_kv_indices)
        if dq_kv_order is not None and not isinstance(dq_kv_order, bool | TensorBase):
            raise ValueError("dq_kv_order must be a bool, Tensor, or None")
        columns, full = (None, None), (None, None)
        if compute_q_blocks:
            columns = _transposed(kv_num_blocks, kv_indices)
            if full_kv_num_blocks is not None:
                full = _transposed(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices,
            columns[0], columns[1], full[0], full[1],
            BLOCK_SIZE=size, mask_mod=noop_mask if mask_mod is None else mask_mod,
            dq_write_order=dq_write_order, dq_write_order_full=dq_write_order_full,
            dq_kv_order=dq_kv_order if isinstance(dq_kv_order, TensorBase) else None,
            dq_kv_order_spt=dq_kv_order if isinstance(dq_kv_order, bool) else None,
        )  # fmt: skip

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """All that it is made of, in torch's order."""
        lengths = tuple(self.seq_lengths) if flatten else (self.seq_lengths,)
        size = tuple(self.BLOCK_SIZE) if flatten else (self.BLOCK_SIZE,)
        parts = (getattr(self, name) for name in self._TENSOR_ATTRS)
        return (*lengths, *parts, self.dq_kv_order_spt, *size, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, heads, queries, keys)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many elements the whole mask has."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """The percentage of what is not computed."""
        blocks = self.kv_num_blocks.sum()
        if self.full_kv_num_blocks is not None:
            blocks = blocks + self.full_kv_num_blocks.sum()
        computed = int(blocks.item()) * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1]
        return 100 * (1 - computed / self.numel())

    def to_dense(self) -> Any:
        """1 for each block that is computed."""
        dense = _dense_of(self.kv_num_blocks, self.kv_indices, self.kv_indices.shape[-1])
        if self.full_kv_num_blocks is None:
            return dense
        whole = self.full_kv_indices
        return dense | _dense_of(self.full_kv_num_blocks, whole, whole.shape[-1])

    def _changed(self, change: Callable[[Any, Any], tuple[Any, Any]], **facts: Any) -> BlockMask:
        """With counts and indices of partial and of full blocks changed, and other facts."""
        rows, full = change(self.kv_num_blocks, self.kv_indices), (None, None)
        if self.full_kv_num_blocks is not None:
            full = change(self.full_kv_num_blocks, self.full_kv_indices)  # type: ignore[assignment]
        return BlockMask.from_kv_blocks(
            rows[0], rows[1], full[0], full[1], BLOCK_SIZE=self.BLOCK_SIZE,
            compute_q_blocks=self.q_indices is not None, **facts,
        )  # fmt: skip

    def _check_no_orders(self, verb: str) -> None:
        if self.dq_kv_order is not None or self.dq_write_order is not None:
            raise NotImplementedError(
                f"{verb} BlockMask with tensor dq_kv_order is not supported yet. Construct a new "
                "BlockMask with matching precomputed dq_write_order metadata."
            )

    def __getitem__(self, index: Any) -> BlockMask:
        """Some batches, heads or rows of blocks; all dims stay."""
        self._check_no_orders("Slicing")
        index = index if isinstance(index, tuple) else (index,)
        padded = (*index, slice(None), slice(None), slice(None))[:3]
        where = tuple(
            (slice(i + n, i + n + 1) if -n <= i < 0 else slice(i, i + 1))
            if isinstance(i, int) else i
            for i, n in zip(padded, self.kv_num_blocks.shape[:3], strict=True)
        )  # fmt: skip
        return self._changed(
            lambda counts, places: (counts[where], places[where]),
            mask_mod=_sliced_mask_mod_error, seq_lengths=self.seq_lengths,
        )  # fmt: skip

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """The upper left corner."""
        self._check_no_orders("Adjusting")
        rows = -(-new_q_len // self.BLOCK_SIZE[0])
        columns = -(-new_kv_len // self.BLOCK_SIZE[1])
        return self._changed(
            lambda counts, places: _cropped(counts, places, rows, columns),
            mask_mod=self.mask_mod, seq_lengths=(new_q_len, new_kv_len),
        )  # fmt: skip

    def to(self, device: Any) -> BlockMask:
        """The same on another device."""
        parts = {name: getattr(self, name) for name in self._TENSOR_ATTRS}
        moved = {k: v if v is None else v.to(device) for k, v in parts.items()}
        return BlockMask(
            seq_lengths=self.seq_lengths, BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=self.mask_mod,
            dq_kv_order_spt=self.dq_kv_order_spt, **moved,
        )  # fmt: skip

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """A drawing of the blocks, two characters each; -1 draws every block."""
        dense = self.to_dense()
        *batch, rows, columns = dense.shape
        most = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        if grid_size == -1:
            most = (rows, columns)
        steps = max(1, -(-rows // most[0])), max(1, -(-columns // most[1]))
        drawn = []
        for count, place in enumerate(itertools.product(*map(range, batch))):
            if count == limit:
                drawn += [
                    "...", "To print out more, set BlockMask.to_string(limit=N)",
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or "
                    "head",
                ]  # fmt: skip
                break
            drawn.append(f"{place}\n" + _drawing(dense[place], *steps))
        return "\n".join(drawn)

    def __str__(self) -> str:
        head = f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n"
        return head + self.to_string().strip() + "\n)"

    def __repr__(self) -> str:
        lines = [f"    {n}={_shape(getattr(self, n))},\n" for n in self._TENSOR_ATTRS[:8]]
        mask = getattr(self.mask_mod, "__name__", self.mask_mod)
        return (
            "BlockMask(\n" + "".join(lines) + f"    BLOCK_SIZE={self.BLOCK_SIZE},\n"
            f"    shape={self.shape},\n    sparsity={self.sparsity():.2f}%,\n"
            f"    mask_mod={mask}\n)"
        )


def _check_pair(name: str, counts: Any, indices: Any) -> None:
    if (counts is None) != (indices is None):
        raise AssertionError(
            f"{name}_num_blocks and {name}_indices must be both provided or omitted"
        )


def _shape(x: Any) -> Size | None:
    return None if x is None else x.shape


def _drawing(blocks: Any, row_step: int, column_step: int) -> str:
    import numpy as np

    table = np.asarray(blocks.cpu().numpy(), dtype=np.float64)
    lines = []
    for r in range(0, table.shape[0], row_step):
        parts = [
            table[r : r + row_step, c : c + column_step].mean()
            for c in range(0, table.shape[1], column_step)
        ]
        lines.append("".join(("█" if p == 1 else " " if p == 0 else "░") * 2 for p in parts))
    return "\n".join(lines) + "\n"


def _blocks_of(mask: Any, q_size: int, kv_size: int, separate_full_blocks: bool) -> tuple[Any, Any]:
    """Blocks that a mask (batch, heads, queries, keys) hides in part, and those it leaves whole."""
    short = (-mask.shape[-1] % kv_size, -mask.shape[-2] % q_size)
    mask = nnf.pad(mask, (0, short[0], 0, short[1]))
    b, h, q, kv = mask.shape
    tiles = mask.reshape(b, h, q // q_size, q_size, kv // kv_size, kv_size)
    counts = tiles.sum((3, 5))
    if not separate_full_blocks:
        return counts > 0, None
    whole = q_size * kv_size
    return (counts > 0) & (counts < whole), counts == whole


def create_mask(
    mod_fn: Callable[..., Any], B: int | None, H: int | None, Q_LEN: int, KV_LEN: int,
    device: Any = None,
) -> Any:  # fmt: skip
    """The mask of a function: (B, H, Q_LEN, KV_LEN), False where it hides a score."""
    device = _device(device)
    sizes = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    if _get_mod_type(mod_fn) is _ModificationType.MASK_MOD:
        return over_places(mod_fn, None, *sizes, device=device)
    changed = over_places(mod_fn, ops.zeros(sizes, device=device), *sizes, device=device)
    return ~ops.isneginf(changed)


def create_block_mask(
    mask_mod: Callable[..., Any], B: int | None, H: int | None, Q_LEN: int, KV_LEN: int,
    device: Any = None, BLOCK_SIZE: Any = _DEFAULT_SPARSE_BLOCK_SIZE, _compile: bool = False,
    separate_full_blocks: bool = True, compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:  # fmt: skip
    """The blocks that a mask leaves in part or whole.

    Args:
        mask_mod: (b, h, q_idx, kv_idx) -> whether query q_idx looks at key kv_idx.
        B, H: batches and heads; None where the mask is the same for all.
        separate_full_blocks: whether blocks without a hidden score are listed apart.
    Raises:
        AssertionError: `mask_mod` takes another number of arguments.
        NotSupportedError: `compute_dq_write_order`, which orders a CUDA kernel's writes.
    """
    device = _device(device)
    if _get_mod_type(mask_mod) is not _ModificationType.MASK_MOD:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    if _compile:
        warnings.warn(
            "_compile flag on create_block_mask was originally added to work around a "
            "torch.compile limitation. That limitation has since been addressed. So, to compile "
            "create_block_mask, we suggest doing torch.compile(create_block_mask). This still "
            "works for now, but will be removed in the future.",
            DeprecationWarning, stacklevel=user_level(),
        )  # fmt: skip
    if not isinstance(dq_kv_order, bool):
        raise ValueError("dq_kv_order must be a bool when using create_block_mask")
    if compute_dq_write_order:
        raise not_supported(
            "create_block_mask(compute_dq_write_order=True)",
            "the default: gradients here are deterministic",
        )
    rows, columns = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    partial, full = _blocks_of(mask, rows, columns, separate_full_blocks)
    counts, indices = _ordered_of(partial)
    full_counts, full_indices = (None, None) if full is None else _ordered_of(full)
    return BlockMask.from_kv_blocks(
        counts, indices, full_counts, full_indices, BLOCK_SIZE=(rows, columns), mask_mod=mask_mod,
        seq_lengths=(Q_LEN, KV_LEN),
    )  # fmt: skip


def _device(device: Any) -> Any:
    if device is not None:
        return device
    from ...accelerator import current_accelerator

    return current_accelerator() or "cpu"


def _joined(name: str, mask_mods: tuple[Any, ...], start: str, join: Any) -> Callable[..., Any]:
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def joined(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result = getattr(b, start)((), dtype=dtypes.bool_)
        for mask in mask_mods:
            result = join(result, mask(b, h, q_idx, kv_idx))
        return result

    joined.__name__ = joined.__qualname__ = name
    return joined


def or_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """A mask that shows what any of the masks shows.

    Raises: RuntimeError for what cannot be called.
    """
    return _joined("or_mask", mask_mods, "new_zeros", lambda a, b: a | b)


def and_masks(*mask_mods: Callable[..., Any]) -> Callable[..., Any]:
    """A mask that shows what all of the masks show.

    Raises: RuntimeError for what cannot be called.
    """
    return _joined("and_mask", mask_mods, "new_ones", lambda a, b: a & b)
