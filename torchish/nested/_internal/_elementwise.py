"""Operators that work element by element: on the values, where samples have the same lengths."""

from __future__ import annotations

from typing import Any

from ..._autograd.tensor_base import TensorBase
from ..._basics.errors import not_supported
from ..._ops.registry import operators
from .nested_tensor import (
    NestedTensor,
    from_padded,
)

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


def matches(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether two tensors have the same samples' places."""
    return a._ragged_idx == b._ragged_idx and a.shape[a._ragged_idx] == b.shape[b._ragged_idx]


def mismatch(name: str, a: Any, b: Any) -> RuntimeError:
    shown = [tuple(x.shape) if isinstance(x, NestedTensor) else x.shape for x in (a, b)]
    return RuntimeError(
        f"cannot call binary pointwise function {name}.Tensor with inputs of shapes {shown[0]} and "
        f"{shown[1]}"
    )


def beside(name: str, nested: NestedTensor, x: Any) -> Any:
    """An operand as it stands beside the packed values.

    Raises: RuntimeError for shapes that do not broadcast.
    """
    if isinstance(x, NestedTensor):
        if not matches(nested, x):
            raise mismatch(name, nested, x)
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
        raise mismatch(name, nested, x)
    wide = [-1] * x.dim()
    wide[nested._ragged_idx] = nested._get_max_seqlen()
    return from_padded(x.expand(wide), nested)._values


def elementwise(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    nested = next((x for x in (*args, *kwargs.values()) if isinstance(x, NestedTensor)), None)
    if nested is None:
        raise not_supported(f"{name} of lists of nested tensors", "unbind()")
    inside = [beside(name.strip("_"), nested, x) for x in args]
    named = {k: beside(name, nested, x) if isinstance(x, TensorBase) else x
             for k, x in kwargs.items()}  # fmt: skip
    found = func(*inside, **named)
    if found is nested._values:
        return nested
    if isinstance(found, tuple):
        return type(found)(nested.like(x) for x in found)
    return (
        nested.like(found) if found.device == nested._offsets.device else rewrapped(nested, found)
    )


def rewrapped(nested: NestedTensor, values: Any) -> NestedTensor:
    """The nested tensor on the device of its new values."""
    device = values.device
    lengths = None if nested._lengths is None else nested._lengths.to(device)
    return NestedTensor(
        values, nested._offsets.to(device), lengths=lengths, _ragged_idx=nested._ragged_idx,
        _metadata_cache=nested._cached,
    )  # fmt: skip
