"""RMSprop."""

from __future__ import annotations

from typing import Any

from .._core.values import Value
from .._ops.registry import Scalar, Tensors, internal, op
from .._tensor.tensor import Tensor
from ._rule import RuleOptimizer, check_lr, check_not_negative, count_of, options_of, run
from ._rules import Coefficient, moved, oriented, packed, widened

__all__ = ["RMSprop"]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def rmsprop_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    square_avg: Tensors,
    momentum_buffer: Tensors,
    grad_avg: Tensors,
    lr: Scalar,
    alpha: Scalar,
    eps: Scalar,
    momentum: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """`v = a v + (1 - a) g^2`, `p -= lr g / (sqrt(v) + eps)`; centered: `v - mean(g)^2`."""
    import optax

    old = (params, square_avg, momentum_buffer, grad_avg)
    params, grads, square, buffers, mean = widened(params, grads, *old[1:])
    grads = oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    decay, epsilon = Coefficient(alpha), Coefficient(eps)
    if mean:
        rule = optax.scale_by_stddev(decay=decay, eps=epsilon, eps_in_sqrt=False)
        updates, state = rule.update(grads, optax.ScaleByRStdDevState(mu=mean, nu=square))
        mean = state.mu
    else:
        rule = optax.scale_by_rms(decay=decay, eps=epsilon, eps_in_sqrt=False)
        updates, state = rule.update(grads, optax.ScaleByRmsState(nu=square))
    if buffers:
        rule = optax.trace(decay=Coefficient(momentum))
        updates, _ = rule.update(updates, optax.TraceState(trace=buffers))
        buffers = updates
    return packed([moved(params, updates, lr), state.nu, buffers, mean], old)


class RMSprop(RuleOptimizer):
    """`v = alpha v + (1 - alpha) g^2`, `p -= lr g / (sqrt(v) + eps)`.

    Args:
        params: parameters or groups.
        lr: learning rate, a number or a one-element tensor.
        alpha: how slowly `v` changes.
        eps: added to the root.
        weight_decay: `g += weight_decay p`.
        momentum: how much of the last step is kept.
        centered: subtract the square of the mean gradient from `v`.
        maximize: go up instead of down.
        foreach, capturable: accepted; every step is one program.

    Source: Hinton, 2012; centered: Graves, 2013.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        centered = ("grad_avg",) if group["centered"] else ()
        return ("square_avg", *momentum, *centered)

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        named = dict(zip(self._slots(group), lists[2:], strict=True))
        made = run(
            internal.rmsprop_step,
            count_of(numbers),
            *lists[:2],
            named["square_avg"],
            named.get("momentum_buffer", []),
            named.get("grad_avg", []),
            alpha=group["alpha"],
            eps=group["eps"],
            momentum=group["momentum"],
            **options_of(group),
        )
        return made, {"step": numbers["step"] + 1}
