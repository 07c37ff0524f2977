"""In-place random fills: `uniform_`, `normal_`, `random_`, `bernoulli_` and their kind.

The formulas of each distribution are in `_random/draws.py`.

Source: Matsumoto & Nishimura, 1998, the generator.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from ..._basics import dtypes
from ..._basics.dtypes import CPP_NAMES, SCALAR_NAMES, dtype
from ..._random import draws
from ..._random.drawing import Distribution, as_float, fill, not_implemented, number
from ..call.warning import user_level
from ..registry import Tensor, composite

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def _wide(np_dtype: Any) -> Any:
    """The dtype in which a device computes before rounding to `np_dtype`."""
    return jnp.float64 if np.dtype(np_dtype).itemsize in (8, 16) else jnp.float32


# -- distributions ---------------------------------------------------------------------------------


def _host_uniform(gen: Any, n: int, dt: Any, contiguous: bool, low: float, high: float) -> Any:
    return draws.uniform(gen, n, dt, low, high)


def _device_uniform(key: Any, shape: Any, dt: Any, low: Any, high: Any) -> Any:
    if np.dtype(dt).kind == "c":
        real = _device_uniform(key, (*shape, 2), np.dtype(dt).type(0).real.dtype, low, high)
        return jax.lax.complex(real[..., 0], real[..., 1])
    wide = _wide(dt)
    low, high = low.astype(wide), high.astype(wide)
    made = low + jax.random.uniform(key, shape, wide) * (high - low)
    rounded = made.astype(dt)
    return jnp.where(rounded == high.astype(dt), low.astype(dt), rounded)


def _host_normal(gen: Any, n: int, dt: Any, contiguous: bool, mean: float, std: float) -> Any:
    return draws.normal(gen, n, dt, mean, std, contiguous)


def _device_normal(key: Any, shape: Any, dt: Any, mean: Any, std: Any) -> Any:
    if np.dtype(dt).kind == "c":
        real = _device_normal(key, (*shape, 2), np.dtype(dt).type(0).real.dtype, mean, std)
        return jax.lax.complex(real[..., 0], real[..., 1])
    wide = _wide(dt)
    return mean.astype(wide) + std.astype(wide) * jax.random.normal(key, shape, wide)


def _host_log_normal(gen: Any, n: int, dt: Any, contiguous: bool, mean: float, std: float) -> Any:
    return draws.log_normal(gen, n, dt, mean, std)


def _device_log_normal(key: Any, shape: Any, dt: Any, mean: Any, std: Any) -> Any:
    return jnp.exp(_device_normal(key, shape, dt, mean, std))


def _host_exponential(gen: Any, n: int, dt: Any, contiguous: bool, rate: float) -> Any:
    return draws.exponential(gen, n, dt, rate)


def _device_exponential(key: Any, shape: Any, dt: Any, rate: Any) -> Any:
    return jax.random.exponential(key, shape, _wide(dt)) / rate.astype(_wide(dt))


def _host_cauchy(gen: Any, n: int, dt: Any, contiguous: bool, median: float, sigma: float) -> Any:
    return draws.cauchy(gen, n, dt, median, sigma)


def _device_cauchy(key: Any, shape: Any, dt: Any, median: Any, sigma: Any) -> Any:
    wide = _wide(dt)
    return median.astype(wide) + sigma.astype(wide) * jax.random.cauchy(key, shape, wide)


def _host_geometric(gen: Any, n: int, dt: Any, contiguous: bool, p: float) -> Any:
    return draws.geometric(gen, n, dt, p)


def _device_geometric(key: Any, shape: Any, dt: Any, p: Any) -> Any:
    u = 1.0 - jax.random.uniform(key, shape, jnp.float32)
    return jnp.ceil(jnp.log(u) / jnp.log1p(-p.astype(jnp.float32))).astype(dt)


def _host_bernoulli(gen: Any, n: int, dt: Any, contiguous: bool, p: float) -> Any:
    return draws.bernoulli(gen, n, p).astype(dt, copy=False)


def _device_bernoulli(key: Any, shape: Any, dt: Any, p: Any) -> Any:
    return jax.random.uniform(key, shape, jnp.float32) < p.astype(jnp.float32)


def _host_unit(gen: Any, n: int, dt: Any, contiguous: bool) -> Any:
    return draws.uniform(gen, n, dt)


def _device_unit(key: Any, shape: Any, dt: Any) -> Any:
    return jax.random.uniform(key, shape, dt)


def _host_integers(gen: Any, n: int, dt: Any, contiguous: bool, span: int, base: int) -> Any:
    return draws.integers(gen, n, dt, span % 2**64, base)


def _device_integers(key: Any, shape: Any, dt: Any, span: Any, base: Any) -> Any:
    bits = jax.random.bits(key, shape, jnp.uint64)
    values = jax.lax.rem(bits, jnp.broadcast_to(span.astype(jnp.uint64), shape))
    return (values.astype(jnp.int64) + base).astype(dt)


def _host_full(gen: Any, n: int, dt: Any, contiguous: bool) -> Any:
    return draws.integers_full(gen, n, dt)


def _device_full(key: Any, shape: Any, dt: Any) -> Any:
    return jax.random.bits(key, shape, jnp.uint64).astype(jnp.int64).astype(dt)


def _host_default(gen: Any, n: int, dt: Any, contiguous: bool) -> Any:
    return draws.integers_default(gen, n, dt)


def _device_default(key: Any, shape: Any, dt: Any) -> Any:
    span = jnp.uint64(draws.default_span(np.dtype(dt)))
    bits = jax.random.bits(key, shape, jnp.uint64)
    return jax.lax.rem(bits, jnp.broadcast_to(span, shape)).astype(dt)


UNIFORM = Distribution("uniform_", _host_uniform, _device_uniform)
NORMAL = Distribution("normal_", _host_normal, _device_normal)
LOG_NORMAL = Distribution("log_normal_", _host_log_normal, _device_log_normal)
EXPONENTIAL = Distribution("exponential_", _host_exponential, _device_exponential)
CAUCHY = Distribution("cauchy_", _host_cauchy, _device_cauchy)
GEOMETRIC = Distribution("geometric_", _host_geometric, _device_geometric)
BERNOULLI = Distribution("bernoulli_", _host_bernoulli, _device_bernoulli)
UNIT = Distribution("uniform_", _host_unit, _device_unit)
INTEGERS = Distribution("random_", _host_integers, _device_integers)
INTEGERS_FULL = Distribution("random_", _host_full, _device_full)
INTEGERS_DEFAULT = Distribution("random_", _host_default, _device_default)


# -- continuous ------------------------------------------------------------------------------------


def largest(dt: dtype) -> float:
    """The largest finite number of a floating dtype."""
    info: Any = ml_dtypes.finfo(dt.np)  # type: ignore[no-untyped-call]
    return float(info.max)


def _floating(self: Any, kernel: str) -> None:
    if not self._aval.dtype.is_floating_point:
        raise not_implemented(kernel, self._aval.dtype)


def check_uniform(dt: dtype, low: float, high: float) -> None:
    """Raise torch's errors for the bounds of `uniform_`."""
    real = dt.to_real()
    if not real.is_floating_point:
        raise not_implemented("check_uniform_bounds", dt)
    top = largest(real)
    for name, x in (("from", low), ("to", high)):
        if not -top <= x <= top:
            raise RuntimeError(f"{name} is out of bounds for {CPP_NAMES[real]}")
    if low > high:
        raise RuntimeError(
            "uniform_ expects to return a [from, to) range, but found "
            f"from={number(low)} > to={number(high)}"
        )
    if high - low > top:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{SCALAR_NAMES[real]}>::max(), but "
            f"found to={number(high)} and from={number(low)} which result in to-from to exceed the "
            "limit"
        )


