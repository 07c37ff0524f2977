"""Gradients of convolutions as functions: `torch.nn.grad`."""

from __future__ import annotations

from typing import Any

from .._autograd.grad_mode import enable_grad
from .._ops.registry import nnf, ops
from .._tensor.tensor import Tensor


def _conv_gradient(
    dims: int, input: Any, weight: Any, grad_output: Tensor, wanted: int, *options: Any
) -> Tensor:
    """The gradient with respect to input (0) or weight (1); a size stands for that one."""
    from ..autograd import grad

    like = {"dtype": grad_output.dtype, "device": grad_output.device}
    tensors = [
        operand.detach() if isinstance(operand, Tensor) else ops.zeros(tuple(operand), **like)
        for operand in (input, weight)
    ]
    with enable_grad():
        tensors[wanted].requires_grad_()
        out = getattr(nnf, f"conv{dims}d")(*tensors, None, *options)
    return grad(out, tensors[wanted], grad_output)[0]


def conv1d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv1d` with respect to its input."""
    return _conv_gradient(1, input_size, weight, grad_output, 0, stride, padding, dilation, groups)


def conv1d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv1d` with respect to its weight."""
    return _conv_gradient(1, input, weight_size, grad_output, 1, stride, padding, dilation, groups)


def conv2d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv2d` with respect to its input."""
    return _conv_gradient(2, input_size, weight, grad_output, 0, stride, padding, dilation, groups)


def conv2d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv2d` with respect to its weight."""
    return _conv_gradient(2, input, weight_size, grad_output, 1, stride, padding, dilation, groups)


def conv3d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv3d` with respect to its input."""
    return _conv_gradient(3, input_size, weight, grad_output, 0, stride, padding, dilation, groups)


def conv3d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv3d` with respect to its weight."""
    return _conv_gradient(3, input, weight_size, grad_output, 1, stride, padding, dilation, groups)
