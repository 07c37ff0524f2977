"""Orthogonal polynomials of `torch.special`, by three-term recurrences; no gradients there.

Source: NIST Digital Library of Mathematical Functions, 18.9, the recurrences.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..registry import Operand, op

# (degree k, x, P_k, P_{k-1}) -> P_{k+1}
Step = Callable[[Array, Array, Array, Array], Array]


def _recur(x: Array, n: Array, first: Array, step: Step) -> Array:
    """P_n(x) elementwise, from P_0 = 1, P_1 = `first`; 0 for a negative degree."""
    x, n, first = jnp.broadcast_arrays(x, n, first)
    degree = jnp.trunc(n).astype(x.dtype)
    one = jnp.ones_like(x)

    def advance(carry: Any) -> Any:
        k, current, previous, value = carry
        following = step(k, x, current, previous)
        k = k + 1
        return k, following, current, jnp.where(degree == k, following, value)

    start = (jnp.ones((), x.dtype), first, one, jnp.where(degree == 0, one, first))
    highest = jnp.max(degree, initial=0)
    value = jax.lax.while_loop(lambda carry: carry[0] < highest, advance, start)[3]
    return jnp.where(degree < 0, jnp.zeros_like(x), value)


def _chebyshev(k: Array, x: Array, current: Array, previous: Array) -> Array:
    return 2 * x * current - previous


def _polynomial(name: str, first: Callable[[Array], Array], step: Step, doc: str) -> None:
    """Register one family: its polynomial of degree 1 and its recurrence."""

    def body(input: Operand, n: Operand) -> Array:
        return _recur(input, n, first(input), step)

    body.__doc__ = doc
    op("float", into=("special",), name=name, differentiable=False)(body)


def _shifted(first: Callable[[Array], Array]) -> tuple[Callable[[Array], Array], Step]:
    """A Chebyshev family on [0, 1]: the argument is 2x - 1."""

    def step(k: Array, x: Array, current: Array, previous: Array) -> Array:
        return _chebyshev(k, 2 * x - 1, current, previous)

    return lambda x: first(2 * x - 1), step


_KINDS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "t": (lambda x: x, "first"),
    "u": (lambda x: 2 * x, "second"),
    "v": (lambda x: 2 * x - 1, "third"),
    "w": (lambda x: 2 * x + 1, "fourth"),
}
for _kind, (_first, _ordinal) in _KINDS.items():
    _polynomial(
        f"chebyshev_polynomial_{_kind}", _first, _chebyshev,
        f"The Chebyshev polynomial of the {_ordinal} kind of degree n.",
    )  # fmt: skip
    _polynomial(
        f"shifted_chebyshev_polynomial_{_kind}", *_shifted(_first),
        f"The Chebyshev polynomial of the {_ordinal} kind of degree n, on [0, 1].",
    )  # fmt: skip

_polynomial(
    "hermite_polynomial_h",
    lambda x: 2 * x,
    lambda k, x, current, previous: 2 * (x * current - k * previous),
    "The physicist's Hermite polynomial of degree n.",
)
_polynomial(
    "hermite_polynomial_he",
    lambda x: x,
    lambda k, x, current, previous: x * current - k * previous,
    "The probabilist's Hermite polynomial of degree n.",
)
_polynomial(
    "laguerre_polynomial_l",
    lambda x: 1 - x,
    lambda k, x, current, previous: ((2 * k + 1 - x) * current - k * previous) / (k + 1),
    "The Laguerre polynomial of degree n.",
)
_polynomial(
    "legendre_polynomial_p",
    lambda x: x,
    lambda k, x, current, previous: ((2 * k + 1) * x * current - k * previous) / (k + 1),
    "The Legendre polynomial of degree n.",
)
