"""Pointwise operators of three operands: lerp, addcmul, addcdiv, clamp, where."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..._basics.dtypes import CPP_NAMES, SCALAR_NAMES, bool_ as boolean
from ..call.composites import last
from ..call.fronts import is_number, numbered_by, warn_old_form
from ..registry import Operand, Scalar, Tensor, composite, op, ops
from ..shared import numeric as num


def _check_lerp(input: Any, end: Any, weight: Any) -> None:
    for name, other in (("end", end), ("weight", weight)):
        if hasattr(other, "dtype") and other.dtype is not input.dtype:
            raise RuntimeError(
                f"expected dtype {CPP_NAMES[input.dtype]} for `{name}` but got dtype "
                f"{CPP_NAMES[other.dtype]}"
            )
    if weight is complex and not input.dtype.is_complex:
        raise RuntimeError(
            f"value cannot be converted to type {CPP_NAMES[input.dtype]} without overflow"
        )
    if not input.dtype.is_floating_point and not input.dtype.is_complex:
        raise NotImplementedError(
            f"\"lerp_kernel_scalar\" not implemented for '{SCALAR_NAMES[input.dtype]}'"
        )


@op("arith", inplace=True, check=_check_lerp, grad_name=numbered_by("weight", "Lerp"))
@num.widened
def lerp(input: Tensor, end: Tensor, weight: Operand) -> Array:
    """input + weight * (end - input), evaluated from the nearer end."""
    gap = end - input
    return jnp.where(jnp.abs(weight) < 0.5, input + weight * gap, end - gap * (1 - weight))


def _value_second(name: str) -> Any:
    """Bind the old form `f(input, value, tensor1, tensor2)`; None for any other call."""

    def overload(args: Any, kwargs: Any) -> Any:
        if len(args) != 4 or kwargs or not is_number(args[1]):
            return None
        warn_old_form(
            f"{name}(Tensor input, Number value, Tensor tensor1, Tensor tensor2, *, "
            "Tensor out = None)",
            f"{name}(Tensor input, Tensor tensor1, Tensor tensor2, *, Number value = 1, "
            "Tensor out = None)",
        )
        return (args[0], *args[2:]), {"value": args[1]}

    return overload


@op("arith", inplace=True, overloads=_value_second("addcmul"))
@num.widened
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Array:
    """out = input + value * tensor1 * tensor2."""
    if num.is_bool(input):
        raise num.not_implemented_for("addcmul_cpu_out", input)
    return input + num.scaled(tensor1, value) * tensor2


@op("arith", inplace=True, overloads=_value_second("addcdiv"))
@num.widened
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Array:
    """out = input + value * tensor1 / tensor2."""
    if not num.is_inexact(input):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / tensor2))"
            ".to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is "
            "just the latter implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    return input + num.scaled(tensor1, value) / tensor2


def _check_bounds(scalar_kernel: str, tensor_kernel: str | None = None) -> Any:
    """A check that torch's kernels know the dtype: bools are compared with tensors only."""

    def check(input: Any, **named: Any) -> None:
        bounds = tuple(named.values())
        tensors = [b for b in (input, *bounds) if hasattr(b, "dtype")]
        if any(t.dtype.is_complex for t in tensors) or complex in bounds:
            if tensor_kernel is None or len(tensors) == 1:
                raise NotImplementedError("clamp is not supported for complex types")
            kind = next(t.dtype for t in tensors if t.dtype.is_complex)
            raise NotImplementedError(f"\"{tensor_kernel}\" not implemented for "
                                      f"'{SCALAR_NAMES[kind]}'")  # fmt: skip
        kinds = [getattr(x, "dtype", x) for x in (input, *bounds)]
        if bool in kinds and all(kind in (boolean, bool) for kind in kinds):
            raise NotImplementedError(f"\"{scalar_kernel}\" not implemented for 'Bool'")

    return check


@op(
    "arith", inplace=("torch", "method"),
    check=_check_bounds("clamp_min_scalar_cpu", "maximum_cpu"),
    grad_name=numbered_by("min", "ClampMin"),
)  # fmt: skip
def clamp_min(input: Tensor, min: Operand) -> Array:
    """`input`, raised to `min` where it is below; equal elements keep the gradient of `input`."""
    return _at_least(input, min)


