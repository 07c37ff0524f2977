"""Sparse tensors: indices and values that are ordinary tensors, seen as one tensor.

Invariant: what is computed goes through operators on the values, so that gradients reach them and
the dense operands by the engine's own autograd; an operator without a rule is refused by name.
"""

from __future__ import annotations

from typing import Any

from .. import _utils
from .._basics import dtypes
from .._basics.errors import not_supported
from .._basics.size import Size
from .._basics.state import process
from .._core.values import aval_of
from .._ops.registry import ops
from .._ops.shared import layout_type
from .._tensor.facade import Facade

RULES: dict[str, Any] = {}


class SparseTensor(Facade):
    """What all layouts share."""

    __module__ = "torch"
    _v: Any
    layout: Any = layout_type.sparse_coo

    @staticmethod
    def _call(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rule = RULES.get(name)
        if rule is None:
            raise not_supported(f"{name or func} of sparse tensors", "to_dense()")
        return rule(*args, **kwargs)

    # --- facts ---

    @property
    def T(self) -> Any:
        """The transpose of a matrix."""
        return RULES["t"](self)

    mT = H = T

    @property  # type: ignore[misc]
    def data(self) -> Any:  # type: ignore[override]
        """Without history."""
        return RULES["detach"](self)

    def _held(self) -> tuple[Any, ...]:
        return (self._v,)

    def _over(self, held: Any) -> Any:
        return self._like(held[0])

    def _like(self, values: Any) -> Any:
        raise NotImplementedError

    def _nnz(self) -> int:
        """How many values are stored."""
        raise NotImplementedError

    def _values(self) -> Any:
        return self._v

    @property
    def shape(self) -> Any:
        """The shape of the dense tensor."""
        return Size(self._aval.shape)

    def stride(self, dim: int | None = None) -> Any:
        """Zeros: there are no strides."""
        return (0,) * len(self.shape) if dim is None else 0

    def storage(self) -> Any:
        """Refuse.

        Raises: NotImplementedError, as PyTorch does.
        """
        raise NotImplementedError("Cannot access storage of a sparse tensor")

    untyped_storage = storage
    data_ptr = storage

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse.

        Raises: TypeError, as PyTorch does.
        """
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    __array__ = numpy
    tolist = numpy

    def __deepcopy__(self, memo: Any) -> Any:
        return RULES["clone"](self.detach())


def _set(made: Any, values: Any, size: Any) -> Any:
    made._v = values
    made._aval = aval_of(tuple(size), values._aval.dtype)
    made._storage = values._storage
    return made


class COO(SparseTensor):
    """Indices (one column a value) and values, perhaps with several values of one place."""

    __module__ = "torch"
    is_sparse = True
    _i: Any
    _coalesced: bool

    def _like(self, values: Any) -> Any:
        return coo(self._i, values, self.shape, self._coalesced)

    def _nnz(self) -> int:
        return int(self._i.shape[1])

    def _indices(self) -> Any:
        return self._i

    def sparse_dim(self) -> int:
        """How many dims the indices cover."""
        return int(self._i.shape[0])

    def dense_dim(self) -> int:
        """How many dims each value has."""
        return int(self._v.dim()) - 1

    def is_coalesced(self) -> bool:
        """Whether places are sorted and each has one value."""
        return self._coalesced

    def indices(self) -> Any:
        """The indices of a coalesced tensor.

        Raises: RuntimeError for another.
        """
        self._demand("indices")
        return self._i

    def values(self) -> Any:
        """The values of a coalesced tensor.

        Raises: RuntimeError for another.
        """
        self._demand("values")
        return self._v

    def _demand(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(
                f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first"
            )

    def _flat(self) -> Any:
        """Each value's place as one number."""
        place = ops.zeros((self._nnz(),), dtype=dtypes.int64, device=self._i.device)
        for dim in range(self.sparse_dim()):
            place = place * self.shape[dim] + self._i[dim]
        return place

    def coalesce(self) -> Any:
        """The same tensor with places sorted and the values of one place summed."""
        if self._coalesced:
            return self
        if self._nnz() < 2:
            return coo(self._i, self._v, self.shape, True)
        places, which = ops.unique(self._flat(), sorted=True, return_inverse=True)
        values = ops.zeros((places.numel(), *self._v.shape[1:]), dtype=self._v.dtype,
                           device=self._v.device).index_add(0, which, self._v)  # fmt: skip
        # The indices themselves, which nobody may have checked: not what `places` says of them.
        found = ops.zeros((self.sparse_dim(), places.numel()), dtype=self._i.dtype,
                          device=self._i.device).index_copy(1, which, self._i)  # fmt: skip
        return coo(found, values, self.shape, True)

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts = (self._i, self._v, self.shape, self._coalesced)
        return _utils._rebuild_sparse_tensor, (self.layout, parts)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return shown(self, [("indices", self._i)])


class Compressed(SparseTensor):
    """Matrices by rows (or columns): row r has the values from `_ptr[r]` to `_ptr[r + 1]`.

    `_idx` is the column (or row) of each value; where the layout has blocks, each value is one.
    """

    __module__ = "torch"
    by_column = False
    blocks = False
    _ptr: Any
    _idx: Any

    def _like(self, values: Any) -> Any:
        return compressed(type(self), self._ptr, self._idx, values, self.shape)

    def _nnz(self) -> int:
        return int(self._idx.shape[-1])

    def _demand(self, what: str, by_column: bool, of: str) -> None:
        if self.by_column is not by_column:
            given = "".join(part.title() for part in self.layout.name.split("_"))
            raise RuntimeError(
                f"{what} expected sparse {of} compressed tensor layout but got {given}"
            )

    def crow_indices(self) -> Any:
        """Where each row starts, and the end.

        Raises: RuntimeError where columns are compressed.
        """
        self._demand("crow_indices", False, "row")
        return self._ptr

    def col_indices(self) -> Any:
        """The column of each value (or block).

        Raises: RuntimeError where columns are compressed.
        """
        self._demand("col_indices", False, "row")
        return self._idx

    def ccol_indices(self) -> Any:
        """Where each column starts, and the end.

        Raises: RuntimeError where rows are compressed.
        """
        self._demand("ccol_indices", True, "column")
        return self._ptr

    def row_indices(self) -> Any:
        """The row of each value (or block).

        Raises: RuntimeError where rows are compressed.
        """
        self._demand("row_indices", True, "column")
        return self._idx

    def values(self) -> Any:
        """The values."""
        return self._v

    def sparse_dim(self) -> int:
        """2."""
        return 2

    def dense_dim(self) -> int:
        """How many dims each value has."""
        return int(self._v.dim()) - (3 if self.blocks else 1)

    def _expanded(self) -> Any:
        """The row (or column) of each value (or block)."""
        at = ops.arange(self._nnz(), dtype=self._ptr.dtype, device=self._ptr.device)
        return ops.searchsorted(self._ptr, at, right=True) - 1

    def _places(self) -> tuple[Any, Any]:
        """The row and column of each value (or block)."""
        pair = (self._expanded(), self._idx)
        return pair[::-1] if self.by_column else pair

    def __reduce_ex__(self, protocol: Any) -> Any:
        from .._utils import _rebuild_sparse_tensor

        return _rebuild_sparse_tensor, (self.layout, (self._ptr, self._idx, self._v, self.shape))

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        names = ("ccol_indices", "row_indices") if self.by_column else (
            "crow_indices", "col_indices")  # fmt: skip
        return shown(self, [(names[0], self._ptr), (names[1], self._idx)])


class CSR(Compressed):
    """By rows."""

    __module__ = "torch"
    layout = layout_type.sparse_csr
    is_sparse_csr = True


class CSC(Compressed):
    """By columns."""

    __module__ = "torch"
    layout = layout_type.sparse_csc
    by_column = True


class BSR(Compressed):
    """Blocks by rows of blocks."""

    __module__ = "torch"
    layout = layout_type.sparse_bsr
    blocks = True


class BSC(Compressed):
    """Blocks by columns of blocks."""

    __module__ = "torch"
    layout = layout_type.sparse_bsc
    by_column = blocks = True


COMPRESSED: dict[str, type[Compressed]] = {c.layout.name: c for c in (CSR, CSC, BSR, BSC)}


for _cls in (COO, Compressed, CSR, CSC, BSR, BSC, SparseTensor):
    _cls.__name__ = _cls.__qualname__ = "Tensor"


def coo(indices: Any, values: Any, size: Any, coalesced: bool = False) -> Any:
    """A COO tensor of its parts, unchecked."""
    made = _set(object.__new__(COO), values, size)
    made._i, made._coalesced = indices, coalesced
    return made


def compressed(kind: type[Compressed], ptr: Any, idx: Any, values: Any, size: Any) -> Any:
    """A compressed tensor of its parts, unchecked."""
    made = _set(object.__new__(kind), values, size)
    made._ptr, made._idx = ptr, idx
    return made


def as_coo(x: Any) -> Any:
    """A sparse tensor as a COO one."""
    if isinstance(x, COO):
        return x
    rows, columns = x._places()
    values = x._v
    if x.blocks:
        high, wide = values.shape[1:3]
        device = values.device
        rows = rows.reshape(-1, 1, 1) * high + ops.arange(high, device=device).reshape(-1, 1)
        columns = columns.reshape(-1, 1, 1) * wide + ops.arange(wide, device=device)
        rows, columns = (r.reshape(-1) for r in ops.broadcast_tensors(rows, columns))
        values = values.flatten(0, 2)
    return coo(ops.stack([rows, columns]).long(), values, x.shape, isinstance(x, CSR))


def _pointers(rows: Any, count: int) -> Any:
    """Where each row starts in a sorted list of rows, and the end."""
    counts = ops.zeros((count + 1,), dtype=dtypes.int64, device=rows.device)
    return counts.index_add(0, rows + 1, ops.ones_like(rows)).cumsum(0)


def to_csr(x: Any) -> Any:
    """A matrix (COO) as a CSR one."""
    if isinstance(x, CSR):
        return x
    x = as_coo(x)
    if x.dim() != 2 or x.sparse_dim() != 2:
        raise not_supported("CSR tensors that are no matrices", "to_sparse()")
    x = x.coalesce()
    return compressed(CSR, _pointers(x._i[0], x.shape[0]), x._i[1], x._v, x.shape)


def transposed(x: Any) -> Any:
    """The transpose of a compressed matrix: rows become columns, nothing moves but blocks."""
    kind = {CSR: CSC, CSC: CSR, BSR: BSC, BSC: BSR}[type(x)]
    values = x._v.transpose(1, 2) if x.blocks else x._v
    return compressed(kind, x._ptr, x._idx, values, x.shape[::-1])


def _to_bsr(x: Any, high: int, wide: int) -> Any:
    x = as_coo(x).coalesce()
    rows, columns = x._i[0], x._i[1]
    across = x.shape[1] // wide
    keys, which = ops.unique(
        rows // high * across + columns // wide, sorted=True, return_inverse=True
    )
    place = (which * high + rows % high) * wide + columns % wide
    flat = ops.zeros((keys.numel() * high * wide,), dtype=x._v.dtype, device=x._v.device)
    values = flat.index_add(0, place, x._v).reshape(-1, high, wide)
    ptr = _pointers(keys // across, x.shape[0] // high)
    return compressed(BSR, ptr, keys % across, values, x.shape)


def to_layout(x: Any, name: str, blocksize: Any = None) -> Any:
    """A sparse matrix in another layout.

    Raises: RuntimeError for blocks that do not fit, or where they are (not) asked for.
    """
    if name == "sparse_coo":
        return as_coo(x)
    kind = COMPRESSED[name]
    if not kind.blocks:
        if type(x) is kind:
            return x
        if kind is CSR:
            return to_csr(x)
        flipped = transposed(x) if isinstance(x, Compressed) else RULES["t"](x)
        return transposed(to_csr(as_coo(flipped)))
    if blocksize is None:
        raise RuntimeError(
            f"to_sparse: to_sparse_{name[-3:]} conversion requires blocksize to be specified"
        )
    high, wide = blocksize
    if x.shape[0] % high or x.shape[1] % wide:
        raise RuntimeError(
            f"dense_to_{name}: tensor sparse size ({x.shape[0]},{x.shape[1]}) must be divisible by "
            f"given blocksize ({high},{wide})"
        )
    if kind is BSR:
        return _to_bsr(x, high, wide)
    return transposed(_to_bsr(RULES["t"](as_coo(x)), wide, high))


# --- printing -----------------------------------------------------------------------------------


def shown(x: Any, parts: list[tuple[str, Any]]) -> str:
    """A sparse tensor as PyTorch prints it."""
    lines = []
    for name, tensor in parts:
        lines.append(_part(name, tensor) + ",\n       ")
    values = _part("values", x._v)
    suffixes = []
    if x._storage.device.type != "cpu":
        suffixes.append(f"device='{x.device}'")
    suffixes += [f"size={tuple(x.shape)}", f"nnz={x._nnz()}"]
    if x._v.dtype is not process.default_dtype:
        suffixes.append(f"dtype={x._v.dtype}")
    suffixes.append(f"layout={x.layout}")
    if x._v.grad_fn is not None:
        suffixes.append(f"grad_fn=<{x._v.grad_fn.name().rsplit('::', 1)[-1]}>")
    elif x._v.requires_grad:
        suffixes.append("requires_grad=True")
    body = "tensor(" + "".join(lines) + values
    return _wrapped(body, suffixes, isinstance(x, COO))


def _part(name: str, tensor: Any) -> str:
    text = repr(tensor.detach())
    if tensor.numel() == 0:
        text = f"tensor([], size={tuple(tensor.shape)})"
    text = text.replace(f", dtype={tensor.dtype})", ")")  # it stands at the end
    shift = len(name) + 1 + 7  # as far as the part itself is set in
    first, *more = text.split("\n")
    return f"{name}=" + "\n".join([first, *(" " * shift + line if line else "" for line in more)])


def _wrapped(body: str, suffixes: list[str], fresh_line: bool) -> str:
    """The suffixes after the body, broken at 80 characters."""
    out = [body]
    width = len(body) - body.rfind("\n") + 1
    if fresh_line:
        out.append(",\n       " + suffixes.pop(0))
        width = 7 + len(out[-1])
    for suffix in suffixes:
        if width + len(suffix) + 2 > 80:
            out.append(",\n       " + suffix)
            width = 7 + len(suffix)
        else:
            out.append(", " + suffix)
            width += len(suffix) + 2
    return "".join(out) + ")"
