"""Rules of elementwise primitives, with XLA's answers where numpy has others.

Integer division truncates, and x / 0 is -1; float to integer saturates and NaN becomes 0; a shift
by the width or more gives 0 (or the sign); min and max propagate NaN (numpy's do too).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from .table import Array, Run, in_float32, is_half, rule

# Ufuncs whose values numpy computes as XLA does, half types included.
_UFUNCS: dict[str, Any] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply,
    "max": np.maximum, "min": np.minimum, "neg": np.negative,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.bitwise_not,
    "conj": np.conjugate, "square": np.square,
    "floor": np.floor, "ceil": np.ceil, "is_finite": np.isfinite, "nextafter": np.nextafter,
}  # fmt: skip


def _lgamma(x: Array) -> Array:
    return np.asarray(np.where(np.isinf(x), np.abs(x), scipy_function("gammaln")(x)))


def _exp(x: Array) -> Any:
    """numpy's float32 form is twice as far off as PyTorch's."""
    return np.exp(x, dtype=np.float64) if x.dtype == np.float32 else np.exp(x)


def scipy_function(name: str) -> Any:
    """A function of scipy.special, loaded when it is first needed."""
    found = getattr(_ufuncs(), name, None)
    return getattr(importlib.import_module("scipy.special"), name) if found is None else found


@functools.cache
def _ufuncs() -> Any:
    """scipy's compiled functions without the package around them, a tenth of a second of imports.

    A package that is imported later finds them loaded. With threads about, who might import it in
    between, it is imported as usual.
    """
    package = "scipy.special"
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None or threading.active_count() > 1:
        return importlib.import_module(package)
    bare = types.ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[package] = bare
    try:
        return importlib.import_module(package + "._ufuncs")
    except ImportError:  # another version of scipy, laid out otherwise
        return None
    finally:
        del sys.modules[package]


# Transcendental functions (strings: of scipy.special); half types go through float32.
_FUNCTIONS: dict[str, Any] = {
    "exp": _exp, "exp2": np.exp2, "log": np.log, "expm1": np.expm1, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "sqrt": np.sqrt,
    "cbrt": np.cbrt, "erf": "erf", "erfc": "erfc",
    "erf_inv": "erfinv", "lgamma": _lgamma,
    "digamma": "digamma", "logistic": "expit",
    "igamma": "gammainc", "igammac": "gammaincc",
    "bessel_i0e": "i0e", "bessel_i1e": "i1e",
    "zeta": "zeta", "regularized_incomplete_beta": "betainc",
}  # fmt: skip


def _complex_logistic(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def _plain(function: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        if outs[0].ndim == 0:
            return lambda *arrays: np.asarray(function(*arrays))
        return function  # type: ignore[no-any-return]

    return make


def _mathematical(name: str, function: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        dtype = outs[0].dtype
        compute = scipy_function(function) if isinstance(function, str) else function
        if name == "logistic" and dtype.kind == "c":
            compute = _complex_logistic
        if is_half(dtype):
            return in_float32(compute, dtype)
        if dtype.kind != "f" or outs[0].ndim:
            return lambda *arrays: np.asarray(compute(*arrays)).astype(dtype, copy=False)
        return lambda *arrays: np.asarray(compute(*arrays), dtype)

    return make


for _name, _function in _UFUNCS.items():
    rule(_name)(_plain(_function))
for _name, _compute in _FUNCTIONS.items():
    rule(_name)(_mathematical(_name, _compute))


@rule("stop_gradient", "copy", "copy_p", "real_copy", "name")
def _identity(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda x: x


@rule("optimization_barrier")
def _barrier(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda *arrays: list(arrays)


@rule("abs")
def _abs(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda x: np.asarray(np.abs(x))


@rule("sign")
def _sign(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    if is_half(outs[0].dtype):
        return in_float32(np.sign, outs[0].dtype)
    return lambda x: np.asarray(np.sign(x))


@rule("rsqrt")
def _rsqrt(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    if is_half(dtype):
        return in_float32(lambda x: 1 / np.sqrt(x), dtype)
    one = dtype.type(1)
    return lambda x: np.asarray(np.divide(one, np.sqrt(x)))


@rule("real")
def _real(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda x: np.asarray(x.real)


@rule("imag")
def _imag(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda x: np.asarray(x.imag)


@rule("complex")
def _complex(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype, shape = outs[0].dtype, outs[0].shape

    def run(re: Array, im: Array) -> Array:
        made = np.empty(shape, dtype)
        made.real, made.imag = re, im
        return made

    return run


@rule("round")
def _round(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    def away(x: Array) -> Array:
        whole = np.trunc(x)
        return np.asarray(whole + np.copysign(np.abs(x - whole) >= 0.5, x), x.dtype)

    run = away if int(params["rounding_method"]) == 0 else np.rint
    if is_half(outs[0].dtype):
        return in_float32(run, outs[0].dtype)
    return lambda x: np.asarray(run(x))


@rule("integer_pow")
def _integer_pow(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    y, dtype = params["y"], outs[0].dtype

    def run(x: Array) -> Array:
        # By squaring, as XLA does: a power of -1 is one reciprocal of the product.
        n, square, made = abs(y), x, None
        while n:
            if n & 1:
                made = square if made is None else made * square
            n >>= 1
            if n:
                square = square * square
        if made is None:
            return np.ones_like(x)
        return np.asarray(np.reciprocal(made) if y < 0 else made)

    return in_float32(run, dtype) if is_half(dtype) else run


@rule("pow")
def _pow(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    if dtype.kind == "c":
        return lambda x, y: _complex_power(x, y.astype(dtype, copy=False))
    if is_half(dtype):
        return in_float32(np.power, dtype)
    if dtype.kind == "f":
        return lambda x, y: np.asarray(np.power(x, y.astype(dtype, copy=False)))
    return lambda x, y: np.asarray(_integer_power(x, y), dtype)


def _complex_power(x: Array, y: Array) -> Array:
    """exp(y log x). 1 to any power is 1; 0 to a real positive one 0, to 0 1, to others NaN."""
    zero, positive = x == 0, (y.imag == 0) & (y.real > 0)
    made = np.where(zero & ~positive, x.dtype.type(complex(np.nan, np.nan)), np.power(x, y))
    return np.asarray(np.where((y == 0) | (x == 1), x.dtype.type(1), made))


def _integer_power(x: Array, y: Array) -> Array:
    """Powers of integers by squaring, wrapping; a negative exponent counts as 0 steps."""
    made, square = np.ones_like(x + y), x + np.zeros_like(y)
    left = np.maximum(y, 0) + np.zeros_like(x)
    while np.any(left):
        made = np.where(left & 1, made * square, made)
        square, left = square * square, left >> 1
    return made


@rule("div")
def _div(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    if dtype.kind not in "iu":
        if outs[0].ndim == 0:
            return lambda x, y: np.asarray(np.divide(x, y))
        return np.divide

    def run(x: Array, y: Array) -> Array:
        zero = y == 0
        safe = np.where(zero, y.dtype.type(1), y)
        quotient = x // safe
        if dtype.kind == "i":
            # numpy's floor division rounds down, XLA's towards zero.
            quotient = quotient + ((quotient * safe != x) & ((x < 0) != (safe < 0)))
        bad = dtype.type(-1) if dtype.kind == "i" else dtype.type(np.iinfo(dtype).max)
        return np.asarray(np.where(zero, bad, quotient), dtype)

    return run


@rule("rem")
def _rem(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    if dtype.kind not in "iu":
        if is_half(dtype):
            return in_float32(np.fmod, dtype)
        return lambda x, y: np.asarray(np.fmod(x, y))

    def run(x: Array, y: Array) -> Array:
        zero = y == 0
        safe = np.where(zero, y.dtype.type(1), y)
        return np.asarray(np.where(zero, x, np.fmod(x, safe)), dtype)

    return run


def _shift(name: str) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        dtype = outs[0].dtype
        bits = dtype.itemsize * 8
        unsigned, signed = np.dtype(f"u{dtype.itemsize}"), np.dtype(f"i{dtype.itemsize}")

        def run(x: Array, y: Array) -> Array:
            amount = y.astype(unsigned, copy=False)
            over = amount >= bits
            if name == "shift_right_arithmetic":
                # The sign bit fills, for unsigned types too.
                held = np.where(over, unsigned.type(bits - 1), amount).astype(signed)
                return np.asarray(np.right_shift(x.astype(signed, copy=False), held)).astype(dtype)
            held = np.where(over, unsigned.type(0), amount)
            raw = x.astype(unsigned, copy=False)
            moved = (np.left_shift if name == "shift_left" else np.right_shift)(raw, held)
            return np.asarray(np.where(over, unsigned.type(0), moved)).astype(dtype)

        return run

    return make


for _name in ("shift_left", "shift_right_logical", "shift_right_arithmetic"):
    rule(_name)(_shift(_name))


@rule("population_count")
def _population_count(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return lambda x: np.asarray(np.bitwise_count(x.view(unsigned))).astype(dtype)


@rule("clz")
def _clz(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype = outs[0].dtype
    bits, unsigned = dtype.itemsize * 8, np.dtype(f"u{dtype.itemsize}")

    def run(x: Array) -> Array:
        filled = np.array(x).view(unsigned)
        step = 1
        while step < bits:
            filled = filled | (filled >> unsigned.type(step))
            step *= 2
        return np.asarray(bits - np.bitwise_count(filled).astype(np.int64)).astype(dtype)

    return run


def convert(x: Array, dtype: Any) -> Array:
    """`x` as `dtype` by XLA's rules of conversion."""
    source = x.dtype
    if source == dtype:
        return x
    if source.kind == "c" and dtype.kind != "c":
        x, source = x.real, x.real.dtype
    if dtype == np.bool_:
        return np.asarray(x != 0)
    if dtype.kind in "iu" and source.kind in "fV":
        wide = x.astype(np.float32) if source.itemsize < 4 else x
        return _saturated(wide, dtype)
    if is_half(source) and is_half(dtype):
        return x.astype(np.float32).astype(dtype)
    return x.astype(dtype)


