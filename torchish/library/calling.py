"""Calling a custom operator: its kernel, with the derivative that was registered for it."""

from __future__ import annotations

from typing import Any

from .._autograd.grad_mode import is_grad_enabled, no_grad
from .._tensor.tensor import Tensor
from ..autograd.function import Function
from ..utils._pytree import tree_any
from .packets import Defined


def _needs_grad(args: Any) -> bool:
    return tree_any(lambda t: isinstance(t, Tensor) and t.requires_grad, args)


def call(op: Defined, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `op`."""
    ordered, named = op.complete(args, kwargs)
    kernel = op.kernel((ordered, named))
    if not is_grad_enabled() or not _needs_grad((ordered, named)) or "Autograd" in op.kernels:
        return op.kernels.get("Autograd", kernel)(*ordered, **named)
    return _function(op, kernel, named).apply(*ordered)


def _function(op: Defined, kernel: Any, named: dict[str, Any]) -> type[Function]:
    class Registered(Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            with no_grad():
                out = kernel(*args, **named)
            if op.backward is not None and op.setup_context is not None:
                extra = {"keyword_only_inputs": named} if named else {}
                op.setup_context(ctx=ctx, inputs=args, output=out, **extra)
            return out

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if op.backward is None:
                name = op.name.replace("::", ".")
                raise RuntimeError(
                    f"Trying to backward through {name}.default but no autograd formula was "
                    "registered. Please use register_autograd to add one."
                )
            return op.backward(ctx, *grads)

    Registered.__name__ = f"GeneratedBackwardFor_{op.name.replace('::', '_')}_default"
    return Registered
