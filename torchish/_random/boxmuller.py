"""Normal values from random words, bit for bit as PyTorch's vectorised CPU path makes them.

That path takes logarithm, sine and cosine from Cephes' single-precision polynomials with fused
multiply-adds, so a library's function differs from it by up to 4 units in the last place. Here a
fused multiply-add is a product in double (exact for two floats) plus a sum rounded to single. A
step runs in plain single precision only where its product is exact there too.

Invariant: the functions are pure; who calls them drew the words.

Source: S. Moshier, Cephes, `logf.c` and `sinf.c`; Box & Muller, Ann. Math. Stat. 29 (1958).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    F64 = NDArray[np.float64]
    I32 = NDArray[np.int32]


CHUNK = 65536  # words worked on at a time, so that the scratch arrays stay in the cache

_f = np.float32
_EIGHT = np.dtype("V32")  # eight floats at once: numpy copies these faster than runs of eight
_LOG = tuple(
    _f(c)
    for c in (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
)  # fmt: skip
_LN2 = (_f(0.693359375), _f(-2.12194440e-4))  # high part (9 bits), low part
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_COS = tuple(_f(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))
_SIN = tuple(_f(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))
# 1.5 * 2^(52 - 23) times the power of two below the partial sums.
_COS_GRID = (1.5 * 2.0 ** (29 - 10), 1.5 * 2.0 ** (29 - 5))
_SIN_GRID = (1.5 * 2.0 ** (29 - 7), 1.5 * 2.0 ** (29 - 3))
_FOUR_OVER_PI = _f(1.27323954473516)
_PI4 = (_f(0.78515625), _f(2.4187564849853515625e-4), _f(3.77489497744594108e-8))
_TURN = _f(2.0 * math.pi) * _f(2.0**-24)  # the angle of one step of a 24-bit uniform


class Scratch:
    """Work arrays for `size` pairs, shared by the chunks of one draw."""

    def __init__(self, size: int) -> None:
        self.wide = np.empty((3, size))
        self.float = np.empty((6, size), _f)
        self.int = np.empty((4, size), np.int32)


def _fused(y: F32, x: F64, addend: Any, wide: F64) -> None:
    """y = y * x + addend, rounded once."""
    np.copyto(wide, y)
    wide *= x
    wide += addend
    np.copyto(y, wide, casting="same_kind")


def _fused_from(y: F32, x: F64, factor: Any, wide: F64) -> None:
    """y = y + x * factor, rounded once."""
    np.multiply(x, factor, out=wide)
    wide += y
    np.copyto(y, wide, casting="same_kind")


def _steps(
    x: F64, coefficients: tuple[np.float32, ...], grid: tuple[float, float], wide: F64, y: F32
) -> None:
    """y = (c0 x + c1) x + c2 in two fused steps.

    Over the range of x each step's result keeps its exponent, so adding and taking away a large
    enough power of two rounds it to single precision without leaving double.
    """
    c0, c1, c2 = map(float, coefficients)
    np.multiply(x, c0, out=wide)
    wide += c1 + grid[0]
    wide -= grid[0]
    wide *= x
    wide += c2 + grid[1]
    wide -= grid[1]
    np.copyto(y, wide, casting="same_kind")


def _radius(k: I32, s: Scratch) -> NDArray[Any]:
    """sqrt(-2 log(1 - k / 2^24)); `k` is used up."""
    x, z, y, e = s.float[:4, : k.size]
    wide_x, wide_z, wide = s.wide[:, : k.size]
    np.subtract(1 << 24, k, out=k)
    np.copyto(x, k, casting="unsafe")
    # 2^24 - k = 2^exponent (1 + x) with 1 + x in [sqrt(1/2), sqrt(2))
    bits = x.view(np.int32)
    bits += np.int32(0x3F800000) - _SQRT_HALF_BITS
    np.right_shift(bits, 23, out=k)
    k -= 127 + 24
    bits &= 0x7FFFFF
    bits += _SQRT_HALF_BITS
    x -= _f(1)
    np.copyto(e, k, casting="unsafe")
    np.multiply(x, x, out=z)
    np.copyto(wide_x, x)
    y.fill(_LOG[0])
    for c in _LOG[1:]:
        _fused(y, wide_x, c, wide)
    y *= x
    np.copyto(wide_z, z)
    np.multiply(e, _LN2[1], out=s.float[4, : k.size])
    _fused(y, wide_z, s.float[4, : k.size], wide)
    z *= _f(0.5)
    y -= z
    x += y
    e *= _LN2[0]
    x += e
    x *= _f(-2)
    return np.asarray(np.sqrt(x, out=x))


def _sincos(k: I32, s: Scratch) -> tuple[I32, I32]:
    """Bits of the sine and cosine of 2 pi k / 2^24; `k` is used up."""
    n = k.size
    # the first row of `float` holds the radius
    x, z, sin, cos, y = s.float[1:, :n]
    wide_x, wide_z, wide = s.wide[:, :n]
    np.copyto(x, k, casting="unsafe")
    x *= _TURN
    np.multiply(x, _FOUR_OVER_PI, out=y)
    np.copyto(k, y, casting="unsafe")
    k += 1
    k &= -2
    np.copyto(y, k, casting="unsafe")
    for part in _PI4[:2]:  # these products are exact
        np.multiply(y, part, out=z)
        x -= z
    np.copyto(wide_z, y)
    _fused_from(x, wide_z, -_PI4[2], wide)
    np.multiply(x, x, out=z)
    np.copyto(wide_z, z)
    _steps(wide_z, _COS, _COS_GRID, wide, cos)
    cos *= z
    np.multiply(z, _f(-0.5), out=y)
    _fused(cos, wide_z, y, wide)
    cos += _f(1)
    _steps(wide_z, _SIN, _SIN_GRID, wide, sin)
    sin *= z
    np.copyto(wide_x, x)
    _fused(sin, wide_x, x, wide)
    return _quadrants(k, sin.view(np.int32), cos.view(np.int32), s.int[2, :n], s.int[3, :n])


def _quadrants(j: I32, sin: I32, cos: I32, swap: I32, sign: I32) -> tuple[I32, I32]:
    """Swap sine and cosine where bit 1 of the octant `j` is set, and give both their signs."""
    np.left_shift(j, 30, out=swap)
    swap >>= 31
    np.bitwise_xor(sin, cos, out=sign)
    swap &= sign
    sin ^= swap
    cos ^= swap
    np.bitwise_and(j, 4, out=sign)
    sign <<= 29
    sin ^= sign
    j += 2  # the cosine changes its sign a quarter turn earlier
    j &= 4
    j <<= 29
    cos ^= j
    return sin, cos


def blocks32(
    words: NDArray[np.uint64], mean: float, std: float, out: F32, scratch: Scratch | None = None
) -> None:
    """Normal values from blocks of 16 words: 8 give radii, 8 give angles.

    Shape: words (16 n), out (16 n) contiguous, at most CHUNK each.
    """
    n = words.size // 2
    s = Scratch(n) if scratch is None else scratch
    uniform = s.int[2:].reshape(-1)[: 2 * n]
    np.copyto(uniform, words, casting="unsafe")
    uniform &= 0xFFFFFF
    first, second = s.int[0, :n], s.int[1, :n]
    blocks = uniform.view(_EIGHT).reshape(-1, 2)
    np.copyto(first.view(_EIGHT), blocks[:, 0])
    np.copyto(second.view(_EIGHT), blocks[:, 1])
    radius = _radius(first, s)
    pair = [bits.view(_f) for bits in _sincos(second, s)]
    blocks = out.view(_EIGHT).reshape(-1, 2)
    for column, trig in zip((1, 0), pair, strict=True):
        trig *= radius
        if mean != 0 or std != 1:
            trig = scale32(trig, mean, std)
        np.copyto(blocks[:, column], trig.view(_EIGHT))


def blocks64(words: NDArray[np.uint64], mean: float, std: float, out: F64) -> None:
    """`blocks32` in double precision, by the library's functions as PyTorch does."""
    pairs = uniform53(words).reshape(-1, 2, 8)
    result = out.reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log(1 - pairs[:, 0]))
    theta = 2 * math.pi * pairs[:, 1]
    result[:, 0] = scale64(radius * np.cos(theta), mean, std)
    result[:, 1] = scale64(radius * np.sin(theta), mean, std)


