"""What each operator does with jagged tensors, by its name.

Elementwise operators work on the values; those that look along the ragged dim go through a padded
tensor or sum by sample; an operator without a rule is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.errors import not_supported
from ..._ops.registry import nnf, operators, ops
from .nested_tensor import (
    NestedTensor,
    from_padded,
    numbers,
    sample_of_each,
    to_padded,
)

RULES: dict[str, Callable[..., Any]] = {}

# Composites that work element by element, beside the operators that say so of themselves.
_ELEMENTWISE = frozenset((
    "alpha_dropout", "clamp_max", "clamp_min", "clip", "clone", "contiguous", "detach", "dropout",
    "feature_alpha_dropout", "float", "double", "half", "bfloat16", "int", "long", "bool", "to",
    "cpu", "cuda", "type_as", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like",
    "randn_like", "relu6", "softplus", "glu_", "hardtanh", "type", "where", "masked_fill", "gelu",
    "silu", "mish", "elu", "selu", "celu", "leaky_relu", "logsigmoid", "tanhshrink", "softsign",
    "pin_memory", "square", "isnan", "isinf", "isfinite", "nan_to_num", "addcmul", "addcdiv",
    "lerp", "abs", "clamp", "div", "divide", "true_divide", "truediv", "rtruediv", "detach_",
    "requires_grad_", "fill_", "zero_", "copy_",
))  # fmt: skip


def rule(*names: str) -> Callable[[Any], Any]:
    """Register a function under operators' names."""

    def register(fn: Any) -> Any:
        for name in names:
            RULES[name] = fn
        return fn

    return register


def works_elementwise(name: str) -> bool:
    """Whether an operator (or a method, an in-place or reflected form) works by element."""
    plain = name.strip("_")
    if name in _ELEMENTWISE or plain in _ELEMENTWISE:
        return True
    tries = [name, plain, name.removesuffix("_"), plain.removeprefix("r"), plain.removeprefix("i")]
    for one in tries:
        for place in ("torch", "nn.functional", "special"):
            found = operators.get(f"{place}.{one}")
            if found is not None and found.elementwise:
                return True
    return plain in ("truediv", "rtruediv", "radd", "rsub", "rmul", "rpow", "floordiv", "and",
                     "or", "xor", "invert", "neg", "mod", "add", "sub", "mul", "pow")  # fmt: skip


