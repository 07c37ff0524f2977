"""What the update rules of the optimizers share.

A rule is an operator over lists of arrays: `count` (the number of this step), parameters, gradients
and state lists in; new parameters, then new state lists, out, as one flat tuple. `count` is float64
and comes first, so every number (learning rate, betas ...) is a float64 operand too: a schedule
never recompiles, and `1 - beta` or `beta ** count` keep torch's precision, which computes them in
Python. Where optax's rule equals torch's it is used; float16 and bfloat16 are computed in float32,
complex numbers as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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


def widen(x: Any) -> Any:
    if jnp.iscomplexobj(x):
        return jnp.stack([x.real, x.imag], -1)
    return x.astype(np.float32) if x.dtype.itemsize < 4 else x


def narrow(x: Any, like: Any) -> Any:
    if jnp.iscomplexobj(like):
        return jax.lax.complex(x[..., 0], x[..., 1])
    return x.astype(like.dtype)


def widened(*lists: Sequence[Any]) -> list[Arrays]:
    return [[widen(x) for x in arrays] for arrays in lists]


def packed(new: Sequence[Sequence[Any]], old: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """New lists as one tuple, each array in the dtype of the one it replaces."""
    return tuple(
        narrow(x, like)
        for arrays, likes in zip(new, old, strict=True)
        for x, like in zip(arrays, likes, strict=True)
    )


def oriented(
    grads: Arrays, params: Arrays, weight_decay: Any, *, decays: bool, maximize: bool
) -> Arrays:
    """The gradients of what is minimised: sign turned to maximise, L2 term added."""
    if maximize:
        grads = [-g for g in grads]
    if decays:
        decay = Coefficient(weight_decay)
        grads = [g + decay * p for g, p in zip(grads, params, strict=True)]
    return grads


def moved(params: Arrays, updates: Arrays, lr: Any) -> Arrays:
    """`params - lr * updates`."""
    rate = Coefficient(lr)
    return [p - rate * u for p, u in zip(params, updates, strict=True)]


def mixed(old: Arrays, new: Arrays, decay: Coefficient) -> Arrays:
    """`decay * old + (1 - decay) * new`, rounded as torch's `old.lerp_(new, 1 - decay)`."""
    return [a + (1 - decay) * (b - a) for a, b in zip(old, new, strict=True)]


def mixed_squares(old: Arrays, new: Arrays, decay: Coefficient) -> Arrays:
    """`decay * old + (1 - decay) * new^2`, rounded as torch's `mul_` and `addcmul_`."""
    return [decay * a + (1 - decay) * b * b for a, b in zip(old, new, strict=True)]


def decayed(
    params: Arrays, grads: Arrays, lr: Any, weight_decay: Any, *, decays: bool, decoupled: bool,
    maximize: bool,
) -> tuple[Arrays, Arrays]:  # fmt: skip
    """Parameters and gradients after weight decay: of the parameters themselves if decoupled."""
    if decays and decoupled:
        shrink = 1 - Coefficient(lr) * Coefficient(weight_decay)
        params = [shrink * p for p in params]
    coupled = decays and not decoupled
    return params, oriented(grads, params, weight_decay, decays=coupled, maximize=maximize)
