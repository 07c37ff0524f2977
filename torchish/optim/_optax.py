"""`torchish.optim.Optax`: a gradient transformation of optax as an optimizer of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from .._autograd.grad_mode import enable_grad, no_grad
from .._autograd.interop import from_jax as tensor_of, to_jax as array_of, wrap_host
from .._tensor.tensor import Tensor
from ..func import from_jax
from ._rule import assign, zeros_like
from .optimizer import Optimizer

__all__ = ["Optax"]


class Optax(Optimizer):
    """`updates, state = transformation.update(grads, state, params)`; `p += updates`.

    Every step is one operator of the recorded program. A group may have a transformation of its
    own. Numbers that `optax.inject_hyperparams` made part of the state are options of the group
    (`learning_rate` as `lr`): set them, or let a schedule of `torch.optim` do it.

    Args:
        params: parameters, named parameters or groups. optax sees a list, or a dict by name.
        transformation: of optax, or one that follows its protocol.

    Raises: TypeError for anything that has no `init` and `update`.

    Example:
        >>> optimizer = torchish.optim.Optax(net.parameters(), optax.adamw(1e-3))
        >>> loss.backward(); optimizer.step(); optimizer.zero_grad()

    A parameter without a gradient counts as one with a gradient of zero, and is not changed.
    """

    def __init__(self, params: Any, transformation: Any = None) -> None:
        # Of each group: its step as an operator, and the names of the numbers it may set.
        self._operators: list[tuple[Any, tuple[str, ...]]] = []
        super().__init__(params, {"transformation": transformation})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its state is made at once, from the values of its parameters."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        transformation = group["transformation"]
        if not (hasattr(transformation, "init") and hasattr(transformation, "update")):
            self.param_groups.pop()
            raise TypeError(
                "Optax needs a gradient transformation (optax.adam(1e-3) is one), not "
                f"{type(transformation).__name__}"
            )
        state = transformation.init(_tree(group, [array_of(p.detach()) for p in group["params"]]))
        leaves, shape = jax.tree_util.tree_flatten(state)
        held = [tensor_of(jax.numpy.asarray(x)) for x in leaves]
        self.state[f"group{len(self._operators)}"] = {"leaves": held}
        injected = _injected(state)
        group.update({k: v for k, v in injected.items() if k not in group})
        step = _operator(optax.with_extra_args_support(transformation), shape)
        self._operators.append((step, tuple(injected)))

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_operators": self._operators}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once.

        Args:
            closure: evaluates the loss again and returns it; transformations that take `value`
                are given it.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for number, group in enumerate(self.param_groups):
                self._step_group(number, group, loss)
        return loss

    def _step_group(self, number: int, group: dict[str, Any], loss: Any) -> None:
        params = group["params"]
        moving = [p.grad is not None for p in params]
        if not any(moving):
            return
        grads = [zeros_like(p) if p.grad is None else p.grad for p in params]
        leaves = self.state[f"group{number}"]["leaves"]
        step, names = self._operators[number]
        options = {k: _number(group[k]) for k in names}
        new, state = step(_tree(group, grads), list(leaves), _tree(group, params), options, loss)
        changed = _list(group, new)
        pairs = [(p, x) for p, x, moves in zip(params, changed, moving, strict=True) if moves]
        assign([p for p, _ in pairs], [x._value() for _, x in pairs])
        assign(leaves, [x._value() for x in state])

    def state_dict(self) -> dict[str, Any]:
        """As every optimizer's; transformations are functions and are not saved."""
        saved = super().state_dict()
        for group in saved["param_groups"]:
            group.pop("transformation", None)
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict` gave, for the same transformations.

        Raises: ValueError for a state of another structure.
        """
        own = [g["transformation"] for g in self.param_groups]
        for k in range(len(own)):
            have = self.state[f"group{k}"]["leaves"]
            given = state_dict["state"].get(f"group{k}", {}).get("leaves", [])
            if [tuple(x.shape) for x in have] != [tuple(x.shape) for x in given]:
                raise ValueError(
                    "loaded state dict is of another transformation: the arrays of its state do "
                    f"not fit those of parameter group {k}"
                )
        super().load_state_dict(state_dict)
        for k, (group, transformation) in enumerate(zip(self.param_groups, own, strict=True)):
            group["transformation"] = transformation
            held = self.state[f"group{k}"]
            self.state[f"group{k}"] = {"leaves": [x.detach().clone() for x in held["leaves"]]}


def _tree(group: dict[str, Any], values: list[Any]) -> Any:
    names = group.get("param_names")
    return list(values) if names is None else dict(zip(names, values, strict=True))


def _list(group: dict[str, Any], tree: Any) -> list[Any]:
    names = group.get("param_names")
    return list(tree) if names is None else [tree[name] for name in names]


def _hyperparams(state: Any) -> Any:
    found = getattr(state, "hyperparams", None)
    return found if isinstance(found, dict) else None


def _injected(state: Any) -> dict[str, float]:
    """The numbers of the state that the user may set, by the names that groups have for them."""
    return {_option(k): float(v) for k, v in (_hyperparams(state) or {}).items() if _is_number(v)}


def _option(name: str) -> str:
    return "lr" if name == "learning_rate" else name


def _is_number(x: Any) -> bool:
    return getattr(x, "ndim", 0) == 0


def _number(value: Any) -> Any:
    """A number as a 0-d tensor: an operand of the program, so that it may change."""
    return value if isinstance(value, Tensor) else wrap_host(np.array(value, np.float32))


def _operator(transformation: Any, shape: Any) -> Callable[..., Any]:
    """The step of a transformation as an operator: new parameters and the leaves of the state."""

    def update(grads: Any, leaves: Any, params: Any, options: Any, value: Any) -> Any:
        state = jax.tree_util.tree_unflatten(shape, leaves)
        hyperparams = _hyperparams(state)
        if hyperparams is not None:
            new = {
                k: options[_option(k)].astype(v.dtype) if _option(k) in options else v
                for k, v in hyperparams.items()
            }
            state = state._replace(hyperparams=new)
        extra = {} if value is None else {"value": value, "grad": grads}
        updates, state = transformation.update(grads, state, params, **extra)
        kinds = [x.dtype for x in leaves]
        made = jax.tree_util.tree_leaves(state)
        return optax.apply_updates(params, updates), [
            jax.numpy.asarray(x, dt) for x, dt in zip(made, kinds, strict=True)
        ]

    update.__name__ = "OptaxStep"
    return from_jax(update)