def _saturated(x: Array, dtype: Any) -> Array:
    limits = np.iinfo(dtype)
    low, high = x.dtype.type(limits.min), x.dtype.type(limits.max)
    # `high` may round up to a power of two that the integer type does not hold.
    over = x >= high if float(high) > limits.max else x > high
    under = x < low
    unusual = over | under | np.isnan(x)
    made = np.where(unusual, x.dtype.type(0), x).astype(dtype)
    if unusual.any():
        made = np.where(over, limits.max, np.where(under, limits.min, made)).astype(dtype)
    return np.asarray(made)


@rule("convert_element_type")
def _convert_element_type(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    source, dtype = ins[0].dtype, outs[0].dtype
    if source == dtype:
        return lambda x: x
    whole = source.kind in "biu" and dtype.kind in "iufc"
    real = source.kind == "f" and dtype.kind in "fc"
    simple = (whole or real) and not (is_half(source) or is_half(dtype))
    if simple:
        return lambda x: x.astype(dtype)
    return functools.partial(convert, dtype=dtype)


@rule("bitcast_convert_type")
def _bitcast(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    dtype, shape = outs[0].dtype, outs[0].shape

    def run(x: Array) -> Array:
        flat: Array = np.ascontiguousarray(x).reshape(-1)
        return np.asarray(flat.view(dtype)).reshape(shape)

    return run


@rule("reduce_precision")
def _reduce_precision(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    exponent, mantissa, dtype = params["exponent_bits"], params["mantissa_bits"], outs[0].dtype
    limit = 2 ** (exponent - 1) - 1  # the largest exponent; the smallest normal one is 1 - limit

    def run(x: Array) -> Array:
        x = x.astype(np.float64)
        fraction, power = np.frexp(x)
        rounded = np.ldexp(np.rint(np.ldexp(fraction, mantissa + 1)), power - mantissa - 1)
        size = np.abs(rounded)
        rounded = np.where(size >= 2.0 ** min(limit + 1, 1023), np.copysign(np.inf, x), rounded)
        rounded = np.where(size < 2.0 ** max(1 - limit, -1074), np.copysign(0.0, x), rounded)
        return np.asarray(np.where(np.isfinite(x), rounded, x)).astype(dtype)

    full = {2: (5, 10), 4: (8, 23), 8: (11, 52)}.get(dtype.itemsize, (0, 0))
    if dtype.kind == "f" and exponent >= full[0] and mantissa >= full[1]:
        return lambda x: x
    return run


@rule("select_n")
def _select_n(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    which, shape = ins[0], outs[0].shape
    scalar = which.ndim == 0
    if scalar and which.dtype == np.bool_:
        return lambda c, no, yes: yes if c else no
    if scalar:
        return lambda c, *cases: cases[min(max(int(c), 0), len(cases) - 1)]
    if which.dtype == np.bool_ and len(ins) == 3:
        return lambda c, no, yes: np.where(c, yes, no)
    if which.dtype == np.bool_:
        return lambda c, only: only

    def run(c: Array, *cases: Array) -> Array:
        held = np.clip(c, 0, len(cases) - 1)
        made = np.array(np.broadcast_to(cases[0], shape))
        for k, case in enumerate(cases[1:], 1):
            np.copyto(made, case, where=held == k)
        return made

    return run


@rule("clamp")
def _clamp(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
    return lambda low, x, high: np.asarray(np.minimum(np.maximum(x, low), high))


def _ordered(x: Array) -> Array:
    """Floats as integers in the total order (-NaN < -inf < ... < -0 < 0 < ... < inf < NaN)."""
    signed = np.dtype(f"i{x.dtype.itemsize}")
    bits = np.ascontiguousarray(x).view(signed).reshape(x.shape)
    return np.where(bits < 0, bits ^ np.iinfo(signed).max, bits)


def _total_order(ufunc: Any) -> Any:
    def make(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Run:
        if ins[0].dtype.kind in "fV":
            return lambda x, y: np.asarray(ufunc(_ordered(x), _ordered(y)))
        return lambda x, y: np.asarray(ufunc(x, y))

    return make


rule("eq_to")(_total_order(np.equal))
rule("lt_to")(_total_order(np.less))
rule("le_to")(_total_order(np.less_equal))