@op(
    "arith", inplace=("torch", "method"),
    check=_check_bounds("clamp_max_scalar_cpu", "minimum_cpu"),
    grad_name=numbered_by("max", "ClampMax"),
)  # fmt: skip
def clamp_max(input: Tensor, max: Operand) -> Array:
    """`input`, lowered to `max` where it is above; equal elements keep the gradient of `input`."""
    return _at_most(input, max)


def _check_clamp(input: Any, min: Any, max: Any) -> None:
    """With two bounds torch has no bool kernel at all."""
    _check_bounds("clamp_scalar_cpu")(input, min=min, max=max)
    if all(getattr(x, "dtype", None) is boolean for x in (input, min, max)):
        raise NotImplementedError("\"clamp_cpu\" not implemented for 'Bool'")


@op("arith", into=("internal",), name="clamp", check=_check_clamp, out_dtype="found",
    grad_name=numbered_by("min", "Clamp", 1, 0))  # fmt: skip
def _clamp(input: Tensor, min: Operand, max: Operand) -> Array:
    """min(max(input, min), max): where the bounds cross, `max` wins."""
    return _at_most(_at_least(input, min), max)


@op("arith", into=("internal",), name="clamp_low", check=_check_bounds("clamp_min_scalar_cpu"),
    out_dtype="found",
    grad_name=numbered_by("min", "Clamp", 1, 0))  # fmt: skip
def _clamp_low(input: Tensor, min: Operand) -> Array:
    return _at_least(input, min)


@op("arith", into=("internal",), name="clamp_high", check=_check_bounds("clamp_max_scalar_cpu"),
    out_dtype="found",
    grad_name=numbered_by("max", "Clamp", 1, 0))  # fmt: skip
def _clamp_high(input: Tensor, max: Operand) -> Array:
    return _at_most(input, max)


def _at_least(x: Array, low: Array) -> Array:
    below = x < low
    if num.is_float(x):
        below = below | jnp.isnan(low)
    return jnp.where(below, low, _without_nan_gradient(x))


def _at_most(x: Array, high: Array) -> Array:
    above = x > high
    if num.is_float(x):
        above = above | jnp.isnan(high)
    return jnp.where(above, high, _without_nan_gradient(x))


def _without_nan_gradient(x: Array) -> Array:
    """`x`; NaN lies within no bounds, so no gradient reaches it."""
    if not num.is_float(x):
        return x
    return jnp.where(jnp.isnan(x), jax.lax.stop_gradient(x), x)


def _bounds(min: Any, max: Any) -> tuple[Any, Any]:
    """Both bounds; beside a number a 0-dim tensor counts as a number."""
    if is_number(min) != is_number(max):
        if is_number(min) and max.dim() == 0:
            return min, max.item()
        if is_number(max) and min.dim() == 0:
            return min.item(), max
        raise TypeError(
            "clamp() received an invalid combination of arguments: min and max must both be "
            f"numbers or both be tensors, got {type(min).__name__} and {type(max).__name__}"
        )
    return min, max


_NO_BOUND = "torch.clamp: At least one of 'min' or 'max' must not be None"


@composite(aliases=("clip",), inplace=("torch", "method"), out=True)
def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit every element to [min, max]; a bound is a number, a tensor or None."""
    if max is None:
        if min is None:
            raise RuntimeError(_NO_BOUND)
        return last(_clamp_low, input, min)
    if min is None:
        return last(_clamp_high, input, max)
    return last(_clamp, input, *_bounds(min, max))


@op("arith", into=("internal",), name="where", out_dtype="type")
def _where(condition: Tensor, input: Operand, other: Operand) -> Array:
    """`input` where `condition` holds, else `other`."""
    # A bool never changes what the other operands promote to, so `condition` may be promoted too.
    return jnp.where(condition != 0, input, other)


@composite(into=("torch",), out=True)
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """Choose elementwise; with the condition alone, the indices where it holds.

    Raises: RuntimeError if `condition` is neither bool nor uint8.
    """
    if input is None and other is None:
        return ops.nonzero(condition, as_tuple=True)
    if not hasattr(condition, "dtype"):
        raise TypeError(
            "where(): argument 'condition' (position 1) must be Tensor, not "
            f"{type(condition).__name__}"
        )
    if condition.dtype.name not in ("bool", "uint8"):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{SCALAR_NAMES[condition.dtype]}"
        )
    return last(_where, condition, input, other)


@composite(into=("method",), name="where")
def _where_method(self: Any, condition: Any, other: Any) -> Any:
    """`self` where `condition` holds, else `other`."""
    return ops.where(condition, self, other)
