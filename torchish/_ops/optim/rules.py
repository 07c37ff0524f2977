"""Update rules of the optimizers: each is one operator over all parameters of a group.

A rule is a pure function: `count` (the number of this step), parameters, gradients and state lists
in; new parameters, then new state lists, out, as one flat tuple. `count` is float64 and comes
first, so every number (learning rate, betas ...) is a float64 operand too: a schedule never
recompiles, and `1 - beta` or `beta ** count` keep torch's precision, which computes them in Python.
Where optax's rule equals torch's it is used; float16 and bfloat16 are computed in float32, complex
numbers as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..registry import Scalar, Tensor, Tensors, op

Arrays = list[Any]


@jax.tree_util.register_pytree_node_class
class Coefficient:
    """A dynamic number that optax may treat as a Python float.

    Among numbers it keeps float64; with an array it takes the array's dtype.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def tree_flatten(self) -> tuple[tuple[Any], None]:
        """For `jax.jit` inside optax."""
        return (self.value,), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple[Any]) -> Coefficient:
        """For `jax.jit` inside optax."""
        return cls(*children)

    def astype(self, dtype: Any) -> Coefficient:
        """The same number: an array that meets it says the dtype."""
        return self

    def in_dtype_of(self, array: Any) -> Any:
        """The number as a 0-d array."""
        return self.value.astype(array.dtype)

    def _with(self, other: Any, combine: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Coefficient):
            return Coefficient(combine(self.value, other.value))
        if isinstance(other, (int, float)):
            return Coefficient(combine(self.value, other))
        return combine(self.in_dtype_of(other), other)

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        # one division in float64 instead of one for each element
        return Coefficient(1 / self.value) * other

    def __pow__(self, count: Any) -> Coefficient:
        if not isinstance(count, (int, float)):
            count = count.value if isinstance(count, Coefficient) else count.astype(np.float64)
        return Coefficient(self.value**count)

    __radd__, __rmul__ = __add__, __mul__


def _widen(x: Any) -> Any:
    if jnp.iscomplexobj(x):
        return jnp.stack([x.real, x.imag], -1)
    return x.astype(np.float32) if x.dtype.itemsize < 4 else x


def _narrow(x: Any, like: Any) -> Any:
    if jnp.iscomplexobj(like):
        return jax.lax.complex(x[..., 0], x[..., 1])
    return x.astype(like.dtype)


def _widened(*lists: Sequence[Any]) -> list[Arrays]:
    return [[_widen(x) for x in arrays] for arrays in lists]


