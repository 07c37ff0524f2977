"""What PyTorch's CPU kernels draw: one function per distribution, each on `Generator` words.

Invariant: a function returns the `count` values in the order in which PyTorch's kernel fills
memory, consumes exactly the words that kernel consumes, and holds the generator's lock meanwhile.
(PyTorch on Intel processors hands `bernoulli_(p)` and `exponential_` to MKL's own stream; what is
followed here is its portable one.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .boxmuller import CHUNK, Scratch, blocks32, blocks64, scale32, scale64, uniform53
from .generator import Generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    F64 = NDArray[np.float64]


_WIDE_RANGE = 1 << 28  # from here on integers come from 64-bit words, which keeps the skew small
_LONG_PERMUTATION = (2**32 - 1) // 20  # from here on permutations use 64-bit words as well
_BLOCK = 16  # contiguous tensors of this many elements get normal values in blocks
_INT64_MIN = -(2**63)


def words32(gen: Generator, count: int) -> NDArray[np.uint32]:
    """The next `count` words."""
    return gen.words(count).astype(np.uint32)


def words64(gen: Generator, count: int) -> NDArray[np.uint64]:
    """The next `count` 64-bit words, each made of two (high one first)."""
    raw = gen.words(2 * count)
    joined = raw[0::2] << np.uint64(32)
    joined |= raw[1::2]
    return joined


def uniform_double(gen: Generator, count: int) -> F64:
    """Doubles in [0, 1) with 53 random bits."""
    return uniform53(gen.words(2 * count))


def uniform_single(gen: Generator, count: int) -> NDArray[np.float32]:
    """Floats in [0, 1) with 24 random bits."""
    out = np.empty(count, np.float32)
    for start in range(0, count, CHUNK):
        part = out[start : start + CHUNK]
        k = gen.words(part.size).astype(np.int32)
        k &= 0xFFFFFF
        np.multiply(k, np.float32(2.0**-24), out=part, casting="unsafe", dtype=np.float32)
    return out


# -- continuous ------------------------------------------------------------------------------------


def uniform(
    gen: Generator, count: int, dtype: np.dtype[Any], low: float = 0.0, high: float = 1.0
) -> Array:
    """`uniform_(low, high)`: low + u (high - low); a value rounded up to `high` becomes `low`."""
    with gen.lock:
        if dtype == np.float64:
            wide = uniform_double(gen, count)
            values: Array = wide if (low, high) == (0, 1) else scale64(wide, low, high - low)
        else:
            values = uniform_single(gen, count)
            if (low, high) != (0, 1):
                span = np.float32(high) - np.float32(low)
                values = scale32(values, low, float(span))
    values = values.astype(dtype, copy=False)
    if dtype == np.float64 or dtype == np.float32:
        if (low, high) == (0, 1):
            return values
        top, bottom = dtype.type(high), dtype.type(low)
    else:
        top, bottom = (np.array(v, np.float32).astype(dtype)[()] for v in (high, low))
    values[values == top] = bottom
    return values


def normal(
    gen: Generator,
    count: int,
    dtype: np.dtype[Any],
    mean: float = 0.0,
    std: float = 1.0,
    contiguous: bool = True,
) -> Array:
    """`normal_(mean, std)`: Box-Muller, in blocks of 16 where the tensor allows it."""
    with gen.lock:
        if count < _BLOCK or not contiguous:
            return _narrow(scale64(_normal_pairs(gen, count), mean, std), dtype)
        if dtype == np.float64:
            return _normal_blocks(gen, count, mean, std, np.float64, count)
        # half precision draws block by block, so it never draws for the ragged end
        first = count if dtype == np.float32 else count - count % _BLOCK
        return _normal_blocks(gen, count, mean, std, np.float32, first).astype(dtype, copy=False)


def _normal_blocks(
    gen: Generator, count: int, mean: float, std: float, kind: Any, first: int
) -> Array:
    """Whole blocks, then the last 16 values once more where `count` leaves a ragged end."""
    out = np.empty(count, kind)
    whole = count - count % _BLOCK
    per_value = 2 if kind is np.float64 else 1
    scratch = Scratch(min(whole, CHUNK) // 2) if kind is np.float32 else None
    for start in range(0, whole, CHUNK):
        part = out[start : min(start + CHUNK, whole)]
        _normal_block(gen.words(part.size * per_value), mean, std, part, scratch)
    if whole < count:
        if first > whole:
            gen.words((first - whole) * per_value)
        _normal_block(gen.words(_BLOCK * per_value), mean, std, out[count - _BLOCK :], scratch)
    return out


def _normal_block(
    words: NDArray[np.uint64], mean: float, std: float, out: Array, scratch: Scratch | None
) -> None:
    if scratch is None:
        blocks64(words, mean, std, out)
    else:
        blocks32(words, mean, std, out, scratch)


def normal_double(gen: Generator) -> float:
    """One standard normal double; every second one is the kept value of the pair before."""
    kept = gen.kept_normal
    if kept is not None:
        gen.kept_normal = None
        return kept
    angle, radius = uniform_double(gen, 2).tolist()
    radius = math.sqrt(-2.0 * math.log1p(-radius))
    gen.kept_normal = radius * math.sin(2.0 * math.pi * angle)
    return radius * math.cos(2.0 * math.pi * angle)


def _normal_pairs(gen: Generator, count: int) -> F64:
    """`count` standard normal doubles, pair by pair."""
    if count <= 2 * _BLOCK:
        return np.array([normal_double(gen) for _ in range(count)], np.float64)
    kept = [] if gen.kept_normal is None else [gen.kept_normal]
    pairs = (count - len(kept) + 1) // 2
    u = uniform_double(gen, 2 * pairs).reshape(-1, 2)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 1]))
    theta = 2.0 * math.pi * u[:, 0]
    values = np.stack([radius * np.cos(theta), radius * np.sin(theta)], axis=1).ravel()
    values = np.concatenate([np.array(kept, np.float64), values])
    # by the C library, so that the state stays equal to the last bit
    angle, last = u[-1].tolist()
    spare = math.sqrt(-2.0 * math.log1p(-last)) * math.sin(2.0 * math.pi * angle)
    gen.kept_normal = spare if values.size > count else None
    return values[:count]


def _narrow(values: F64, dtype: np.dtype[Any]) -> Array:
    """Doubles as `dtype`; half precision is rounded by way of single, as C++ converts."""
    if dtype.itemsize == 2 and dtype.kind not in "iu":
        return values.astype(np.float32).astype(dtype)
    return values.astype(dtype, copy=False)


def log_normal(gen: Generator, count: int, dtype: np.dtype[Any], mean: float, std: float) -> Array:
    """`log_normal_(mean, std)`: exp of a normal value."""
    with gen.lock, np.errstate(over="ignore"):
        return _narrow(np.exp(scale64(_normal_pairs(gen, count), mean, std)), dtype)


def exponential(gen: Generator, count: int, dtype: np.dtype[Any], rate: float = 1.0) -> Array:
    """`exponential_(rate)`: -log(1 - u) / rate."""
    with gen.lock:
        u = uniform_double(gen, count)
    with np.errstate(divide="ignore", over="ignore"):
        return _narrow(np.float64(-1.0) / rate * np.log1p(-u), dtype)


def cauchy(gen: Generator, count: int, dtype: np.dtype[Any], median: float, sigma: float) -> Array:
    """`cauchy_(median, sigma)`: median + sigma tan(pi (u - 1/2))."""
    with gen.lock:
        u = uniform_double(gen, count)
    with np.errstate(over="ignore"):
        return _narrow(scale64(np.tan(math.pi * (u - 0.5)), median, sigma), dtype)


def geometric(gen: Generator, count: int, dtype: np.dtype[Any], p: float) -> Array:
    """`geometric_(p)`: ceil(log(u) / log(1 - p))."""
    with gen.lock:
        u = uniform_double(gen, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _narrow(np.ceil(np.log(u) / math.log1p(-p)), dtype)


# -- discrete --------------------------------------------------------------------------------------


def bernoulli(gen: Generator, count: int, p: float) -> NDArray[np.bool_]:
    """`bernoulli_(p)` and dropout's mask: u < p with 53 bits."""
    with gen.lock:
        raw = gen.words(2 * count)
    # u < p as integers: the high word decides but for the rare equal ones
    bound = math.ceil(p * 2.0**53)
    high = raw[0::2] & np.uint64(0x1FFFFF)
    low_bound = np.uint64(bound & 0xFFFFFFFF)
    high_bound = np.uint64(bound >> 32)
    result: NDArray[np.bool_] = high < high_bound
    ties = np.flatnonzero(high == high_bound)
    result[ties] = raw[1::2][ties] < low_bound
    return result


