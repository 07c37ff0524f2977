"""Bessel and Airy functions, from integrals whose trapezoid sums converge geometrically.

Below a limit each function is a sum over fixed nodes (the nodes are constants of the program),
above it the leading terms of its asymptotic series. All is computed in float64.

Source: Trefethen & Weideman, SIAM Review 56 (2014), trapezoid sums.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.numpy import ndarray as Array

from ..registry import Tensor, op

_SWITCH = 25.0  # from here on the asymptotic series has 16 digits
_NODES = 128
_THETA = (np.arange(_NODES) + 0.5) * (2 * math.pi / _NODES)
_EULER = 0.5772156649015329
# Neumann's series of Y0 needs sum over k of (-1)^k cos(2 k theta) / k at each node.
_TERMS = np.arange(1, 41)
_NEUMANN = ((-1.0) ** _TERMS / _TERMS) @ np.cos(2 * np.outer(_TERMS, _THETA))


def _periodic(x: Array, weights: Any, odd: bool) -> Array:
    """The mean over theta of weights * cos(x sin theta), or of its derivative by x."""
    phase = x[..., None] * np.sin(_THETA)
    wave = -jnp.sin(phase) * np.sin(_THETA) if odd else jnp.cos(phase)
    return jnp.mean(wave * weights, axis=-1)


def _hankel(x: Array, order: int) -> tuple[Array, Array]:
    """The slowly varying factors P and Q of the asymptotic series."""
    mu, term = 4.0 * order * order, jnp.ones_like(x)
    sums = [jnp.zeros_like(x), jnp.zeros_like(x)]
    for k in range(24):
        sums[k % 2] = sums[k % 2] + (term if k % 4 < 2 else -term)
        term = term * (mu - (2 * k + 1) ** 2) / ((k + 1) * 8 * x)
    return sums[0], sums[1]


def _far(x: Array, order: int, second: bool) -> Array:
    """J or Y of order 0 or 1 for large x."""
    p, q = _hankel(x, order)
    angle = x - (2 * order + 1) * math.pi / 4
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    value = p * sine + q * cosine if second else p * cosine - q * sine
    return value * jnp.sqrt(2 / (math.pi * x))


def _joined(x: Array, near: Callable[[Array], Array], far: Callable[[Array], Array]) -> Array:
    """`near` below the switch, `far` above; each sees only arguments it can take."""
    small = x <= _SWITCH
    low = near(jnp.where(small, x, jnp.ones_like(x)))
    return jnp.where(small, low, far(jnp.where(small, jnp.full_like(x, _SWITCH), x)))


def _j(x: Array, order: int) -> Array:
    size = jnp.abs(x)
    sign = -1.0 if order else 1.0  # J1 = -J0'
    value = _joined(
        size, lambda s: sign * _periodic(s, 1.0, bool(order)), lambda s: _far(s, order, False)
    )
    value = jnp.where(jnp.isinf(size), jnp.zeros_like(x), value)
    return jnp.where(x < 0, -value, value) if order else value


def _y_near(x: Array, order: int) -> Array:
    """Y0 by Neumann's series, and Y1 = -Y0'."""
    log = jnp.log(x / 2) + _EULER
    if order == 0:
        return 2 / math.pi * (log * _j(x, 0) - 2 * _periodic(x, _NEUMANN, False))
    slope = _j(x, 0) / x - log * _j(x, 1) - 2 * _periodic(x, _NEUMANN, True)
    return -2 / math.pi * slope


def _y(x: Array, order: int) -> Array:
    positive = jnp.where(x > 0, x, jnp.ones_like(x))
    value = _joined(positive, lambda s: _y_near(s, order), lambda s: _far(s, order, True))
    value = jnp.where(jnp.isinf(positive), jnp.zeros_like(x), value)
    value = jnp.where(x == 0, jnp.full_like(x, -jnp.inf), value)
    return jnp.where((x < 0) | jnp.isnan(x), jnp.full_like(x, jnp.nan), value)


# exp(-x (cosh t - 1)) falls off double exponentially: 0.09 apart, the nodes leave no error.
_T = np.arange(0, 340) * 0.09
_HALF_FIRST = np.where(np.arange(340) == 0, 0.045, 0.09)


def _k_scaled(x: Array, order: float) -> Array:
    """exp(x) K_order(x) for x > 0."""

    def near(s: Array) -> Array:
        decay = jnp.exp(-s[..., None] * (np.cosh(_T) - 1))
        return jnp.sum(decay * (np.cosh(order * _T) * _HALF_FIRST), axis=-1)

    def far(s: Array) -> Array:
        total, term = jnp.zeros_like(s), jnp.ones_like(s)
        for k in range(20):
            total = total + term
            term = term * (4 * order * order - (2 * k + 1) ** 2) / ((k + 1) * 8 * s)
        return total * jnp.sqrt(math.pi / (2 * s))

    return _joined(x, near, far)


def _k(x: Array, order: int, scaled: bool) -> Array:
    positive = jnp.where(x > 0, x, jnp.ones_like(x))
    value = _k_scaled(positive, order)
    value = value if scaled else value * jnp.exp(-positive)
    value = jnp.where(x == 0, jnp.full_like(x, jnp.inf), value)
    return jnp.where((x < 0) | jnp.isnan(x), jnp.full_like(x, jnp.nan), value)


def _airy(x: Array) -> Array:
    """Ai: K_{1/3} to the right, Maclaurin's series near 0, the oscillating series to the left."""
    right = jnp.where(x > 2, x, jnp.full_like(x, 2.0))
    zeta = 2 / 3 * right**1.5
    decaying = jnp.sqrt(right / 3) / math.pi * _k_scaled(zeta, 1 / 3) * jnp.exp(-zeta)
    left = jnp.where(x < -8, -x, jnp.full_like(x, 8.0))
    return jnp.where(
        x > 2, decaying, jnp.where(x < -8, _airy_left(left), _airy_middle(jnp.clip(x, -8, 2)))
    )


