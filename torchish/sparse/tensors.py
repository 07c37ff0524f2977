"""Sparse tensors: indices and values that are ordinary tensors, seen as one tensor.

Invariants: what is computed goes through operators on the values, so that gradients reach them and
the dense operands by the engine's own autograd; a sparse tensor has no storage of its own (its
`_storage` is that of its values, for questions about the device), so every operator on one comes
through `__torch_function__`, and one without a rule is refused by name.
"""

from __future__ import annotations

from typing import Any

from .. import _utils
from .._basics import dtypes
from .._basics.errors import not_supported
from .._basics.size import Size
from .._basics.state import process
from .._core.values import aval_of
from .._ops.protocol.overriding import DisableTorchFunctionSubclass
from .._ops.registry import ops
from .._ops.shared import layout_type
from .._tensor.tensor import Tensor

RULES: dict[str, Any] = {}


class SparseTensor(Tensor):
    """What both layouts share."""

    __module__ = "torch"
    _v: Any
    layout: Any = layout_type.sparse_coo

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            with DisableTorchFunctionSubclass():  # of dtype, device and the like
                return func(*args, **(kwargs or {}))
        rule = RULES.get(name)
        if rule is None:
            raise not_supported(f"{name or func} of sparse tensors", "to_dense()")
        return rule(*args, **(kwargs or {}))

    # --- facts ---

    @property
    def T(self) -> Any:
        """The transpose of a matrix."""
        return RULES["t"](self)

    mT = H = T

    @property  # type: ignore[misc]
    def data(self) -> Any:
        """Without history."""
        return RULES["detach"](self)

    @property
    def requires_grad(self) -> bool:
        """Whether its values need a gradient."""
        return bool(self._v.requires_grad)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._v.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Ask for a gradient of the values."""
        self._v.requires_grad_(requires_grad)
        return self

    @property
    def grad_fn(self) -> Any:
        """That of the values."""
        return self._v.grad_fn

    @property
    def is_leaf(self) -> bool:
        """Whether its values were made by no operator that is recorded."""
        return bool(self._v.is_leaf)

    @property
    def grad(self) -> Any:
        """The gradient, at the places of the values."""
        found = self._v.grad
        return None if found is None else self._like(found)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._v.grad = None if value is None else value._v

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
        rows = []
        for dim in reversed(range(self.sparse_dim())):
            rows.append(places % self.shape[dim])
            places = ops.div(places, self.shape[dim], rounding_mode="floor")
        return coo(ops.stack(rows[::-1]), values, self.shape, True)

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts = (self._i, self._v, self.shape, self._coalesced)
        return _utils._rebuild_sparse_tensor, (self.layout, parts)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return shown(self, [("indices", self._i)])


class CSR(SparseTensor):
    """Rows as ranges of the columns' indices: row r has those from crow[r] to crow[r + 1]."""

    __module__ = "torch"
    layout = layout_type.sparse_csr
    is_sparse_csr = True
    _crow: Any
    _col: Any

    def _like(self, values: Any) -> Any:
        return csr(self._crow, self._col, values, self.shape)

    def _nnz(self) -> int:
        return int(self._col.shape[-1])

    def crow_indices(self) -> Any:
        """Where each row starts, and the end."""
        return self._crow

    def col_indices(self) -> Any:
        """The column of each value."""
        return self._col

    def values(self) -> Any:
        """The values."""
        return self._v

    def sparse_dim(self) -> int:
        """2."""
        return 2

    def dense_dim(self) -> int:
        """How many dims each value has."""
        return int(self._v.dim()) - 1

    def _rows(self) -> Any:
        """The row of each value."""
        at = ops.arange(self._nnz(), dtype=self._crow.dtype, device=self._crow.device)
        return ops.searchsorted(self._crow, at, right=True) - 1

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts = (self._crow, self._col, self._v, self.shape)
        return _utils._rebuild_sparse_tensor, (self.layout, parts)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return shown(self, [("crow_indices", self._crow), ("col_indices", self._col)])


for _cls in (COO, CSR, SparseTensor):
    _cls.__name__ = _cls.__qualname__ = "Tensor"


def coo(indices: Any, values: Any, size: Any, coalesced: bool = False) -> Any:
    """A COO tensor of its parts, unchecked."""
    made = _set(object.__new__(COO), values, size)
    made._i, made._coalesced = indices, coalesced
    return made


def csr(crow: Any, col: Any, values: Any, size: Any) -> Any:
    """A CSR tensor of its parts, unchecked."""
    made = _set(object.__new__(CSR), values, size)
    made._crow, made._col = crow, col
    return made


def as_coo(x: Any) -> Any:
    """A sparse tensor as a COO one."""
    if isinstance(x, COO):
        return x
    return coo(ops.stack([x._rows(), x._col]).long(), x._v, x.shape, True)


def to_csr(x: Any) -> Any:
    """A matrix (COO) as a CSR one."""
    if isinstance(x, CSR):
        return x
    if x.dim() != 2 or x.sparse_dim() != 2:
        raise not_supported("CSR tensors that are no matrices", "to_sparse()")
    x = x.coalesce()
    counts = ops.zeros((x.shape[0] + 1,), dtype=dtypes.int64, device=x._i.device)
    counts = counts.index_add(0, x._i[0] + 1, ops.ones_like(x._i[0]))
    return csr(counts.cumsum(0), x._i[1], x._v, x.shape)


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
        suffixes.append(f"grad_fn=<{x._v.grad_fn.name()}>")
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
    return f"{name}=" + text.replace("\n", "\n" + " " * shift)


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
