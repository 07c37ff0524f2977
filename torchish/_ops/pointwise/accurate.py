"""tanh, erf and log1p in float32, as near to the exact value on the CPU as PyTorch's.

XLA's CPU forms are off by one to two units in the last place. Each function here is a JAX primitive
whose lowering on the CPU is a formula of about the same cost; other platforms and dtypes have
XLA's own, the interpreter numpy's. Polynomials were fitted to minimise the largest relative error
(weighted least squares, reweighted), which is below a tenth of a unit for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching

from ..._interpret.table import RULES, rule
from ..shared.primitives import define

# (tanh(x) / x - 1) / x^2 in powers of x^2, |x| < 0.625.
_TANH = (-0.33333284, 0.13331491, -0.053743493, 0.020650573, -0.0057170284)
# erf(x) / x - 1 in powers of x^2, |x| < 1; (log(erfc(x)) + x) / x in powers of x, 1 <= x < 4.
_ERF = (
    0.12837917, -0.37612626, 0.112836, -0.026854444, 0.0051895357, -0.00080208416, 7.88912e-05,
)  # fmt: skip
_LOG_ERFC = (
    -0.12866904, -0.6350683, -0.10637359, 0.023879329, -0.0036976892, 0.00033633874,
    -1.2579071e-05,
)  # fmt: skip


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    total: Any = jnp.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + jnp.asarray(c, x.dtype)
    return total


def _tanh(x: Any) -> Any:
    """Near 0 x and a small correction; elsewhere 1 less a small quotient."""
    size, square = jnp.abs(x), x * x
    near = x + x * (square * _polynomial(square, _TANH))
    # Beyond 10 the result is 1 (and exp would overflow).
    rest = 2 / (jnp.exp(2 * jnp.minimum(size, jnp.asarray(10, x.dtype))) + 1)
    far = jnp.where(x != x, x, jnp.copysign(1 - rest, x))
    made = jnp.where(size < jnp.asarray(0.625, x.dtype), near, far)
    return jnp.where(x == 0, x, made)  # the sign of zero


def _erf(x: Any) -> Any:
    """Near 0 x and a small correction; elsewhere 1 less exp of a polynomial."""
    size, square = jnp.abs(x), x * x
    near = x + x * _polynomial(square, _ERF)
    held = jnp.minimum(size, jnp.asarray(4, x.dtype))
    rest = jnp.exp(held * _polynomial(held, _LOG_ERFC) - held)
    far = jnp.where(x != x, x, jnp.copysign(1 - rest, x))
    return jnp.where(size < 1, near, far)


def _log1p(x: Any) -> Any:
    """log(1 + x), with what rounding 1 + x lost put back."""
    whole = 1 + x
    one = jnp.ones_like(x)
    swap = jnp.abs(x) > 1  # against a constant XLA would simplify the difference away
    lost = (jnp.where(swap, one, x) - (whole - jnp.where(swap, x, one))) / whole
    plain = (x != x) | jnp.isinf(whole) | (whole == 0)
    made = jnp.log(whole) + jnp.where(plain, jnp.zeros_like(x), lost)
    return jnp.where(x == 0, x, made)  # the sign of zero


def _define(name: str, generic: Any, cpu: Any, tangent: Any) -> Callable[[Any], Any]:
    """The function `generic` with the formula `cpu` for float32 on the CPU."""
    primitive = define(f"accurate_{name}", lambda x: x.update(weak_type=False), generic, cpu)
    ad.defjvp2(primitive, tangent)
    batching.defvectorized(primitive)
    rule(primitive.name)(lambda *described: RULES[name](*described))

    def function(x: Any) -> Any:
        return primitive.bind(x) if x.dtype == jnp.float32 else generic(x)

    return function


tanh = _define("tanh", lax.tanh, _tanh, lambda g, out, x: (g + g * out) * (1 - out))
erf = _define(
    "erf", lax.erf, _erf, lambda g, out, x: g * (2 / math.sqrt(math.pi)) * jnp.exp(-jnp.square(x))
)
log1p = _define("log1p", lax.log1p, _log1p, lambda g, out, x: g / (1 + x))
