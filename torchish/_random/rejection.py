"""Draws that use an unknown number of words: gamma, Poisson, binomial, Dirichlet, multinomial.

Invariant: as in `draws`; in addition a sampler leaves the generator right behind the last word that
PyTorch's sampler would have used.

Source: Marsaglia & Tsang, ACM TOMS 26 (2000), gamma; Hormann, Insurance: Math. & Econ. 12 (1993),
    Poisson (PTRS); Hormann, J. Stat. Comput. Simul. 46 (1993), binomial (BTRS); Knuth, TAOCP 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .draws import exponential, uniform_double
from .generator import Generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class _Doubles:
    """Doubles in [0, 1) one at a time: drawn in blocks, and what was not used is given back."""

    def __init__(self, gen: Generator, expected: int) -> None:
        self.gen = gen
        self.block = max(16, min(expected, 1 << 16))
        self.ahead: list[float] = []  # reversed, so that pop() takes the next
        self.drawn = 0

    def __enter__(self) -> _Doubles:
        self.gen.lock.acquire()
        self.start = self.gen.mark()
        return self

    def __exit__(self, *exc: object) -> None:
        self.gen.rewind(self.start, 2 * (self.drawn - len(self.ahead)))
        self.gen.lock.release()

    def uniform(self) -> float:
        """The next uniform double."""
        if not self.ahead:
            self.ahead = uniform_double(self.gen, self.block)[::-1].tolist()
            self.drawn += self.block
        return self.ahead.pop()

    def normal(self) -> float:
        """The next standard normal double, as the generator's own."""
        kept = self.gen.kept_normal
        if kept is not None:
            self.gen.kept_normal = None
            return kept
        theta = 2.0 * math.pi * self.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform()))
        self.gen.kept_normal = radius * math.sin(theta)
        return radius * math.cos(theta)


def _each(
    gen: Generator, arrays: list[Array], per_value: int, sample: Callable[..., float]
) -> NDArray[np.float64]:
    """`sample(stream, *values)` for every element, in order."""
    columns = [np.asarray(a, np.float64).ravel().tolist() for a in arrays]
    with _Doubles(gen, per_value * len(columns[0])) as stream:
        values = [sample(stream, *row) for row in zip(*columns, strict=True)]
    return np.array(values, np.float64).reshape(arrays[0].shape)


# -- gamma -----------------------------------------------------------------------------------------

_SQUEEZE = float(np.float32(0.0331))
_THIRD = float(np.float32(1.0) / np.float32(3.0))


def _gamma(stream: _Doubles, alpha: float, single: bool) -> float:
    """A gamma value; with `single` the parameter's own arithmetic is in single precision."""
    scale = 1.0
    narrow: Any = np.float32 if single else float
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = (1 - stream.uniform()) ** float(narrow(1.0) / narrow(alpha))
        alpha = float(narrow(alpha) + narrow(1.0))
    d = float(narrow(alpha) - narrow(_THIRD))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = stream.normal()
        y = 1.0 + c * x
        if y <= 0:
            continue
        v = y * y * y
        u = 1 - stream.uniform()
        xx = x * x
        if u < 1.0 - _SQUEEZE * xx * xx:
            return scale * d * v
        if math.log(u) < 0.5 * xx + d * (1.0 - v + math.log(v)):
            return scale * d * v


def gamma(gen: Generator, alpha: Array) -> Array:
    """`torch._standard_gamma(alpha)`, at least the dtype's smallest normal number."""
    single = alpha.dtype != np.float64

    def sample(stream: _Doubles, a: float) -> float:
        return _gamma(stream, a, single)

    values: Array = _each(gen, [alpha], 4, sample).astype(alpha.dtype)
    np.maximum(values, np.finfo(alpha.dtype).tiny, out=values)
    return values


def dirichlet(gen: Generator, alpha: Array) -> Array:
    """`torch._sample_dirichlet(alpha)`: gamma values over their sum along the last dimension."""

    def sample(stream: _Doubles, a: float) -> float:
        return max(_gamma(stream, a, False), np.finfo(np.float64).tiny)

    drawn = _each(gen, [alpha], 4, sample)
    values: Array = (drawn / drawn.sum(-1, keepdims=True)).astype(alpha.dtype)
    one = alpha.dtype.type(1)
    np.clip(values, np.finfo(alpha.dtype).tiny, np.nextafter(one, one - one), out=values)
    return values