def _packed(new: Sequence[Sequence[Any]], old: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """New lists as one tuple, each array in the dtype of the one it replaces."""
    return tuple(
        _narrow(x, like)
        for arrays, likes in zip(new, old, strict=True)
        for x, like in zip(arrays, likes, strict=True)
    )


def _oriented(
    grads: Arrays, params: Arrays, weight_decay: Any, *, decays: bool, maximize: bool
) -> Arrays:
    """The gradients of what is minimised: sign turned to maximise, L2 term added."""
    if maximize:
        grads = [-g for g in grads]
    if decays:
        decay = Coefficient(weight_decay)
        grads = [g + decay * p for g, p in zip(grads, params, strict=True)]
    return grads


def _moved(params: Arrays, updates: Arrays, lr: Any) -> Arrays:
    """``params - lr * updates``."""
    rate = Coefficient(lr)
    return [p - rate * u for p, u in zip(params, updates, strict=True)]


def _mixed(old: Arrays, new: Arrays, decay: Coefficient) -> Arrays:
    """``decay * old + (1 - decay) * new``."""
    return [decay * a + (1 - decay) * b for a, b in zip(old, new, strict=True)]


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def sgd_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    momentum_buffer: Tensors,
    lr: Scalar,
    momentum: Scalar,
    dampening: Scalar,
    weight_decay: Scalar,
    decays: bool,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> Any:
    """``b = momentum b + (1 - dampening) g``, ``p -= lr b``; the first ``b`` is ``g``."""
    import optax

    old = (params, momentum_buffer)
    params, grads, buffers = _widened(params, grads, momentum_buffer)
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    if not buffers:
        return _packed([_moved(params, grads, lr)], old[:1])
    factor = Coefficient(momentum)
    if first:
        buffers = grads
    else:
        share = 1 - Coefficient(dampening)
        state = optax.TraceState(trace=buffers)
        buffers, _ = optax.trace(decay=factor).update([share * g for g in grads], state)
    updates = buffers
    if nesterov:
        updates = [g + factor * b for g, b in zip(grads, buffers, strict=True)]
    return _packed([_moved(params, updates, lr), buffers], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adam_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    max_exp_avg_sq: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``,
    ``p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)``; amsgrad takes the largest ``v``."""
    import optax

    old = (params, exp_avg, exp_avg_sq, max_exp_avg_sq)
    params, grads, mean, square, largest = _widened(params, grads, *old[1:])
    if decays and decoupled:
        shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
        params = [shrink * p for p in params]
    grads = _oriented(
        grads, params, weight_decay, decays=decays and not decoupled, maximize=maximize
    )
    b1, b2, epsilon = Coefficient(beta1), Coefficient(beta2), Coefficient(eps)
    if not largest:
        rule = optax.scale_by_adam(b1=b1, b2=b2, eps=epsilon)
        state = optax.ScaleByAdamState(count=count - 1, mu=mean, nu=square)
        updates, state = rule.update(grads, state)
        return _packed([_moved(params, updates, lr), state.mu, state.nu, []], old)
    mean = _mixed(mean, grads, b1)
    square = _mixed(square, [g * g for g in grads], b2)
    largest = [jnp.maximum(a, b) for a, b in zip(largest, square, strict=True)]
    first, second = 1 - b1**count, 1 - b2**count
    updates = [
        m / first / (jnp.sqrt(v / second) + epsilon) for m, v in zip(mean, largest, strict=True)
    ]
    return _packed([_moved(params, updates, lr), mean, square, largest], old)


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
    """``v = a v + (1 - a) g^2``, ``p -= lr g / (sqrt(v) + eps)``; centered: ``v - mean(g)^2``."""
    import optax

    old = (params, square_avg, momentum_buffer, grad_avg)
    params, grads, square, buffers, mean = _widened(params, grads, *old[1:])
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
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
    return _packed([_moved(params, updates, lr), state.nu, buffers, mean], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adadelta_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    square_avg: Tensors,
    acc_delta: Tensors,
    lr: Scalar,
    rho: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """``u = sqrt(d + eps) / sqrt(v + eps) g``, running means ``v`` of ``g^2``, ``d`` of ``u^2``."""
    import optax

    old = (params, square_avg, acc_delta)
    params, grads, square, delta = _widened(params, grads, *old[1:])
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    rule = optax.scale_by_adadelta(rho=Coefficient(rho), eps=Coefficient(eps))
    updates, state = rule.update(grads, optax.ScaleByAdaDeltaState(e_g=square, e_x=delta))
    return _packed([_moved(params, updates, lr), state.e_g, state.e_x], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adamax_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_inf: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """``m = b1 m + (1 - b1) g``, ``u = max(b2 u, |g| + eps)``, ``p -= lr m / (1 - b1^t) / u``."""
    old = (params, exp_avg, exp_inf)
    params, grads, mean, top = _widened(params, grads, *old[1:])
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    b1, b2, epsilon = Coefficient(beta1), Coefficient(beta2), Coefficient(eps)
    mean = _mixed(mean, grads, b1)
    top = [jnp.maximum(b2 * u, jnp.abs(g) + epsilon) for u, g in zip(top, grads, strict=True)]
    updates = [m / (1 - b1**count) / u for m, u in zip(mean, top, strict=True)]
    return _packed([_moved(params, updates, lr), mean, top], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def adagrad_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    sum: Tensors,
    lr: Scalar,
    lr_decay: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """``s += g^2``, ``p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)``."""
    old = (params, sum)
    params, grads, total = _widened(params, grads, sum)
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    epsilon = Coefficient(eps)
    total = [s + g * g for s, g in zip(total, grads, strict=True)]
    updates = [g / (jnp.sqrt(s) + epsilon) for g, s in zip(grads, total, strict=True)]
    return _packed([_moved(params, updates, lr / (1 + (count - 1) * lr_decay)), total], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def nadam_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    grad_share: Scalar,
    mean_share: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """Adam whose step mixes ``grad_share g + mean_share m`` over the root of the mean square."""
    old = (params, exp_avg, exp_avg_sq)
    params, grads, mean, square = _widened(params, grads, *old[1:])
    if decays and decoupled:
        shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
        params = [shrink * p for p in params]
    grads = _oriented(
        grads, params, weight_decay, decays=decays and not decoupled, maximize=maximize
    )
    b2, epsilon = Coefficient(beta2), Coefficient(eps)
    mean = _mixed(mean, grads, Coefficient(beta1))
    square = _mixed(square, [g * g for g in grads], b2)
    of_grad, of_mean = Coefficient(grad_share), Coefficient(mean_share)
    updates = [
        (of_grad * g + of_mean * m) / (jnp.sqrt(v / (1 - b2**count)) + epsilon)
        for g, m, v in zip(grads, mean, square, strict=True)
    ]
    return _packed([_moved(params, updates, lr), mean, square], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def radam_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    exp_avg: Tensors,
    exp_avg_sq: Tensors,
    lr: Scalar,
    beta1: Scalar,
    beta2: Scalar,
    eps: Scalar,
    weight_decay: Scalar,
    decays: bool,
    decoupled: bool,
    maximize: bool,
) -> Any:
    """Adam with a rectified adaptive rate, plain momentum while that is undefined."""
    old = (params, exp_avg, exp_avg_sq)
    params, grads, mean, square = _widened(params, grads, *old[1:])
    if decays and decoupled:
        shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
        params = [shrink * p for p in params]
    grads = _oriented(
        grads, params, weight_decay, decays=decays and not decoupled, maximize=maximize
    )
    mean = _mixed(mean, grads, Coefficient(beta1))
    square = _mixed(square, [g * g for g in grads], Coefficient(beta2))
    first, second = 1 - beta1**count, 1 - beta2**count
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * count * beta2**count / second
    tractable = rho > 5.0
    # the unused branch must stay finite
    safe = jnp.where(tractable, rho, 6.0)
    ratio = (safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe)
    factor, epsilon = Coefficient(jnp.sqrt(ratio * second)), Coefficient(eps)
    updates = [
        m / Coefficient(first) * jnp.where(tractable, factor / (jnp.sqrt(v) + epsilon), 1)
        for m, v in zip(mean, square, strict=True)
    ]
    return _packed([_moved(params, updates, lr), mean, square], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def asgd_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    ax: Tensors,
    eta: Scalar,
    mu: Scalar,
    lambd: Scalar,
    weight_decay: Scalar,
    decays: bool,
    maximize: bool,
) -> Any:
    """``p = (1 - lambd eta) p - eta g``, ``ax += mu (p - ax)``."""
    old = (params, ax)
    params, grads, average = _widened(params, grads, ax)
    grads = _oriented(grads, params, weight_decay, decays=decays, maximize=maximize)
    rate, weight = Coefficient(eta), Coefficient(mu)
    shrink = 1 - Coefficient(lambd) * rate
    params = [shrink * p - rate * g for p, g in zip(params, grads, strict=True)]
    average = [
        jnp.where(mu == 1, p, a + weight * (p - a)) for a, p in zip(average, params, strict=True)
    ]
    return _packed([params, average], old)


@op("none", into=("internal",), out=False, differentiable=False, mapped=True)
def rprop_step(
    count: Tensor,
    params: Tensors,
    grads: Tensors,
    prev: Tensors,
    step_size: Tensors,
    eta_minus: Scalar,
    eta_plus: Scalar,
    smallest: Scalar,
    largest: Scalar,
    maximize: bool,
) -> Any:
    """Each step grows while its gradient keeps its sign, shrinks (and pauses) when it turns."""
    old = (params, prev, step_size)
    params, grads, before, sizes = _widened(params, grads, prev, step_size)
    grads = _oriented(grads, params, 0.0, decays=False, maximize=maximize)
    kept, moved, resized = [], [], []
    for p, g, b, s in zip(params, grads, before, sizes, strict=True):
        sign = jnp.sign(g * b)
        numbers = (eta_plus, eta_minus, smallest, largest)
        up, down, low, high = [x.astype(p.dtype) for x in numbers]
        factor = jnp.where(sign > 0, up, jnp.where(sign < 0, down, jnp.ones_like(up)))
        s = jnp.clip(s * factor, low, high)
        g = jnp.where(sign < 0, jnp.zeros_like(g), g)
        moved.append(p - jnp.sign(g) * s)
        kept.append(g)
        resized.append(s)
    return _packed([moved, kept, resized], old)