@composite(into=("method",), name="uniform_")
def uniform_(self: Any, *args: Any, generator: Any = None, **bounds: Any) -> Tensor:
    """Fill with low + u (high - low), u uniform in [0, 1); `uniform_(from=0, to=1)`.

    Raises: RuntimeError for bounds out of order or of the dtype's range.
    """
    low, high = _from_to("uniform_", args, bounds, (0.0, 1.0))
    low, high = as_float(low, "uniform_", "from"), as_float(high, "uniform_", "to", 2)
    check_uniform(self._aval.dtype, low, high)
    return fill(self, UNIFORM, (low, high), generator, "UniformBackward0")


def _from_to(name: str, args: tuple[Any, ...], given: dict[str, Any], default: Any) -> Any:
    """Values of `from` and `to`; the first is a keyword of Python and cannot be a parameter."""
    if len(args) > 2:
        raise TypeError(
            f"{name}() takes from 0 to 2 positional arguments but {len(args)} were given"
        )
    found = dict(zip(("from", "to"), args, strict=False))
    for key, value in given.items():
        if key not in ("from", "to"):
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        if key in found:
            raise TypeError(f"{name}() got multiple values for argument '{key}'")
        found[key] = value
    return found.get("from", default[0]), found.get("to", default[1])


def check_std(std: float) -> None:
    """Raise torch's error for a negative standard deviation."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {number(std)}")


def normal_numbers(dt: dtype, mean: Any, std: Any) -> tuple[float, float]:
    """Mean and deviation of what is drawn: a complex number shares its variance between its parts.

    Raises: torch's errors for a negative deviation and for dtypes that are not floating.
    """
    check_std(std)
    if not (dt.is_floating_point or dt.is_complex):
        raise not_implemented("normal_kernel_cpu", dt)
    return mean, std / 2**0.5 if dt.is_complex else std


@composite(into=("method",))
def normal_(self: Any, mean: Any = 0, std: Any = 1, *, generator: Any = None) -> Tensor:
    """Fill with normal values of this mean and standard deviation.

    Raises: RuntimeError for a negative `std`.
    """
    mean, std = as_float(mean, "normal_", "mean"), as_float(std, "normal_", "std", 2)
    check_std(std)
    if self._aval.numel:
        mean, std = normal_numbers(self._aval.dtype, mean, std)
    return fill(self, NORMAL, (mean, std), generator, "NormalBackward0")


@composite(into=("method",))
def log_normal_(self: Any, mean: Any = 1, std: Any = 2, *, generator: Any = None) -> Tensor:
    """Fill with exp(x), x normal of this mean and standard deviation.

    Raises: RuntimeError unless `std` is positive.
    """
    mean, std = as_float(mean, "log_normal_", "mean"), as_float(std, "log_normal_", "std", 2)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={number(std)}")
    _floating(self, "log_normal_cpu")
    return fill(self, LOG_NORMAL, (mean, std), generator, "LogNormalBackward0")


@composite(into=("method",))
def exponential_(self: Any, lambd: Any = 1, *, generator: Any = None) -> Tensor:
    """Fill with -log(1 - u) / lambd.

    Raises: RuntimeError unless `lambd` is positive and the dtype floating.
    """
    lambd = as_float(lambd, "exponential_", "lambd")
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={number(lambd)}")
    if not self._aval.dtype.is_floating_point:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {SCALAR_NAMES[self._aval.dtype]}"
        )
    return fill(self, EXPONENTIAL, (lambd,), generator, "ExponentialBackward0")


@composite(into=("method",))
def cauchy_(self: Any, median: Any = 0, sigma: Any = 1, *, generator: Any = None) -> Tensor:
    """Fill with median + sigma tan(pi (u - 1/2)).

    Raises: RuntimeError unless `sigma` is positive and the dtype floating.
    """
    median, sigma = as_float(median, "cauchy_", "median"), as_float(sigma, "cauchy_", "sigma", 2)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={number(sigma)}")
    if not self._aval.dtype.is_floating_point:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {CPP_NAMES[self._aval.dtype]}"
        )
    return fill(self, CAUCHY, (median, sigma), generator, "CauchyBackward0")


# -- discrete --------------------------------------------------------------------------------------


@composite(into=("method",))
def geometric_(self: Any, p: Any = None, *, generator: Any = None) -> Tensor:
    """Fill with ceil(log(u) / log(1 - p)): trials up to the first success.

    Raises: RuntimeError unless 0 < p < 1.
    """
    if p is None:
        raise TypeError('geometric_() missing 1 required positional arguments: "p"')
    p = as_float(p, "geometric_", "p")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={number(p)}")
    dt = self._aval.dtype
    if dt.is_complex or dt is dtypes.bool_:
        raise not_implemented("geometric_cpu", dt)
    return fill(self, GEOMETRIC, (p,), generator, "GeometricBackward0")


def check_probability(p: float, dt: dtype) -> None:
    """Raise torch's errors for a Bernoulli draw into `dt`."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={number(p)}")
    if dt.is_complex:
        raise not_implemented("bernoulli_scalar_cpu_", dt)