def call(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator `name` on nested tensors.

    Raises: NotSupportedError for one without a rule.
    """
    found = RULES.get(name)
    if found is not None:
        return found(*args, **kwargs)
    if works_elementwise(name):
        return _elementwise(name, func, args, kwargs)
    raise not_supported(
        f"{name or func} of nested tensors", "unbind(), or to_padded_tensor() and a mask"
    )


# --- elementwise -------------------------------------------------------------------------------


def matches(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether two tensors have the same samples' places."""
    return a._ragged_idx == b._ragged_idx and a.shape[a._ragged_idx] == b.shape[b._ragged_idx]


def _mismatch(name: str, a: Any, b: Any) -> RuntimeError:
    shown = [tuple(x.shape) if isinstance(x, NestedTensor) else x.shape for x in (a, b)]
    return RuntimeError(
        f"cannot call binary pointwise function {name}.Tensor with inputs of shapes {shown[0]} and "
        f"{shown[1]}"
    )


def _beside(name: str, nested: NestedTensor, x: Any) -> Any:
    """An operand as it stands beside the packed values.

    Raises: RuntimeError for shapes that do not broadcast.
    """
    if isinstance(x, NestedTensor):
        if not matches(nested, x):
            raise _mismatch(name, nested, x)
        return x._values
    if not isinstance(x, TensorBase) or x.dim() == 0:
        return x
    if x.dim() > nested.dim():
        raise NotImplementedError("NYI: broadcasting NT with T with larger dim")
    while x.dim() > 0 and x.shape[0] == 1:
        x = x.squeeze(0)
    if nested.dim() >= x.dim() + 2:
        return x
    if x.dim() != nested.dim() or x.shape[0] != nested.shape[0]:
        raise _mismatch(name, nested, x)
    wide = [-1] * x.dim()
    wide[nested._ragged_idx] = nested._get_max_seqlen()
    return from_padded(x.expand(wide), nested)._values


def _elementwise(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    nested = next((x for x in (*args, *kwargs.values()) if isinstance(x, NestedTensor)), None)
    if nested is None:
        raise not_supported(f"{name} of lists of nested tensors", "unbind()")
    inside = [_beside(name.strip("_"), nested, x) for x in args]
    named = {k: _beside(name, nested, x) if isinstance(x, TensorBase) else x
             for k, x in kwargs.items()}  # fmt: skip
    found = func(*inside, **named)
    if found is nested._values:
        return nested
    if isinstance(found, tuple):
        return type(found)(nested.like(x) for x in found)
    return nested.like(found) if found.device == nested._offsets.device else _moved(nested, found)


def _moved(nested: NestedTensor, values: Any) -> NestedTensor:
    """The nested tensor on the device of its new values."""
    device = values.device
    lengths = None if nested._lengths is None else nested._lengths.to(device)
    return NestedTensor(
        values, nested._offsets.to(device), lengths=lengths, _ragged_idx=nested._ragged_idx,
        _metadata_cache=nested._cached,
    )  # fmt: skip


# --- dims --------------------------------------------------------------------------------------


def _inner(x: NestedTensor, dim: int, name: str, batch: bool = False, ragged: bool = False) -> int:
    """The values' dim for a dim of the nested tensor (-1: the batch).

    Raises: RuntimeError for the batch or ragged dim where these are not meant.
    """
    n = x.dim()
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{n}, {n - 1}], but got {dim})"
        )
    dim %= n
    if dim == 0 and not batch:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if dim == x._ragged_idx and not ragged:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return dim - 1


@rule("transpose", "swapaxes", "swapdims")
def transpose(x: NestedTensor, dim0: int, dim1: int) -> Any:
    """Two dims exchanged; the ragged one may be one of them."""
    a, b = dim0 % x.dim(), dim1 % x.dim()
    r = x._ragged_idx
    if r in (a, b) and 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    if 0 in (a, b):
        raise RuntimeError("transpose(): not supported for NestedTensor on dim=0")
    moved = b if a == r else a if b == r else r
    return x.like(x._values.transpose(a - 1, b - 1), moved)


