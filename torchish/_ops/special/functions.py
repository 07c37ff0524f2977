"""Special functions: error functions, gamma functions, entropies, and `torch.special`'s names."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.numpy import ndarray as Array

from ..call.composites import last
from ..layers.activation import sigmoid
from ..pointwise import accurate, arithmetic as pointwise, unary as pointwise_unary
from ..pointwise.arithmetic import xlogy_with
from ..reduce import reductions as reduce
from ..registry import Operand, Scalar, Tensor, composite, op, ops
from ..shared import numeric as num
from .zeta import hurwitz

_ALL = ("torch", "method", "special")


@op("float", inplace=True, into=_ALL)
@num.widened
def erf(input: Tensor) -> Array:
    """The error function."""
    return accurate.erf(input)


@op("float", inplace=True, into=_ALL)
@num.widened
def erfc(input: Tensor) -> Array:
    """1 - erf(input), accurate for large input."""
    return jax.lax.erfc(input)


@op("float", inplace=True, into=_ALL)
@num.widened
def erfinv(input: Tensor) -> Array:
    """The inverse of erf on (-1, 1)."""
    return jax.lax.erf_inv(input)


@op("float", inplace=True)
@num.widened
def lgamma(input: Tensor) -> Array:
    """log |Gamma(input)|."""
    return _lgamma(input)


@op("float", into=("special",), grad_name="LgammaBackward0")
@num.widened
def gammaln(input: Tensor) -> Array:
    """log |Gamma(input)|."""
    return _lgamma(input)


@op("float", inplace=True, into=_ALL)
@num.widened
def digamma(input: Tensor) -> Array:
    """The derivative of lgamma; -inf at 0, NaN at the other poles."""
    return _digamma(input)


@op("float", into=("special",), grad_name="DigammaBackward0")
@num.widened
def psi(input: Tensor) -> Array:
    """The derivative of lgamma."""
    return _digamma(input)


def _digamma_value(x: Array) -> Array:
    return jnp.where(x == 0, jnp.copysign(jnp.inf, -x).astype(x.dtype), jax.lax.digamma(x))


def _digamma_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return _trigamma(primals[0]) * tangents[0]


_digamma = num.with_derivative(_digamma_value, _digamma_tangent)


def _lgamma_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return _digamma(primals[0]) * tangents[0]


def _lgamma_value(x: Array) -> Array:
    """In float64: XLA's float32 form loses four digits near its zeros at 1 and 2."""
    return jax.lax.lgamma(x.astype(jnp.float64)).astype(x.dtype)


_lgamma = num.with_derivative(_lgamma_value, _lgamma_tangent)


def _order(n: int, x: Array) -> Array:
    """(-1)^(n+1) n! zeta(n + 1, x): the n-th derivative of digamma."""
    sign = 1.0 if n % 2 else -1.0
    return sign * math.gamma(n + 1) * hurwitz(jnp.full_like(x, n + 1), x)


def _trigamma(x: Array) -> Array:
    """The derivative of digamma, by reflection where x is below 1/2."""
    low = x < 0.5
    upper = _order(1, jnp.where(low, 1 - x, x))
    sine = jnp.sin(math.pi * jnp.where(low, x, jnp.full_like(x, 0.5)))
    return jnp.where(low, (math.pi / sine) ** 2 - upper, upper)


@op("float", into=("internal",), name="polygamma", inplace_grad_name="PolygammaBackward1")
@num.widened
def _polygamma(input: Tensor, n: int) -> Array:
    if n == 0:
        return _digamma(input)
    return _trigamma(input) if n == 1 else _order(n, input)


@composite(into=("torch", "special"), out=True)
def polygamma(n: int, input: Any) -> Tensor:
    """The n-th derivative of digamma."""
    return _derivative(input, n)