def bernoulli_each(gen: Generator, p: Array) -> NDArray[np.bool_]:
    """`bernoulli(p)` for an array of probabilities, in its order: u < p with p's precision."""
    flat = p.reshape(-1)
    with gen.lock:
        if flat.dtype == np.float64:
            result: NDArray[np.bool_] = uniform_double(gen, flat.size) < flat
        else:
            result = uniform_single(gen, flat.size) < flat.astype(np.float32, copy=False)
    return result.reshape(p.shape)


def integers(gen: Generator, count: int, dtype: np.dtype[Any], span: int, base: int) -> Array:
    """`random_(base, base + span)` and `randint`: base + word % span."""
    with gen.lock:
        if span >= _WIDE_RANGE:
            values = words64(gen, count)
            values %= np.uint64(span)
            result = values.view(np.int64)
        else:
            narrow = words32(gen, count)
            narrow -= narrow // np.uint32(span) * np.uint32(span)
            result = narrow.astype(np.int64)
    if base:
        result += np.int64(base)
    return _from_int64(result, dtype)


def integers_full(gen: Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """`random_(-2**63, None)`: all 64 bits."""
    with gen.lock:
        return _from_int64(words64(gen, count).view(np.int64), dtype)


def integers_default(gen: Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """`random_()`: up to the dtype's largest integer, or the largest that a float holds exactly."""
    if dtype == np.int64 or dtype == np.float64:
        span = 2**63 if dtype == np.int64 else 2**53 + 1
        with gen.lock:
            wide = words64(gen, count) % np.uint64(span)
        return _from_int64(wide.view(np.int64), dtype)
    with gen.lock:
        narrow = words32(gen, count).astype(np.int64)
    return _from_int64(narrow % default_span(dtype), dtype)


def default_span(dtype: np.dtype[Any]) -> int:
    """How many different integers `random_()` draws for a dtype."""
    if dtype == np.bool_:
        return 2
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max) + 1
    return int(2 ** MANTISSA_BITS[dtype.name]) + 1


MANTISSA_BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def _from_int64(values: NDArray[np.int64], dtype: np.dtype[Any]) -> Array:
    if dtype.itemsize == 2 and dtype.kind not in "iu":  # half precision goes through float
        return values.astype(np.float32).astype(dtype)
    return values.astype(dtype, copy=False)


# -- permutations ----------------------------------------------------------------------------------


def permutation(gen: Generator, n: int, dtype: np.dtype[Any] | None = None) -> Array:
    """`randperm(n)`: swap i with i + word % (n - i), for i from 0."""
    kind = np.dtype(np.int64) if dtype is None else dtype
    with gen.lock:
        if n >= _LONG_PERMUTATION:
            return _long_permutation(gen, n, kind)
        words = gen.words(max(n - 1, 0))
    if n < 1500:
        order = list(range(n))
        for i, word in enumerate(words.tolist()):
            j = i + word % (n - i)
            order[i], order[j] = order[j], order[i]
        return _from_int64(np.array(order, np.int64), kind)
    targets = words.astype(np.uint32)
    targets %= np.arange(n, 1, -1, dtype=np.uint32)
    return _from_int64(_swaps(targets.astype(np.int64) + np.arange(n - 1), n), kind)


def _swaps(targets: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The array 0..n-1 after swapping i with targets[i] >= i for i = 0, 1, 2, ... in turn.

    Step i leaves at i what stood at its target. That came there with the last earlier step of the
    same target, or stood there from the start. What a step moves away is what stood at its own
    place, which the last step that targets this place brought. So values follow a chain of steps
    downwards, and all chains are walked at once by pointer doubling.
    """
    # 32-bit tables stay in the cache longer; `take` and `flatnonzero` are numpy's fast ways
    before = np.full(n - 1, -1, np.int32)  # step -> the last earlier step of the same target
    last = np.full(n, -1, np.int32)  # place -> the last step that targets it, once all are seen
    first = np.empty(n, np.int32)
    # Peel off the first step of every target, repeatedly: descending, so its index is written last.
    rest, goal = np.arange(n - 2, -1, -1, dtype=np.int32), targets[::-1].copy()
    while rest.size:
        first[goal] = rest
        head = _take(first, goal) == rest
        firsts, others = np.flatnonzero(head), np.flatnonzero(~head)
        steps, goals = _take(rest, firsts), _take(goal, firsts)
        before[steps] = _take(last, goals)
        last[goals] = steps
        rest, goal = _take(rest, others), _take(goal, others)
    places = np.arange(n, dtype=np.int32)
    stays = np.flatnonzero(targets == places[:-1])  # such a step moves nothing
    last[stays] = before[stays]
    origin = np.where(last < 0, places, last)
    active = np.flatnonzero(last >= 0)
    while active.size:
        now = _take(origin, active)
        further = _take(origin, now)
        going = np.flatnonzero(further != now)
        active = _take(active, going)
        origin[active] = _take(further, going)
    result = np.where(before < 0, targets, _take(origin, before))
    return np.append(result, origin[-1])


def _take(array: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    return np.take(array, places, mode="clip")


def _long_permutation(gen: Generator, n: int, dtype: np.dtype[Any]) -> Array:
    """From 215 million elements on: put i at place word64 % (i + 1), what was there at i."""
    order = np.empty(n, np.int64)
    view = memoryview(order)  # type: ignore[arg-type]
    block = 1 << 20
    for start in range(0, n, block):
        steps = np.arange(start, min(start + block, n), dtype=np.int64)
        places = words64(gen, steps.size) % (steps + 1).astype(np.uint64)
        for i, place in zip(steps.tolist(), places.tolist(), strict=True):
            view[i] = i
            view[i] = view[place]
            view[place] = i
    return _from_int64(order, dtype)
