"""Autograd functions that modules need."""

from __future__ import annotations

from typing import Any

from ...autograd import Function


class BackwardHookFunction(Function):
    """The identity, as one node over several tensors: a place for module backward hooks."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.mark_non_differentiable(*[arg for arg in args if not arg.requires_grad])
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> Any:
        return args