def _airy_left(x: Array) -> Array:
    """Ai(-x) for x of 8 and more."""
    zeta = 2 / 3 * x**1.5
    sums, term = [jnp.zeros_like(x), jnp.zeros_like(x)], jnp.ones_like(x)
    for k in range(12):
        sums[k % 2] = sums[k % 2] + (term if k % 4 < 2 else -term)
        term = term * (6 * k + 1) * (6 * k + 3) * (6 * k + 5) / (216 * (k + 1) * (2 * k + 1)) / zeta
    angle = zeta + math.pi / 4
    return (sums[0] * jnp.sin(angle) - sums[1] * jnp.cos(angle)) / (math.sqrt(math.pi) * x**0.25)


def _airy_middle(x: Array) -> Array:
    cube = x * x * x
    even, odd = jnp.ones_like(x), x
    sums = [even, odd]
    for k in range(1, 40):
        even = even * cube / ((3 * k - 1) * (3 * k))
        odd = odd * cube / ((3 * k) * (3 * k + 1))
        sums = [sums[0] + even, sums[1] + odd]
    return 0.355028053887817239 * sums[0] - 0.258819403792806798 * sums[1]


def _spherical_j0(x: Array) -> Array:
    safe = jnp.where(x == 0, jnp.ones_like(x), x)
    value = jnp.where(x == 0, jnp.ones_like(x), jnp.sin(safe) / safe)
    return jnp.where(jnp.isinf(x), jnp.zeros_like(x), value)


_FUNCTIONS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "bessel_j0": (lambda x: _j(x, 0), "The Bessel function of the first kind of order 0."),
    "bessel_j1": (lambda x: _j(x, 1), "The Bessel function of the first kind of order 1."),
    "bessel_y0": (lambda x: _y(x, 0), "The Bessel function of the second kind of order 0."),
    "bessel_y1": (lambda x: _y(x, 1), "The Bessel function of the second kind of order 1."),
    "modified_bessel_i0": (
        lambda x: jax.scipy.special.i0(x),
        "The modified Bessel function of the first kind of order 0.",
    ),
    "modified_bessel_i1": (
        lambda x: jax.scipy.special.i1(x),
        "The modified Bessel function of the first kind of order 1.",
    ),
    "modified_bessel_k0": (
        lambda x: _k(x, 0, False), "The modified Bessel function of the second kind of order 0.",
    ),
    "modified_bessel_k1": (
        lambda x: _k(x, 1, False), "The modified Bessel function of the second kind of order 1.",
    ),
    "scaled_modified_bessel_k0": (lambda x: _k(x, 0, True), "exp(x) modified_bessel_k0(x)."),
    "scaled_modified_bessel_k1": (lambda x: _k(x, 1, True), "exp(x) modified_bessel_k1(x)."),
    "spherical_bessel_j0": (_spherical_j0, "sin(x) / x."),
    "airy_ai": (_airy, "The Airy function Ai."),
}  # fmt: skip


def _register(name: str, function: Callable[[Array], Array], doc: str) -> None:
    def body(input: Tensor) -> Array:
        return function(input.astype(jnp.float64)).astype(input.dtype)

    body.__doc__ = doc
    op("float", into=("special",), name=name, differentiable=False)(body)


for _name, (_function, _doc) in _FUNCTIONS.items():
    _register(_name, _function, _doc)
