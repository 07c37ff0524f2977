"""Optimizers whose step is one operator over all parameters of a group."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .._autograd.grad_mode import enable_grad, no_grad
from .._autograd.gradients import with_gradients
from .._autograd.interop import number_value, wrap_host
from .._autograd.tensor_base import from_value
from .._basics.dtypes import float32, float64
from .._basics.errors import NotSupportedError
from .._basics.state import process
from .._core.values import Value
from .._ops.protocol import overriding
from .._ops.registry import ops
from .._tensor.bare import assign, run
from .._tensor.tensor import Tensor
from .optimizer import Optimizer

Member = tuple[Tensor, Tensor, dict[str, Any]]  # a parameter, its gradient, its state


def check_lr(lr: Any, name: str = "Invalid learning rate") -> None:
    """torch's checks of `lr`, a number or a one-element tensor."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:
        raise ValueError(f"{name}: {lr}")


def check_not_negative(**values: Any) -> None:
    """Raises torch's error for the first negative number."""
    labels = {"eps": "epsilon"}
    for name, value in values.items():
        if not 0.0 <= value:
            raise ValueError(f"Invalid {labels.get(name, name)} value: {value}")


def check_betas(betas: Sequence[Any]) -> None:
    """Raises torch's error for a beta outside `[0, 1)`."""
    for i in range(2):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_flags(fused: Any, foreach: Any, differentiable: bool) -> None:
    """The flags that say how torch runs a step: accepted, as long as they do not contradict."""
    if fused:
        if differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def counter(value: float) -> Tensor:
    """A number of the state (`step`): a 0-d tensor that stays on the host."""
    return from_value(_count(value))


def _count(value: float) -> Value:
    return number_value(value, float64 if process.default_dtype is float64 else float32)


def zeros_like(param: Tensor, fill: float = 0.0) -> Tensor:
    """A state array. It starts on the host, so the first step runs the program of all steps."""
    if overriding.implementation(param) is not None:  # a subclass makes its own
        return ops.full_like(param, fill) if fill else ops.zeros_like(param)
    array = np.zeros(tuple(param.shape), param.dtype.np)
    if fill:
        array[...] = complex(fill, fill) if param.dtype.is_complex else fill
    made = wrap_host(array, param.device)
    placement = param._storage.placement
    if placement is not None:  # of a sharded module: the state lies as the parameter does
        made._storage._value = placement.place(made._storage._value)
        made._storage.placement = placement
    return made


class RuleOptimizer(Optimizer):
    """`step`, given the rule: which state there is, and the operator that updates it.

    Numbers of the state (`step` and the like) live on the host: they are read without running
    anything, and parameters whose numbers agree are updated together.
    """

    _name = ""
    _counters: dict[str, float] = {"step": 0.0}  # noqa: RUF012 - never changed

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if defaults.get("differentiable"):
            raise NotSupportedError(
                f"{type(self).__name__}(differentiable=True): write the update with tensor "
                "operators, or use torch.func.grad over it"
            )
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            for param in group["params"]:
                self._upgrade(self.state.get(param) or {})

    def _upgrade(self, state: dict[str, Any]) -> None:
        """Old versions saved the counters as Python numbers."""
        for name in self._counters:
            if name in state and not isinstance(state[name], Tensor):
                state[name] = counter(float(state[name]))

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the state arrays of each parameter, in the operator's order."""
        raise NotImplementedError

    def _order(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of all state in the order in which torch saves it."""
        return (*self._counters, *self._slots(group))

    def _fill(self, name: str, group: dict[str, Any]) -> float:
        """What a state array starts with."""
        return 0.0

    def _first_counter(self, name: str, group: dict[str, Any]) -> float:
        return self._counters[name]

    def _init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            name: counter(self._first_counter(name, group))
            if name in self._counters
            else zeros_like(param, self._fill(name, group))
            for name in self._order(group)
        }

    def _update(
        self, group: dict[str, Any], numbers: dict[str, float], lists: list[list[Tensor]]
    ) -> tuple[list[Value], dict[str, float]]:
        """Calls the operator on `[params, grads, *state arrays]`; also gives the new counters."""
        raise NotImplementedError

    def _moments(
        self, rule: Any, group: dict[str, Any], numbers: dict[str, float], *lists: Any, **more: Any
    ) -> tuple[list[Value], dict[str, float]]:
        """`_update` by a rule of Adam's family: two betas, eps, and what most rules take."""
        beta1, beta2 = group["betas"]
        made = run(
            rule, count_of(numbers), *lists, beta1=beta1, beta2=beta2, eps=group["eps"],
            **more, **options_of(group),
        )  # fmt: skip
        return made, {"step": numbers["step"] + 1}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters once.

        Args:
            closure: evaluates the loss again and returns it; called first.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                if "torchish.sparse.tensors" in sys.modules:
                    from . import _sparse_steps

                    moved = _sparse_steps.take(self, group)
                    self._step_group(group)
                    _sparse_steps.give_back(moved)
                else:
                    self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        batches: dict[tuple[Any, ...], list[Member]] = {}
        # Most parameters share the values of their counters.
        known: dict[int, tuple[Value, float]] = {}
        counters, states = self._counters, self.state
        for param, grad in with_gradients(group["params"]):
            state = states[param]
            if not state:
                state.update(self._init_state(param, group))
            numbers = tuple([_number(state[name], known) for name in counters])
            kind = (*kind_of(param), numbers)
            batches.setdefault(kind, []).append((param, grad, state))
        for (_, _, numbers), members in batches.items():
            self._step_batch(group, dict(zip(counters, numbers, strict=True)), members)

    def _step_batch(
        self, group: dict[str, Any], numbers: dict[str, float], members: list[Member]
    ) -> None:
        params = [param for param, _, _ in members]
        grads = [grad for _, grad, _ in members]
        states = [state for _, _, state in members]
        arrays = [[state[name] for state in states] for name in self._slots(group)]
        made, changed = self._update(group, numbers, [params, grads, *arrays])
        assign([*params, *chain.from_iterable(arrays)], made)
        for name, number in changed.items():
            assign([state[name] for state in states], [_count(number)] * len(states))


def kind_of(param: Tensor) -> tuple[Any, Any]:
    """Device and dtype: parameters that agree are updated together."""
    return param._storage._value.device, param._aval.dtype


def _number(tensor: Tensor, known: dict[int, tuple[Value, float]]) -> float:
    """The number in a counter; equal values are looked at once (and kept, so that ids stay)."""
    value = tensor._value()
    found = known.get(id(value))
    if found is None:
        found = known[id(value)] = (value, value.host().item())
    return found[1]


def count_of(numbers: dict[str, float]) -> Tensor:
    """The number of the step that is being made, as the operators' first operand."""
    return from_value(number_value(numbers["step"] + 1, float64))


def options_of(group: dict[str, Any]) -> dict[str, Any]:
    """The operator arguments that most rules share."""
    weight_decay = group["weight_decay"]
    return {
        "lr": group["lr"],
        "weight_decay": weight_decay,
        "decays": weight_decay != 0,
        "maximize": group["maximize"],
    }
