"""Nested tensors of the strided layout: a list of tensors that may differ in every size.

An operator works on each constituent, so a program has as many nodes as there are; the jagged
layout packs them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.errors import not_supported
from .._ops.registry import nnf, ops
from .._ops.shared import layout_type
from ._internal._table import Rules, registrar
from ._internal.nested_tensor import NestedBase, _adopt
from ._internal.ops import works_elementwise

STRIDED: Rules = {}


class StridedNested(NestedBase):
    """A batch of tensors of the same number of dims."""

    __module__ = "torch"
    layout = layout_type.strided  # type: ignore[assignment]
    _parts: tuple[Any, ...]

    @staticmethod
    def _call(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return call_strided(name, func, args, kwargs)

    # --- facts ---

    @property
    def shape(self) -> Any:  # type: ignore[override]
        """Refuse.

        Raises: RuntimeError, as PyTorch does: the sizes differ.
        """
        raise RuntimeError(
            "Internal error: NestedTensorImpl doesn't support sizes. Please file an issue."
        )

    def dim(self) -> int:
        """How many dims there are, the batch included."""
        return int(self._parts[0].dim()) + 1 if self._parts else 1

    def size(self, dim: int | None = None) -> Any:
        """The size of a dim in which all constituents agree.

        Raises: RuntimeError for another, or for all.
        """
        if dim is None:
            return self.shape
        n = self.dim()
        if not -n <= dim < n:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{n}, {n - 1}], but got "
                f"{dim})"
            )
        dim %= n
        if dim == 0:
            return len(self._parts)
        found = {part.shape[dim - 1] for part in self._parts}
        if len(found) > 1:
            raise RuntimeError(f"Given dimension {dim} is irregular and does not have a size.")
        return found.pop()

    def numel(self) -> int:
        """How many elements all constituents have."""
        return sum(part.numel() for part in self._parts)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether all constituents are."""
        return all(part.is_contiguous() for part in self._parts)

    def _nested_tensor_size(self) -> Any:
        """The shapes, a row each."""
        return ops.tensor([list(part.shape) for part in self._parts])

    # --- autograd: that of the constituents ---

    def _held(self) -> tuple[Any, ...]:
        return self._parts

    def _over(self, held: Any) -> Any:
        return strided(held)

    def backward(self, gradient: Any = None, *args: Any, **kwargs: Any) -> None:
        """Gradients of all constituents, each weighted by `gradient`.

        Raises: RuntimeError without one.
        """
        from ..autograd import backward

        if gradient is None:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        backward(list(self._parts), list(gradient._parts), *args, **kwargs)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        tail = ""
        if self.grad_fn is not None:
            tail = f", grad_fn=<{self.grad_fn.name().rsplit('::', 1)[-1]}>"
        elif self.requires_grad:
            tail = ", requires_grad=True"
        leaf = self.requires_grad
        texts = [repr(p.detach().requires_grad_(leaf)) for p in self._parts]
        shown = ",\n".join(textwrap.indent(text, "  ") for text in texts)
        return f"nested_tensor([\n{shown}\n]{tail})" if shown else f"nested_tensor([\n\n]{tail})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return strided, (list(self._parts),)

    def __deepcopy__(self, memo: Any) -> Any:
        made = strided([part.detach().clone() for part in self._parts])
        return made.requires_grad_(self.requires_grad)


def strided(parts: Sequence[Any]) -> StridedNested:
    """A strided nested tensor of these constituents, unchecked."""
    made = object.__new__(StridedNested)
    made._parts = tuple(parts)
    return _adopt(made, parts[0] if parts else ops.empty(0))  # type: ignore[no-any-return]


