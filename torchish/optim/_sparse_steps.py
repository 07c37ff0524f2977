"""Steps of ordinary optimizers for parameters whose gradients are sparse."""

from __future__ import annotations

from typing import Any

from .._basics.errors import not_supported


def take(optimizer: Any, group: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Move the parameters with sparse gradients; gives them, their gradients put aside.

    Raises: RuntimeError for optimizers that need dense ones.
    """
    moved = []
    for param in group["params"]:
        grad = param.grad
        if grad is not None and grad.is_sparse:
            name = type(optimizer).__name__
            rule = {"SGD": _sgd, "Adagrad": _adagrad}.get(name)
            if rule is None:
                raise RuntimeError(
                    f"{name} does not support sparse gradients, please consider SparseAdam instead"
                )
            rule(optimizer, group, param, grad.coalesce())
            param.grad = None
            moved.append((param, grad))
    return moved


def give_back(moved: list[tuple[Any, Any]]) -> None:
    """Put the gradients back."""
    for param, grad in moved:
        param.grad = grad


def _signed(group: dict[str, Any], grad: Any) -> Any:
    return -grad.values() if group["maximize"] else grad.values()


def _sgd(optimizer: Any, group: dict[str, Any], param: Any, grad: Any) -> None:
    if group["momentum"] != 0 or group["weight_decay"] != 0:
        raise not_supported("SGD with momentum or weight decay for sparse gradients", "SparseAdam")
    values = _signed(group, grad)
    param.index_put_(tuple(grad.indices()), values * -group["lr"], accumulate=True)


def _adagrad(optimizer: Any, group: dict[str, Any], param: Any, grad: Any) -> None:
    if group["weight_decay"] != 0:
        raise RuntimeError("weight_decay option is not compatible with sparse gradients")
    state = optimizer.state[param]
    if not state:
        state.update(optimizer._init_state(param, group))
    rate = group["lr"] / (1 + float(state["step"]) * group["lr_decay"])
    state["step"] += 1
    places, values = tuple(grad.indices()), _signed(group, grad)
    state["sum"].index_put_(places, values.pow(2), accumulate=True)
    root = state["sum"][places].sqrt() + group["eps"]
    param.index_put_(places, values / root * -rate, accumulate=True)