def uniform53(words: NDArray[np.uint64]) -> F64:
    """Doubles in [0, 1) from pairs of words: the low 53 bits of (first << 32 | second)."""
    joined = words[0::2] << np.uint64(32)
    joined |= words[1::2]
    joined &= np.uint64((1 << 53) - 1)
    return np.multiply(joined.view(np.int64), 2.0**-53, dtype=np.float64)


def scale32(x: F32, mean: float, std: float) -> F32:
    """x * std + mean with one rounding to single precision."""
    wide = x.astype(np.float64)
    wide *= float(_f(std))
    wide += float(_f(mean))
    return wide.astype(_f)


def scale64(x: F64, mean: float, std: float) -> NDArray[Any]:
    """x * std + mean with one rounding, by error-free sums and products."""
    product: NDArray[Any] = x * std
    if mean == 0:
        return product
    if std == 1:
        return product + mean
    split = 134217729.0  # 2^27 + 1 (Veltkamp)
    x_high = x * split
    x_high -= x_high - x
    x_low = x - x_high
    s_high = std * split
    s_high -= s_high - std
    s_low = std - s_high
    error = ((x_high * s_high - product) + x_high * s_low + x_low * s_high) + x_low * s_low
    total = product + mean
    shift = total - product
    lost = (product - (total - shift)) + (mean - shift)
    return np.asarray(total + (lost + error))