def call_strided(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator `name` on strided nested tensors.

    Raises: NotSupportedError for one without a rule.
    """
    found = STRIDED.get(name)
    if found is not None:
        return found(*args, **kwargs)
    if name in _EACH or works_elementwise(name):
        return _each(name, func, args, kwargs)
    raise not_supported(f"{name or func} of nested tensors of the strided layout", "torch.jagged")


_EACH = frozenset(("linear", "embedding", "matmul", "__matmul__", "layer_norm", "rms_norm"))


def _each(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator on each constituent; other nested operands go along, a batch is taken apart."""
    nested = next(x for x in args if isinstance(x, StridedNested))
    count = len(nested._parts)

    def apart(x: Any) -> list[Any]:
        if isinstance(x, StridedNested):
            if len(x._parts) != count:
                raise RuntimeError(
                    f"Expected both to be of equal batch size, but got {count} and {len(x._parts)}"
                )
            return list(x._parts)
        batched = isinstance(x, TensorBase) and x.dim() == nested.dim() and x.shape[0] == count
        return list(x.unbind(0)) if batched and name != "linear" else [x] * count

    columns = [apart(x) for x in args]
    parts = [func(*row, **kwargs) for row in zip(*columns, strict=True)]
    if parts and parts[0] is nested._parts[0]:
        return nested
    return strided(parts)


_rule = registrar(STRIDED)


def _dim_inside(x: StridedNested, dim: int, name: str) -> int:
    dim %= x.dim()
    if dim == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    return dim - 1


@_rule("bmm")
def _bmm(x: Any, mat2: Any) -> Any:
    return _each("matmul", ops.matmul, (x, mat2), {})


@_rule("unbind")
def _unbind(x: StridedNested, dim: int = 0) -> Any:
    if dim % x.dim() != 0:
        raise RuntimeError("NestedTensor can only be unbound along dimension 0 ")
    return x._parts


STRIDED["__iter__"] = lambda x: iter(x._parts)
STRIDED["__len__"] = lambda x: len(x._parts)


@_rule("select")
def _select(x: StridedNested, dim: int, index: int) -> Any:
    if dim % x.dim() == 0:
        return x._parts[index]
    return strided([part.select(_dim_inside(x, dim, "select"), index) for part in x._parts])


@_rule("__getitem__")
def _getitem(x: StridedNested, index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    if isinstance(parts[0], int):
        sample = x._parts[parts[0]]
        return sample[parts[1:]] if parts[1:] else sample
    if parts[0] != slice(None):
        raise not_supported("this index of nested tensors", "unbind()")
    return strided([part[parts[1:]] for part in x._parts]) if parts[1:] else x


@_rule("transpose", "swapaxes", "swapdims")
def _transpose(x: StridedNested, dim0: int, dim1: int) -> Any:
    a, b = _dim_inside(x, dim0, "transpose"), _dim_inside(x, dim1, "transpose")
    return strided([part.transpose(a, b) for part in x._parts])


@_rule("softmax")
def _softmax(x: StridedNested, dim: int, *args: Any, **kwargs: Any) -> Any:
    at = _dim_inside(x, dim, "softmax")
    return strided([nnf.softmax(part, at, dtype=kwargs.get("dtype")) for part in x._parts])


@_rule("sum")
def _sum(x: StridedNested, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if dim is None:
        return ops.stack([part.sum(dtype=dtype) for part in x._parts]).sum()
    dims = [dim] if isinstance(dim, int) else list(dim)
    inside = [_dim_inside(x, d, "sum") for d in dims]
    return strided([part.sum(inside, keepdim=keepdim, dtype=dtype) for part in x._parts])


@_rule("chunk")
def _chunk(x: StridedNested, chunks: int, dim: int = 0) -> Any:
    at = _dim_inside(x, dim, "chunk")
    columns = zip(*(part.chunk(chunks, at) for part in x._parts), strict=True)
    return tuple(strided(column) for column in columns)


@_rule("narrow")
def _narrow(x: StridedNested, dim: int, start: int, length: int) -> Any:
    at = _dim_inside(x, dim, "narrow")
    return strided([part.narrow(at, start, length) for part in x._parts])


@_rule("view", "reshape")
def _view(x: StridedNested, *size: Any) -> Any:
    """A -1 keeps an old dim's sizes; a second one beyond the old dims is computed."""
    wanted = list(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
    if wanted[0] not in (-1, len(x._parts)):
        raise RuntimeError(
            "For now nested view cannot change or infer the implicit batch dimension"
        )
    made = []
    for part in x._parts:
        old = list(part.shape)
        inside = [old[k] if n == -1 and k < len(old) else n for k, n in enumerate(wanted[1:])]
        made.append(part.reshape(inside))
    return strided(made)


@_rule("scaled_dot_product_attention")
def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if attn_mask is not None:
        raise RuntimeError(
            "scaled_dot_product_attention: Nested tensors for query / key / value are not "
            "supported when an explicit attn_mask is set"
        )
    rows = zip(query._parts, key._parts, value._parts, strict=True)
    return strided([
        nnf.scaled_dot_product_attention(
            q, k, v, None, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
        for q, k, v in rows
    ])  # fmt: skip


@_rule("to_padded_tensor")
def _to_padded_tensor(x: StridedNested, padding: float, output_size: Any = None) -> Any:
    """A dense tensor of the largest sizes.

    Raises: RuntimeError for an output that is smaller.
    """
    dims = x.dim() - 1
    most = [max(part.shape[d] for part in x._parts) for d in range(dims)]
    if output_size is not None:
        wanted = list(output_size)[1:]
        if any(w < m for w, m in zip(wanted, most, strict=True)):
            raise RuntimeError(
                "Value in output_size is less than NestedTensor padded size. Truncation is not "
                "supported."
            )
        most = wanted
    padded = []
    for part in x._parts:
        room = [m - n for m, n in zip(most, part.shape, strict=True)]
        margins = [side for r in reversed(room) for side in (0, r)]
        padded.append(nnf.pad(part, margins, value=padding))
    return ops.stack(padded)


@_rule("values")
def _values(x: StridedNested) -> Any:
    return ops.cat([part.reshape(-1) for part in x._parts])


STRIDED["is_same_size"] = lambda a, b: [p.shape for p in a._parts] == [p.shape for p in b._parts]