@composite(into=("method",))
def random_(self: Any, *args: Any, generator: Any = None, **bounds: Any) -> Tensor:
    """Fill with integers: `random_()`, `random_(to)` from 0, `random_(from, to)`.

    Raises: RuntimeError for an empty range and for bounds that the dtype cannot hold.
    """
    dt = self._aval.dtype
    if len(args) == 1 and not bounds:
        bounds, args = {"to": args[0]}, ()
    if not args and not bounds:
        if dt.is_complex or dt in (dtypes.uint16, dtypes.uint32, dtypes.uint64):
            raise not_implemented("random_kernel_cpu", dt)
        return fill(self, INTEGERS_DEFAULT, (), generator, "RandomBackward2")
    grad_name = "RandomBackward1" if set(bounds) == {"to"} and not args else "RandomBackward0"
    low, high = _from_to("random_", args, bounds, (0, None))
    low, high = _as_bound(low), None if high is None else _as_bound(high)
    if low == _INT64_MIN and high is None:
        if dt not in (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16):
            raise RuntimeError(
                "random_full_64_bits_range_kernel_cpu handles only int64, double, float and "
                "bfloat16"
            )
        return fill(self, INTEGERS_FULL, (), generator, grad_name)
    span, base = integer_range(dt, low, high)
    return fill(self, INTEGERS, (span, base), generator, grad_name)