@composite(into=("method",), name="polygamma", inplace=("method",))
def _polygamma_method(self: Any, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return _derivative(self, n)


def _derivative(input: Any, n: int) -> Any:
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return last(_polygamma, input, n)


@op("float", inplace=True, elementwise=False)
@num.widened
def mvlgamma(input: Tensor, p: int) -> Array:
    """The log of the multivariate gamma function of dimension `p`."""
    return _multigammaln(input, p)


@op("float", into=("special",), grad_name="MvlgammaBackward0")
@num.widened
def multigammaln(input: Tensor, p: int) -> Array:
    """The log of the multivariate gamma function of dimension `p`."""
    return _multigammaln(input, p)


def _multigammaln(x: Array, p: int) -> Array:
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    shift = jnp.arange(p, dtype=x.dtype) / 2
    terms = jnp.sum(_lgamma(x[..., None] - shift), axis=-1)
    return terms + p * (p - 1) / 4 * math.log(math.pi)


@op("float", inplace=True, into=_ALL)
@num.widened
def logit(input: Tensor, eps: Scalar = None) -> Array:
    """log(x / (1 - x)), of x clamped to [eps, 1 - eps] if `eps` is given."""
    x = input
    if eps is None:
        return _logit(x)
    low = num.as_dtype(eps, x)
    high = 1 - low
    # Outside of the limits the gradient is 0.
    limited = jnp.where(x < low, low, jnp.where(x > high, high, x))
    return jnp.log(limited / (1 - limited))


def _inside(x: Array) -> Array:
    """`x`, NaN outside of [0, 1]."""
    return jnp.where((x >= 0) & (x <= 1), x, jnp.full_like(x, jnp.nan))


def _logit_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    x = _inside(primals[0])
    return tangents[0] / (x * (1 - x))


# At 0 and 1 autodiff would give NaN; the derivative is inf there.
_logit = num.with_derivative(lambda x: jnp.log(_inside(x) / (1 - x)), _logit_tangent)


@op("float", inplace=True, into=_ALL)
@num.widened
def sinc(input: Tensor) -> Array:
    """sin(pi x) / (pi x), and 1 at 0."""
    return _sinc(input)


def _sinc_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    x = primals[0]
    near = jnp.abs(x) < 1e-3  # where the quotient would cancel: two terms of the series instead
    y = math.pi * jnp.where(near, jnp.ones_like(x), x)
    series = -(math.pi**2) * x / 3 + math.pi**4 * x**3 / 30
    far = math.pi * (jnp.cos(y) * y - jnp.sin(y)) / (y * y)
    return jnp.where(near, series, far) * tangents[0]


_sinc = num.with_derivative(jnp.sinc, _sinc_tangent)


@op("float", inplace=True, into=_ALL)
@num.widened
def i0(input: Tensor) -> Array:
    """The modified Bessel function of the first kind of order 0."""
    return _i0(input)


@op("float", into=("special",), grad_name="SpecialI0EBackward0")
@num.widened
def i0e(input: Tensor) -> Array:
    """i0 times exp(-|x|)."""
    return jax.scipy.special.i0e(input)


@op("float", into=("special",), grad_name="SpecialI1Backward0")
@num.widened
def i1(input: Tensor) -> Array:
    """The modified Bessel function of the first kind of order 1."""
    return _i1(input)


def _i0_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return _i1(primals[0]) * tangents[0]


def _i1_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    x = primals[0]
    safe = jnp.where(x == 0, jnp.ones_like(x), x)
    return jnp.where(x == 0, 0.5 * jnp.ones_like(x), _i0(x) - _i1(safe) / safe) * tangents[0]


# JAX's rules go through |x| and are wrong at 0.
_i0 = num.with_derivative(lambda x: jax.scipy.special.i0(x), _i0_tangent)
_i1 = num.with_derivative(lambda x: jax.scipy.special.i1(x), _i1_tangent)


@op("float", into=("special",), grad_name="SpecialI1EBackward0")
@num.widened
def i1e(input: Tensor) -> Array:
    """i1 times exp(-|x|)."""
    return jax.scipy.special.i1e(input)


@op("float", into=("special",), grad_name="SpecialEntrBackward0")
@num.widened
def entr(input: Tensor) -> Array:
    """-x log(x) for x > 0, 0 at 0, -inf below."""
    return _entr(input)


def _entr_value(x: Array) -> Array:
    return jnp.where(jnp.isnan(x), x, jax.scipy.special.entr(x))


def _entr_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return (-jnp.log(primals[0]) - 1) * tangents[0]


_entr = num.with_derivative(_entr_value, _entr_tangent)


@op("float", into=("special",))
@num.widened
def ndtr(input: Tensor) -> Array:
    """The area under the standard normal density up to x."""
    return 0.5 * jax.lax.erfc(-input * math.sqrt(0.5))


@op("float", into=("special",), grad_name="SpecialNdtriBackward0")
@num.widened
def ndtri(input: Tensor) -> Array:
    """The inverse of ndtr."""
    return _ndtri(input)


def _ndtri_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return math.sqrt(2 * math.pi) * jnp.exp(out * out / 2) * tangents[0]


_ndtri = num.with_derivative(lambda x: jax.scipy.special.ndtri(x), _ndtri_tangent)


@op("float", into=("special",), grad_name="SpecialLogNdtrBackward0")
@num.widened
def log_ndtr(input: Tensor) -> Array:
    """log(ndtr(x)), stable."""
    return jax.scipy.special.log_ndtr(input)


@op("float", into=("special",), grad_name="SpecialErfcxBackward0")
@num.widened
def erfcx(input: Tensor) -> Array:
    """exp(x^2) erfc(x), stable."""
    return _erfcx(input)


def _erfcx_value(x: Array) -> Array:
    wide = x.astype(jnp.float64)
    middle = jnp.clip(wide, -30.0, 40.0)
    near = jnp.exp(
        middle * middle + math.log(2) + jax.scipy.special.log_ndtr(-middle * math.sqrt(2))
    )
    far = jnp.maximum(wide, 40.0)
    square = 1 / (2 * far * far)
    series = 1 - square * (1 - 3 * square * (1 - 5 * square * (1 - 7 * square)))
    return jnp.where(wide > 40, series / (far * math.sqrt(math.pi)), near).astype(x.dtype)


def _erfcx_tangent(out: Array, primals: Any, tangents: Any) -> Array:
    return (2 * primals[0] * out - 2 / math.sqrt(math.pi)) * tangents[0]


_erfcx = num.with_derivative(_erfcx_value, _erfcx_tangent)


@op("float", into=("special",), grad_name="SpecialXlog1PyBackward0")
@num.widened
def xlog1py(input: Operand, other: Operand) -> Array:
    """input * log1p(other), and 0 where `input` is 0."""
    return xlogy_with(jnp.log1p, input, other)


@op("float", into=("special",), grad_name="SpecialZetaBackward0")
@num.widened
def zeta(input: Operand, other: Operand) -> Array:
    """The Hurwitz zeta function."""
    return hurwitz(*jnp.broadcast_arrays(input, other))


@op("float", into=("special",), name="gammainc", grad_name="SpecialGammaincBackward0")
@num.widened
def gammainc(input: Tensor, other: Tensor) -> Array:
    """The regularised lower incomplete gamma function."""
    return jax.scipy.special.gammainc(*jnp.broadcast_arrays(input, other))


@op("float", into=("special",), name="gammaincc", grad_name="SpecialGammainccBackward0")
@num.widened
def gammaincc(input: Tensor, other: Tensor) -> Array:
    """The regularised upper incomplete gamma function."""
    return jax.scipy.special.gammaincc(*jnp.broadcast_arrays(input, other))


@composite(inplace=("method",), out=True)
def igamma(input: Any, other: Any) -> Tensor:
    """`special.gammainc`."""
    return last(gammainc, input, other)


@composite(inplace=("method",), out=True)
def igammac(input: Any, other: Any) -> Tensor:
    """`special.gammaincc`."""
    return last(gammaincc, input, other)


# torch.special's names for functions that are defined elsewhere.
for _name, _function in (
    ("exp2", pointwise_unary.exp2), ("expm1", pointwise_unary.expm1), ("expit", sigmoid),
    ("log1p", pointwise_unary.log1p), ("round", pointwise_unary.round),
    ("logsumexp", reduce.logsumexp), ("xlogy", pointwise.xlogy),
):  # fmt: skip
    composite(into=("special",), name=_name)(_function)


@composite(into=("special",))
def softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    return ops.softmax(input, dim, dtype)


@composite(into=("special",))
def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`."""
    return ops.log_softmax(input, dim, dtype)
