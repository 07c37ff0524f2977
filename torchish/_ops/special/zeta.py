"""The Hurwitz zeta function for negative second arguments too, which JAX's own lacks."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..shared import numeric as num


def _value(s: Array, q: Array) -> Array:
    """sum over k >= 0 of (q + k)^-s; terms with q + k <= 0 are added one by one."""
    pole = (q <= 0) & (q == jnp.floor(q))
    undefined = (s < 1) | ((q <= 0) & (s != jnp.floor(s)))
    shifted = jnp.where(pole | undefined | ~jnp.isfinite(q), jnp.ones_like(q), q)

    def add_term(carry: Any) -> Any:
        total, place = carry
        negative = place <= 0
        term = jnp.where(negative, place, -jnp.ones_like(place)) ** -s
        return (
            total + jnp.where(negative, term, jnp.zeros_like(term)),
            jnp.where(negative, place + 1, place),
        )

    start = (jnp.zeros_like(q), shifted)
    head, place = jax.lax.while_loop(lambda carry: jnp.any(carry[1] <= 0), add_term, start)
    value = head + jax.scipy.special.zeta(s, place)
    value = jnp.where(undefined, jnp.full_like(q, jnp.nan), value)
    value = jnp.where(pole & ~(s < 1), jnp.full_like(q, jnp.inf), value)
    value = jnp.where(s == 1, jnp.full_like(q, jnp.inf), value)
    return jnp.where(jnp.isnan(q) | jnp.isnan(s), jnp.full_like(q, jnp.nan), value)


def _tangent(out: Array, primals: Any, tangents: Any) -> Array:
    # The derivative by s has no formula in torch either.
    (s, q), (_, dq) = primals, tangents
    return -s * hurwitz(s + 1, q) * dq


hurwitz = num.with_derivative(_value, _tangent)