def _as_bound(x: Any) -> int:
    if isinstance(x, float) or not (hasattr(x, "__index__") or hasattr(x, "item")):
        raise TypeError(
            "random_() received an invalid combination of arguments - got "
            f"({type(x).__name__}), but expected one of:\n"
            " * (*, torch.Generator generator = None)\n"
            " * (int from, int to, *, torch.Generator generator = None)\n"
            " * (int to, *, torch.Generator generator = None)\n"
        )
    return int(x)


def integer_range(dt: dtype, low: int, high: int | None) -> tuple[int, int]:
    """How many integers [low, high) holds (as a signed 64-bit number) and the first one.

    Raises: torch's errors for an empty range and for bounds out of the dtype's range.
    """
    if dt.is_complex:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types"
        )
    digits = draws.MANTISSA_BITS.get(dt.name)
    if high is None:
        last = _last(dt)
        if digits is not None:
            low = _round_up(low, dt, digits)
            if low >= last:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' "
                    f"casted to dtype, but got from={low} > to_inc={last}"
                )
    else:
        if low >= high:
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
            )
        if digits is not None:
            low, high = _round_up(low, dt, digits), _round_down(high, dt, digits)
            if low >= high:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                    f"but got from={low} >= to={high}"
                )
        last = high - 1
    _check_bound(dt, digits, low, "from")
    _check_bound(dt, digits, last, "to - 1")
    span = last - low + 1
    return (span + 2**63) % 2**64 - 2**63, low


def _last(dt: dtype) -> int:
    """The largest integer that `random_(from, None)` draws."""
    if dt.name in draws.MANTISSA_BITS:
        return int(2 ** draws.MANTISSA_BITS[dt.name])
    return 1 if dt is dtypes.bool_ else int(np.iinfo(dt.np).max)


def _check_bound(dt: dtype, digits: int | None, x: int, what: str) -> None:
    if digits is not None:
        top = largest(dt)
        low, high = -top, top
    elif dt is dtypes.bool_:
        low, high = 0, 1
    else:
        low, high = int(np.iinfo(dt.np).min), int(np.iinfo(dt.np).max)
    if not low <= x <= high:
        raise RuntimeError(f"{what} is out of bounds for {CPP_NAMES.get(dt, dt.name)}")
    if digits is not None and abs(x) > 2**digits:
        warnings.warn(
            f"{what} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations "
            f"{CPP_NAMES[dt]} can support discrete uniform distribution only within this range. "
            "This warning will become an error in version 1.7 release, please fix the code in "
            "advance",
            stacklevel=user_level(),
        )


def _cast(x: int, dt: dtype) -> int:
    """The integer that `x` becomes in a floating dtype (half types go through float)."""
    narrow = np.float64(x) if dt is dtypes.float64 else np.float32(x)
    return int(float(np.asarray(narrow).astype(dt.np)))


def _round_up(low: int, dt: dtype, digits: int) -> int:
    """The lower bound moved to the next number of the dtype if rounding would undercut it."""
    if abs(low + 1) > largest(dt):
        return low
    rounded = _cast(low + 1, dt)
    if rounded >= low:
        return low
    return int(rounded + (1 << (abs(low + 1).bit_length() - digits)))


def _round_down(high: int, dt: dtype, digits: int) -> int:
    """The upper bound moved to the number of the dtype before it if rounding would reach it."""
    if abs(high - 1) > largest(dt):
        return high
    rounded = _cast(high - 1, dt)
    if rounded < high:
        return high
    return int(rounded - (1 << (abs(high - 1).bit_length() - digits)))