# -- Poisson ---------------------------------------------------------------------------------------


def _poisson(stream: _Doubles, rate: float) -> float:
    if rate >= 10:
        return _poisson_rejection(stream, rate)
    if rate == 0:
        return 0.0
    if not rate > 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    bound, product, count = math.exp(-rate), 1.0, 0
    while True:
        product *= stream.uniform()
        if product <= bound:
            return float(count)
        count += 1


def _poisson_rejection(stream: _Doubles, rate: float) -> float:
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    tight = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
        if us >= 0.07 and v <= tight:
            return float(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1):
            return float(k)


def poisson(gen: Generator, rate: Array) -> Array:
    """`torch.poisson(rate)`."""
    return _each(gen, [rate], 4, _poisson).astype(rate.dtype)


# -- binomial --------------------------------------------------------------------------------------

_TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
    0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _tail(k: float) -> float:
    """What Stirling's formula for log(k!) leaves."""
    if k < len(_TAIL):
        return _TAIL[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


def _binomial(stream: _Doubles, count: float, p: float) -> float:
    if count <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return count
    if math.isnan(p):
        return math.nan
    if p > 0.5:
        return count - _binomial_half(stream, count, 1.0 - p)
    return _binomial_half(stream, count, p)


def _binomial_half(stream: _Doubles, count: float, p: float) -> float:
    """For p up to a half: gaps between successes, or rejection when many are expected."""
    if count * p >= 10:
        return _binomial_rejection(stream, count, p)
    log_fail, position, found = math.log1p(-p), 0.0, 0
    while True:
        u = stream.uniform()
        position += math.ceil(math.log(u) / log_fail) if u else math.inf
        if position > count:
            return float(found)
        found += 1


def _binomial_rejection(stream: _Doubles, count: float, p: float) -> float:
    deviation = math.sqrt(count * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = count * p + 0.5
    tight = 0.92 - 4.2 / b
    r = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = math.floor((count + 1) * p)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + c) if us else -1
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= tight:
            return float(k)
        v = math.log(v * alpha / (a / (us * us) + b))
        bound = (
            (m + 0.5) * math.log((m + 1) / (r * (count - m + 1)))
            + (count + 1) * math.log((count - m + 1) / (count - k + 1))
            + (k + 0.5) * math.log(r * (count - k + 1) / (k + 1))
            + (_tail(m) + _tail(count - m) - _tail(k) - _tail(count - k))
        )
        if v <= bound:
            return float(k)


def binomial(gen: Generator, count: Array, p: Array) -> Array:
    """`torch.binomial(count, p)` for arrays of one shape."""
    return _each(gen, [count, p], 4, _binomial).astype(count.dtype)


# -- multinomial -----------------------------------------------------------------------------------


def multinomial(
    gen: Generator, weights: Array, samples: int, replacement: bool
) -> NDArray[np.int64]:
    """`torch.multinomial`: indices drawn in proportion to the weights of each row.

    Without replacement: the largest of weight / exponential. With: a search in the running sum.
    """
    if replacement and samples != 1:
        return _multinomial_search(gen, weights, samples)
    with np.errstate(divide="ignore"):
        raced = weights / exponential(gen, weights.size, weights.dtype).reshape(weights.shape)
    if samples == 1:
        return np.asarray(raced.argmax(-1, keepdims=True))
    return np.asarray(np.argsort(-raced.astype(np.float64), axis=-1, kind="stable")[..., :samples])


def _multinomial_search(gen: Generator, weights: Array, samples: int) -> NDArray[np.int64]:
    rows = weights.reshape(-1, weights.shape[-1])
    with gen.lock:
        u = uniform_double(gen, rows.shape[0] * samples).reshape(-1, samples)
    picked = np.empty(u.shape, np.int64)
    for row, out, draws in zip(rows, picked, u, strict=True):
        wide: Any = np.float64 if row.dtype == np.float64 else np.float32
        total: Array = np.cumsum(row, dtype=wide)
        if not total[-1] > 0:
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        total = total / total[-1]
        total[-1] = 1
        out[:] = np.searchsorted(total.astype(np.float64), draws)
    return picked.reshape(*weights.shape[:-1], samples)
