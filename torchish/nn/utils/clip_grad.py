"""Limits on the size of gradients."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from ..._autograd.grad_mode import no_grad
from ..._autograd.tensor_base import from_value
from ..._basics.dtypes import float32, float64
from ..._basics.state import state
from ..._ops.protocol import overriding
from ..._ops.reduce.norms import vector_norm_of
from ..._ops.registry import Tensor as Operand, Tensors, internal, linalg, op, ops
from ..._tensor.bare import assign, run
from ..._tensor.tensor import Tensor

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]


def _as_list(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def norms_of_each(tensors: Tensors, order: Any) -> Any:
    """`(sum |x|^order)^(1/order)` of each tensor."""
    return [vector_norm_of(x, order, None, False) for x in tensors]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def scaled_each(tensors: Tensors, factor: Operand) -> Any:
    """`factor x` of each tensor."""
    return [x * factor for x in tensors]


def _are_alike(tensors: list[Tensor]) -> bool:
    """Whether one operator may stand for one a tensor: nobody would see or feel a difference.

    They are then dense, of one floating type and device, each the whole of memory of its own,
    without history and without a class or a mode that overrides operators.
    """
    if (
        not tensors or state.function_modes or state.dispatch_modes or state.transforms
        or state.capture is not None or state.is_captured()
    ):  # fmt: skip
        return False
    first = tensors[0]
    dtype, device = first.dtype, first.device
    if dtype not in (float32, float64) or first.is_meta:
        return False
    storages = set()
    for x in tensors:
        storage = x._storage
        if (
            overriding.implementation(x) is not None or x._aval.dtype is not dtype
            or storage.device != device or x._layout is not None or x._requires_grad
            or x._grad_fn is not None or storage.placement is not None or x._inference
        ):  # fmt: skip
            return False
        storages.add(id(storage))
    return len(storages) == len(tensors)


def _is_like(x: Tensor, y: Tensor) -> bool:
    """Whether a scalar may stand beside tensors that are alike, of which `y` is one."""
    return _are_alike([x]) and x._aval.dtype is y._aval.dtype and x.device == y.device


def _norms(tensors: list[Tensor], order: float, alike: bool) -> list[Tensor]:
    """The norm of each tensor, on the device of the first."""
    if alike and all(x._aval.numel for x in tensors):
        return [from_value(v) for v in run(internal.norms_of_each, tensors, order)]
    device = tensors[0].device
    return [linalg.vector_norm(t, order).to(device) for t in tensors]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as one vector.

    Raises:
        RuntimeError: the norm is not finite and `error_if_nonfinite`.
    """
    found = _as_list(tensors)
    return _total_norm(found, norm_type, error_if_nonfinite, _are_alike(found))


def _total_norm(
    found: list[Tensor], norm_type: float, error_if_nonfinite: bool, alike: bool
) -> Tensor:
    norm_type = float(norm_type)
    if not found:
        return ops.tensor(0.0)
    with no_grad():
        total = linalg.vector_norm(ops.stack(_norms(found, norm_type, alike)), norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scales gradients by `min(1, max_norm / (total_norm + 1e-6))`, in place."""
    grads = [p.grad for p in _as_list(parameters) if p.grad is not None]
    _scale(grads, max_norm, total_norm, _are_alike(grads))


def _scale(grads: list[Tensor], max_norm: float, total_norm: Tensor, alike: bool) -> None:
    if not grads:
        return
    with no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        if alike and _is_like(factor, grads[0]):
            assign(grads, run(internal.scaled_each, grads, factor))
            return
        for grad in grads:
            grad.mul_(factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales gradients so that their norm, all as one vector, is at most `max_norm`.

    Returns the norm before. Nothing is read, so the step stays one program.
    """
    is_generator = isinstance(parameters, types.GeneratorType)
    params = _as_list(parameters)
    if is_generator and not params:
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.",
            stacklevel=2,
        )
    grads = [p.grad for p in params if p.grad is not None]
    alike = _are_alike(grads)
    total = _total_norm(grads, norm_type, error_if_nonfinite, alike)
    _scale(grads, max_norm, total, alike)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """Old name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limits each element of the gradients to `[-clip_value, clip_value]`, in place."""
    clip_value = float(clip_value)
    with no_grad():
        for param in _as_list(parameters):
            if param.grad is not None:
                param.grad.clamp_(min=-clip_value, max=clip_value)