@rule("permute")
def permute(x: NestedTensor, *dims: Any) -> Any:
    """Dims in another order; the batch stays the first."""
    order = [d % x.dim() for d in (dims[0] if len(dims) == 1 else dims)]
    if order[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    return x.like(x._values.permute([d - 1 for d in order[1:]]), order.index(x._ragged_idx))


@rule("view", "reshape", "view_as", "reshape_as")
def view(x: NestedTensor, *size: Any) -> Any:
    """Another shape of the same batch and ragged dim."""
    first = size[0]
    if isinstance(first, TensorBase):
        wanted: tuple[Any, ...] = tuple(first.shape)
    else:
        wanted = tuple(first) if len(size) == 1 and not isinstance(first, int) else size
    shape, r = tuple(x.shape), x._ragged_idx
    fits = len(wanted) > r and wanted[0] in (shape[0], -1) and wanted[r] in (shape[r], -1)
    if r != 1 and wanted != shape:
        raise RuntimeError(
            f"view(): does not support ragged_idx != 1 except when inp._size == size. inp._size is "
            f"({shape}) and size is ({wanted})."
        )
    if len(wanted) < 3 or not fits:
        raise RuntimeError(f"view(): cannot view shape {shape} as {wanted}")
    inner = [x._values.shape[r - 1] if k == r else n for k, n in enumerate(wanted)][1:]
    return x.like(x._values.reshape(inner))


@rule("flatten")
def flatten(x: NestedTensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dims that are neither the batch nor ragged, as one."""
    first, last = _inner(x, start_dim, "flatten"), _inner(x, end_dim, "flatten")
    if first <= x._ragged_idx - 1 <= last:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    r = x._ragged_idx - (last - first if last < x._ragged_idx - 1 else 0)
    return x.like(x._values.flatten(first, last), r)


@rule("unflatten")
def unflatten(x: NestedTensor, dim: int, sizes: Any) -> Any:
    """One dim as several."""
    at = _inner(x, dim, "unflatten")
    more = len(tuple(sizes)) - 1
    return x.like(
        x._values.unflatten(at, sizes), x._ragged_idx + (more if at < x._ragged_idx - 1 else 0)
    )


@rule("squeeze")
def squeeze(x: NestedTensor, dim: int) -> Any:
    """Without a dim of size 1."""
    at = _inner(x, dim, "squeeze")
    gone = x._values.shape[at] == 1 and at < x._ragged_idx - 1
    return x.like(x._values.squeeze(at), x._ragged_idx - gone)


@rule("unsqueeze")
def unsqueeze(x: NestedTensor, dim: int) -> Any:
    """With a new dim of size 1."""
    at = dim % (x.dim() + 1)
    if at == 0:
        raise RuntimeError("unsqueeze(): not supported for NestedTensor on dim=0")
    return x.like(x._values.unsqueeze(at - 1), x._ragged_idx + (at <= x._ragged_idx))


@rule("select")
def select(x: NestedTensor, dim: int, index: int) -> Any:
    """One index of a dim: a sample, or a nested tensor of one dim less."""
    at = _inner(x, dim, "select", batch=True)
    if at < 0:
        return unbind(x)[index]
    return x.like(x._values.select(at, index), x._ragged_idx - (at < x._ragged_idx - 1))


@rule("narrow")
def narrow(x: NestedTensor, dim: int, start: int, length: int) -> Any:
    """A range of a dim."""
    return x.like(x._values.narrow(_inner(x, dim, "narrow"), start, length))


@rule("chunk")
def chunk(x: NestedTensor, chunks: int, dim: int = 0) -> Any:
    """Parts of a dim, or of the batch."""
    at = _inner(x, dim, "chunk", batch=True)
    if at >= 0:
        return tuple(x.like(part) for part in x._values.chunk(chunks, at))
    counts = x._offsets.diff().chunk(chunks)
    sizes = [int(c.sum().item()) for c in counts]
    parts = x._values.split(sizes, x._ragged_idx - 1)
    return tuple(
        NestedTensor(part, nnf.pad(c.cumsum(0), (1, 0)), _ragged_idx=x._ragged_idx)
        for part, c in zip(parts, counts, strict=True)
    )


@rule("split", "split_with_sizes")
def split(x: NestedTensor, split_size: Any, dim: int = 0) -> Any:
    """Parts of a dim, by size."""
    parts = x._values.split(split_size, _inner(x, dim, "split"))
    return tuple(x.like(part) for part in parts)


@rule("unbind")
def unbind(x: NestedTensor, dim: int = 0) -> Any:
    """The samples."""
    if dim != 0:
        raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
    r, sizes = x._ragged_idx - 1, x.sample_lengths()
    if x._lengths is None:
        return tuple(x._values.split(sizes, r))
    spans = zip(x.sample_starts(), sizes, strict=True)
    return tuple(x._values.narrow(r, start, size) for start, size in spans)


RULES["__iter__"] = lambda x: iter(unbind(x))
RULES["__len__"] = lambda x: int(x.shape[0])


@rule("__getitem__")
def getitem(x: NestedTensor, index: Any) -> Any:
    """x[sample], x[:, :, a:b] and the like."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if isinstance(parts[0], int):
        sample = unbind(x)[parts[0]]
        return sample[tuple(parts[1:])] if parts[1:] else sample
    if ... in parts:
        at = parts.index(...)
        parts[at : at + 1] = [slice(None)] * (x.dim() - len(parts) + 1)
    whole = slice(None)
    parts += [whole] * (x.dim() - len(parts))
    if parts[0] != whole or parts[x._ragged_idx] != whole or None in parts:
        raise not_supported("this index of nested tensors", "unbind()")
    gone = sum(isinstance(p, int) for p in parts[1 : x._ragged_idx])
    return x.like(x._values[tuple(parts[1:])], x._ragged_idx - gone)


@rule("cat", "concat", "concatenate")
def cat(tensors: Any, dim: int = 0) -> Any:
    """Nested tensors of the same places, joined along a dense dim."""
    first = next(x for x in tensors if isinstance(x, NestedTensor))
    if dim % first.dim() == 0:
        raise not_supported("cat of nested tensors along the batch", "nested_tensor of all samples")
    at = _inner(first, dim, "cat")
    return first.like(ops.cat([_beside("cat", first, x) for x in tensors], at))


@rule("expand_as", "expand")
def expand(x: Any, *size: Any) -> Any:
    """A tensor that broadcasts to a nested one."""
    other = size[0]
    if isinstance(x, NestedTensor):
        wanted = tuple(other.shape) if isinstance(other, TensorBase) else tuple(
            other if len(size) == 1 and not isinstance(other, int) else size)  # fmt: skip
        inner = [x._values.shape[x._ragged_idx - 1] if k == x._ragged_idx else n
                 for k, n in enumerate(wanted)][1:]  # fmt: skip
        return x.like(x._values.expand(inner))
    return ops.zeros_like(other) + x


# --- reductions --------------------------------------------------------------------------------


def _dims_of(x: NestedTensor, dim: Any, name: str) -> tuple[list[int], bool, bool]:
    """Inner dims, and whether the batch and the ragged dim are among them."""
    dims = [dim] if isinstance(dim, int) else list(dim)
    n = x.dim()
    dims = [d % n for d in dims]
    ragged, batch = x._ragged_idx in dims, 0 in dims
    if batch and not ragged:
        raise RuntimeError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not "
            "supported for nested tensors"
        )
    if ragged and not batch and len(dims) > 1:
        raise RuntimeError(
            f"{name}(): reducing along a ragged and non-batch dimension is not supported for "
            "nested tensors"
        )
    if ragged and x._lengths is not None:
        raise RuntimeError(
            f"{name}(): reducing across the ragged dimension is not supported for non-contiguous "
            "nested tensors with holes"
        )
    return [d - 1 for d in dims if d > 0], batch, ragged


def _over_ragged(x: NestedTensor, name: str, keepdim: bool, fill: Any) -> Any:
    """A reduction of each sample's ragged dim: a dense tensor."""
    r = x._ragged_idx
    if name in ("sum", "mean"):
        first = x._values.movedim(r - 1, 0)
        zeros = first.new_zeros((x.shape[0], *first.shape[1:]))
        found = zeros.index_add(0, sample_of_each(x), first)
        if name == "mean":
            counts = x._offsets.diff().to(found.dtype)
            found = found / counts.reshape(-1, *[1] * (found.dim() - 1))
        return found.unsqueeze(r) if keepdim else found
    return getattr(ops, name)(to_padded(x, fill), dim=r, keepdim=keepdim)


def _extreme(x: NestedTensor, lowest: bool) -> Any:
    """The number that a maximum (minimum) never is, for padding."""
    if x._values.dtype.is_floating_point:
        return float("-inf") if lowest else float("inf")
    from ..._namespace.limits import iinfo

    info = iinfo(x._values.dtype)
    return info.min if lowest else info.max


_FILLS: dict[str, Callable[[NestedTensor], Any]] = {
    "sum": lambda x: 0, "mean": lambda x: 0, "prod": lambda x: 1, "any": lambda x: False,
    "all": lambda x: True, "amax": lambda x: _extreme(x, True),
    "amin": lambda x: _extreme(x, False), "max": lambda x: _extreme(x, True),
    "min": lambda x: _extreme(x, False), "argmax": lambda x: _extreme(x, True),
    "argmin": lambda x: _extreme(x, False),
}  # fmt: skip


def _reduction(name: str) -> None:
    def reduce(x: NestedTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None,
               out: Any = None) -> Any:  # fmt: skip
        work = x if dtype is None else x.like(x._values.to(dtype))
        fn = getattr(ops, name)
        if dim is None or (isinstance(dim, tuple | list) and not dim):
            return fn(_packed(work))
        dims, batch, ragged = _dims_of(work, dim, name)
        if ragged and not batch:
            return _over_ragged(work, name, keepdim, _FILLS[name](work))
        which = dims[0] if isinstance(dim, int) else dims
        found = fn(work._values, dim=which, keepdim=keepdim)
        if batch:
            return found.unsqueeze(0) if keepdim else found
        r = work._ragged_idx - (0 if keepdim else sum(d < work._ragged_idx - 1 for d in dims))
        if isinstance(found, tuple):
            return type(found)(work.like(part, r) for part in found)
        return work.like(found, r)

    RULES[name] = reduce


def _packed(x: NestedTensor) -> Any:
    """The elements of samples, without holes."""
    if x._lengths is None:
        return x._values
    return ops.cat([part.flatten() for part in unbind(x)])


for _name in _FILLS:
    _reduction(_name)


def _softmax(name: str) -> Callable[..., Any]:
    def apply(x: NestedTensor, dim: int, *args: Any, **kwargs: Any) -> Any:
        at = _inner(x, dim, "softmax", ragged=True)
        dtype = kwargs.get("dtype")
        if at != x._ragged_idx - 1:
            return x.like(getattr(nnf, name)(x._values, dim=at, dtype=dtype))
        if x._lengths is not None:
            raise RuntimeError(
                "softmax(): not supported where lengths is not None if reducing across the ragged "
                "dimension for NestedTensor"
            )
        padded = getattr(nnf, name)(to_padded(x, float("-inf")), dim=x._ragged_idx, dtype=dtype)
        return from_padded(padded, x)

    return apply


RULES["softmax"], RULES["log_softmax"] = _softmax("softmax"), _softmax("log_softmax")


# --- layers ------------------------------------------------------------------------------------


@rule("linear")
def linear(input: NestedTensor, weight: Any, bias: Any = None) -> Any:
    """Each element of the last dim, by one product of all samples."""
    _inner(input, -1, "linear")
    return input.like(nnf.linear(input._values, weight, bias))


def _check_normalized(x: NestedTensor, shape: Any, name: str) -> None:
    if len(tuple(shape)) > x.dim() - x._ragged_idx - 1:
        raise ValueError(
            f"{name}(): Normalization over the ragged dim not supported for nested tensors"
        )


@rule("layer_norm")
def layer_norm(
    input: NestedTensor, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Over the last dims, which must be dense."""
    _check_normalized(input, normalized_shape, "layer_norm")
    return input.like(nnf.layer_norm(input._values, normalized_shape, weight, bias, eps))


@rule("rms_norm")
def rms_norm(
    input: NestedTensor, normalized_shape: Any, weight: Any = None, eps: Any = None
) -> Any:
    """Over the last dims, which must be dense."""
    _check_normalized(input, normalized_shape, "rms_norm")
    return input.like(nnf.rms_norm(input._values, normalized_shape, weight, eps))


@rule("embedding")
def embedding(input: Any, weight: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Rows of a table for a nested tensor of indices."""
    return input.like(nnf.embedding(input._values, weight, *args, **kwargs))


@rule("matmul", "__matmul__", "bmm")
def matmul(a: Any, b: Any) -> Any:
    """Products with a dense matrix, by sample with dense ones, or over the ragged dim."""
    nested = isinstance(a, NestedTensor), isinstance(b, NestedTensor)
    if nested == (True, False) and a._ragged_idx < a.dim() - 1:
        if b.dim() == 2:
            return a.like(ops.matmul(a._values, b))
        if b.dim() == a.dim():
            return from_padded(ops.matmul(to_padded(a, 0.0), b), a)
    if nested == (False, True) and b._ragged_idx >= 2:
        if a.dim() == 2 and b.dim() > 2:
            return b.like(ops.matmul(a, b._values))
        if a.dim() == b.dim():
            return from_padded(ops.matmul(a, to_padded(b, 0.0)), b)
    if nested == (True, True):
        if a.dim() > 3 and b.dim() > 3 and matches(a, b):
            return a.like(ops.matmul(a._values, b._values))
        over = a.dim() == b.dim() == 3 and (a._ragged_idx, b._ragged_idx) == (2, 1)
        if over and a.shape[2] == b.shape[1]:
            return ops.matmul(to_padded(a, 0.0), to_padded(b, 0.0))
    raise RuntimeError(
        f"matmul(): not supported between inputs of shapes {tuple(a.shape)} and {tuple(b.shape)}"
    )


RULES["__rmatmul__"] = lambda a, b: matmul(b, a)


@rule("scaled_dot_product_attention")
def attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Attention within each sample: (batch, heads, ragged, features), by way of a padded one."""
    parts = (query, key, value)
    if not all(isinstance(x, NestedTensor) for x in parts):
        raise ValueError(
            "Expected query, key, and value to all be nested jagged tensors or none of them"
        )
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported!")
    if query.dim() < 3:
        raise ValueError(
            "Expected query, key, and value to all be  at least 3 dimensional, but got query.dim: "
            f"{query.dim()}, key.dim: {key.dim()} and value.dim: {value.dim()} instead."
        )
    padded = [to_padded(x, 0.0) for x in parts]
    width = padded[1].shape[-2]
    lengths = key._offsets.diff() if key._lengths is None else key._lengths
    there = ops.arange(width, device=lengths.device) < lengths.unsqueeze(1)
    mask = there.reshape(there.shape[0], *[1] * (query.dim() - 2), width)
    if is_causal:
        rows = padded[0].shape[-2]
        mask = mask & ops.ones(rows, width, dtype=mask.dtype, device=mask.device).tril()
    out = nnf.scaled_dot_product_attention(
        *padded, attn_mask=mask, dropout_p=dropout_p, scale=scale, enable_gqa=enable_gqa
    )
    return from_padded(out, query)


# --- conversion and comparison -----------------------------------------------------------------


@rule("to_padded_tensor")
def to_padded_tensor(x: NestedTensor, padding: float, output_size: Any = None) -> Any:
    """A dense tensor with each sample followed by `padding`.

    Raises: RuntimeError for samples with holes.
    """
    if x._lengths is not None:
        raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
    return to_padded(x, padding, None if output_size is None else output_size[x._ragged_idx])


@rule("masked_select")
def masked_select(x: NestedTensor, mask: NestedTensor) -> Any:
    """The elements of each sample where the mask is true."""
    if x.dim() > 2:
        raise RuntimeError("masked_select only support 2-D selections currently")
    if x.shape != mask.shape:
        raise RuntimeError(
            f"Mask with shape {mask.shape} is not compatible with input's shape {x.shape}"
        )
    kept = mask._values
    before = nnf.pad(kept.cumsum(0), (1, 0))
    return NestedTensor(x._values.masked_select(kept), before[x._offsets])


@rule("is_same_size")
def is_same_size(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether the shapes are the same."""
    return bool(a.shape == b.shape)


@rule("allclose")
def allclose(a: NestedTensor, b: NestedTensor, *args: Any, **kwargs: Any) -> bool:
    """Whether all samples are close."""
    return bool(ops.allclose(a._values, _beside("allclose", a, b), *args, **kwargs))


@rule("equal")
def equal(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether all samples are equal."""
    same = numbers(a._offsets) == numbers(b._offsets)
    return same and bool(ops.equal(a._values, b._values))


NestedTensor._call = staticmethod(call)  # type: ignore[method-assign]
