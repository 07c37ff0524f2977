"""Samples whose parameters are tensors: bernoulli, normal, multinomial, poisson, gamma, binomial.

Where the number of words does not depend on the data, only uniforms (normals, exponentials) are
drawn on the host and the rest runs in the program; rejection samplers read their parameters first.

Source: Matsumoto & Nishimura, 1998, the generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._autograd.apply import check_inplace
from ..._autograd.forward import dual_level
from ..._autograd.interop import host_array
from ..._autograd.require import require
from ..._autograd.tensor_base import TensorBase, from_value
from ..._basics import dtypes
from ..._basics.devices import META
from ..._basics.dtypes import SCALAR_NAMES
from ..._basics.memo import Memo
from ..._basics.state import process, state
from ..._basics.strides import preserved_strides
from ..._core.kernels import DrawKernel, Kernel
from ..._core.trace import record_on
from ..._core.values import Value, aval_of, host_value
from ..._random import rejection
from ..._random.drawing import (
    as_float,
    counters,
    draw,
    fill,
    key_of,
    not_implemented,
    overwrite,
    pick,
)
from ..call.composites import DRAWN, last
from ..call.operator import broadcast_check
from ..registry import Scalar, Tensor, composite, internal, op, ops
from .create import _invalid, _Target
from .fills import (
    BERNOULLI,
    EXPONENTIAL,
    NORMAL,
    UNIFORM,
    check_probability,
    check_std,
    normal_numbers,
)

_NOT_PROBABILITY = (
    "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be "
    "improved?  If so, please report an enhancement request to PyTorch.)"
)


def _tensor(name: str, argument: str, x: Any) -> Any:
    if not isinstance(x, TensorBase):
        raise TypeError(
            f"{name}(): argument '{argument}' (position 1) must be Tensor, not {type(x).__name__}"
        )
    return x


def _strides_of(input: Any) -> Any:
    """Strides of `empty_like(input)`."""
    if input._is_plain:
        return None
    return preserved_strides(tuple(input._aval.shape), tuple(input._strides))


# -- Bernoulli -------------------------------------------------------------------------------------


@op("none", into=("internal",), out=False, grad_name="BernoulliBackward0")
def bernoulli_compare(p: Tensor, u: Tensor, dtype: Any = None):
    """1 where u < p; no gradient reaches p."""
    return (jax.lax.stop_gradient(u) < jax.lax.stop_gradient(p.astype(u.dtype))).astype(dtype.np)


def _demand(bad: Any, tensor: Any, text: str) -> None:
    """Raise torch's RuntimeError where an element of `tensor` is `bad`."""
    require(("check", bad), bad, [tensor], [], lambda _: RuntimeError(text))


def _bad_probability(p: Any) -> Any:
    return ((p < 0) | (p > 1) | (p != p)).any()


def _unit_draws(p: Any, shape: Any, strides: Any, dev: Any, generator: Any) -> Any:
    """Uniforms of the precision that a probability tensor asks for."""
    if not p._aval.dtype.is_floating_point:
        raise not_implemented("bernoulli_tensor_cpu_p_", p._aval.dtype)
    require(
        ("check", _bad_probability),
        _bad_probability,
        [p],
        [],
        lambda _: RuntimeError(_NOT_PROBABILITY),
    )
    dt = dtypes.float64 if p._aval.dtype is dtypes.float64 else dtypes.float32
    return from_value(draw(UNIFORM, (0.0, 1.0), shape, dt, dev, generator, strides), strides)


def bernoulli_from(target: Any, p: Any, generator: Any) -> Any:
    """`target.bernoulli_(p)` for a tensor of probabilities."""
    if target._aval.dtype.is_complex:
        raise not_implemented("bernoulli_tensor_cpu_self_", target._aval.dtype)
    check_inplace(target)
    shape = tuple(target._aval.shape)
    wide = p.detach().expand(shape) if tuple(p._aval.shape) != shape else p.detach()
    strides = tuple(target._strides)
    u = _unit_draws(wide, shape, strides, target._storage.device, generator)
    made = internal.bernoulli_compare(wide, u, target._aval.dtype)
    return overwrite(target, made._value(), "BernoulliBackward1")


@composite(into=("method",))
def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fill with 1 where u < p, else 0; `p` is a number or a tensor that broadcasts.

    Raises: RuntimeError for a probability outside [0, 1].
    """
    if isinstance(p, TensorBase) and p._aval.ndim + p._aval.dtype.category >= dtypes.FLOAT:
        return bernoulli_from(self, p, generator)
    p = as_float(p, "bernoulli_", "p")
    check_probability(p, self._aval.dtype)
    return fill(self, BERNOULLI, (p,), generator, "BernoulliBackward2")


@composite(out=DRAWN)
def bernoulli(input: Any, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element gives (or with probability `p`), else 0.

    Raises: RuntimeError for a probability outside [0, 1].
    """
    _tensor("bernoulli", "input", input)
    shape, dev = tuple(input._aval.shape), input._storage.device
    if p is not None:
        p = as_float(p, "bernoulli", "p", 2)
        check_probability(p, input._aval.dtype)
        return from_value(draw(BERNOULLI, (p,), shape, input._aval.dtype, dev, generator))
    u = _unit_draws(input, shape, None, dev, generator)
    return internal.bernoulli_compare(input, u, input._aval.dtype)


# -- normal ----------------------------------------------------------------------------------------


def _affine(mean: Any, std: Any, noise: Any) -> Any:
    scaled = noise if std is None else noise * std.astype(noise.dtype)
    made = scaled if mean is None else scaled + mean.astype(noise.dtype)
    return jax.lax.stop_gradient(made)


@op("none", into=("internal",), out=False, grad_name="NormalBackward1")
def normal_shift(mean: Tensor, noise: Tensor):
    """noise + mean; no gradient reaches the mean."""
    return _affine(mean, None, noise)


@op("none", into=("internal",), out=False, grad_name="NormalBackward2")
def normal_scale(std: Tensor, noise: Tensor, mean: Scalar):
    """noise * std + mean; no gradient reaches the deviation."""
    return _affine(mean, std, noise)


@op("none", into=("internal",), out=False, grad_name="NormalBackward3")
def normal_both(mean: Tensor, std: Tensor, noise: Tensor):
    """noise * std + mean; no gradient reaches either."""
    return _affine(mean, std, noise)


def _bad_std(std: Any) -> Any:
    return (std < 0).any()


def _check_std_tensor(std: Any) -> None:
    if std._aval.dtype.is_complex:
        raise RuntimeError("normal expects standard deviation to be non-complex")
    require(
        ("check", _bad_std),
        _bad_std,
        [std],
        [],
        lambda _: RuntimeError("normal expects all elements of std >= 0.0"),
    )


@composite(into=("torch",), out=DRAWN._replace(warn=True))
def normal(
    mean: Any, std: Any = 1, size: Any = None, *, generator: Any = None, **options: Any
) -> Tensor:
    """Normal values: `normal(mean, std)` with tensors, or `normal(0.0, 1.0, size)`.

    Raises: RuntimeError for a negative deviation.
    """
    tensors = [x for x in (mean, std) if isinstance(x, TensorBase)]
    if size is not None or not tensors:
        return last(_normal_of_size, mean, std, size, generator, options)
    if options:
        raise _invalid("normal", (mean, std), options, "Tensor mean, Tensor std, ")
    if isinstance(std, TensorBase):
        _check_std_tensor(std)
    else:
        check_std(as_float(std, "normal", "std", 2))
    shape = _broadcast([tuple(t._aval.shape) for t in tensors])
    like = tensors[0]
    width = std if isinstance(std, int | float) else 1.0
    numbers = normal_numbers(like._aval.dtype, 0.0, float(width))
    dev = like._storage.device
    noise = from_value(draw(NORMAL, numbers, shape, like._aval.dtype, dev, generator))
    if not isinstance(std, TensorBase):
        return internal.normal_shift(mean, noise)
    if not isinstance(mean, TensorBase):
        return internal.normal_scale(std, noise, as_float(mean, "normal", "mean"))
    return internal.normal_both(mean, std, noise)


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    broadcast_check(shapes)
    return tuple(np.broadcast_shapes(*shapes))


def _normal_of_size(
    mean: Any, std: Any, size: Any, generator: Any, options: dict[str, Any], *, out: Any = None
) -> Any:
    if size is None:
        form = "float mean, float std, tuple of ints size, "
        raise _invalid("normal", (mean, std), options, form)
    shape = tuple(int(n) for n in size)
    given = {**options, "generator": generator, "out": out}
    target = _Target("normal", (mean, std, size), given, process.default_dtype, "")
    mean, std = as_float(mean, "normal", "mean"), as_float(std, "normal", "std", 2)
    return target.draw(NORMAL, normal_numbers(target.dtype, mean, std), shape)


# -- multinomial -----------------------------------------------------------------------------------


@op("none", into=("internal",), out=False, differentiable=False)
def multinomial_race(weights: Tensor, clocks: Tensor, samples: int = 1):
    """Places of the largest weight / exponential of each row."""
    raced = weights / clocks
    if samples == 1:
        return raced.argmax(-1, keepdims=True)
    return jax.lax.top_k(raced, samples)[1].astype(jnp.int64)


@op("none", into=("internal",), out=False, differentiable=False)
def multinomial_search(weights: Tensor, u: Tensor):
    """Places of the uniforms `u` in the running sum of each row's weights."""
    total = jnp.cumsum(weights.astype(jnp.float32), -1)
    edges = total / total[..., -1:]
    found = (edges[..., None, :-1] < u[..., :, None]).sum(-1)
    return found.astype(jnp.int64)


def _bad_weights(p: Any) -> Any:
    return ((p < 0) | (p == math.inf) | (p != p)).any()


def _no_weights(p: Any) -> Any:
    return (p.sum(-1) == 0).any()


def _check_multinomial(input: Any, num_samples: Any, replacement: bool) -> None:
    if isinstance(num_samples, bool) or not hasattr(num_samples, "__index__"):
        raise TypeError(
            "multinomial(): argument 'num_samples' (position 2) must be int, not "
            f"{type(num_samples).__name__}"
        )
    if not 1 <= input._aval.ndim <= 2:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input._aval.dtype.is_floating_point:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{SCALAR_NAMES[input._aval.dtype]}"
        )
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input._aval.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )


@composite(out=DRAWN._replace(rule="multinomial"))
def multinomial(
    input: Any, num_samples: Any, replacement: bool = False, *, generator: Any = None
) -> Tensor:
    """Indices drawn in proportion to the weights in each row of `input`.

    Shape: input (n) or (m, n), result (num_samples) or (m, num_samples).

    Raises: RuntimeError for negative, infinite or all-zero weights.
    """
    _tensor("multinomial", "input", input)
    _check_multinomial(input, num_samples, replacement)
    num_samples, weights = int(num_samples), input.detach()
    shape, dev = tuple(input._aval.shape), input._storage.device
    if 0 in shape:
        return ops.zeros((*shape[:-1], num_samples), dtype=dtypes.int64, device=dev)
    racing = not replacement or num_samples == 1
    _check_weights(weights, racing)
    if racing:
        strides = _strides_of(input)
        clocks = draw(EXPONENTIAL, (1.0,), shape, input._aval.dtype, dev, generator, strides)
        return internal.multinomial_race(weights, from_value(clocks, strides), num_samples)
    if dev.type == "cpu":
        gen = pick(generator, dev, "multinomial")
        drawn = rejection.multinomial(gen, host_array(weights), num_samples, True)
        return from_value(host_value(drawn))
    size = (*shape[:-1], num_samples)
    u = draw(UNIFORM, (0.0, 1.0), size, dtypes.float32, dev, generator)
    return internal.multinomial_search(weights, from_value(u))


def _check_weights(weights: Any, racing: bool) -> None:
    if racing:
        wrong = "probability tensor contains either `inf`, `nan` or element < 0"
        _demand(_bad_weights, weights, wrong)
    else:
        kind = "invalid multinomial distribution (encountering probability entry "
        require(
            ("check", _negative), _negative, [weights], [], lambda _: RuntimeError(f"{kind}< 0)")
        )
        require(
            ("check", _not_finite),
            _not_finite,
            [weights],
            [],
            lambda _: RuntimeError(f"{kind}= infinity or NaN)"),
        )
    zero = "invalid multinomial distribution (sum of probabilities <= 0)"
    _demand(_no_weights, weights, zero)


def _negative(p: Any) -> Any:
    return (p < 0).any()


def _not_finite(p: Any) -> Any:
    return ((p == math.inf) | (p != p)).any()


# -- samplers that reject --------------------------------------------------------------------------

_KERNELS: Memo[Kernel] = Memo()


def _sample(
    name: str, host: Callable[..., Any], device: Callable[..., Any], inputs: list[Any],
    generator: Any,
) -> Value:  # fmt: skip
    """A Value of `host(generator, *arrays)`, or of `device(key, *arrays)` off the CPU."""
    dev = inputs[0]._storage.device
    if dev is META:
        return Value(None, aval_of(tuple(inputs[0]._aval.shape), inputs[0]._aval.dtype), META)
    gen = pick(generator, dev, name)
    if dev.type == "cpu":
        return host_value(host(gen, *[host_array(x) for x in inputs]))
    avals = tuple(x._aval for x in inputs)

    def fn(seed: Any, counter: Any, *arrays: Any) -> tuple[Any]:
        return (device(key_of(seed, counter), *arrays).astype(arrays[0].dtype),)

    def make() -> Kernel:
        return DrawKernel(name, fn, (int, int, *avals), differentiable=False)

    kernel = _KERNELS.find((name, avals), make)
    return record_on(dev, kernel, (*counters(gen), *[x._value() for x in inputs]))[0]


def _wide(x: Any) -> Any:
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


@op("none", into=("internal",), out=False, elementwise=True, grad_name="PoissonBackward0")
def poisson_link(input: Tensor, drawn: Tensor):
    """The drawn values; no gradient reaches the rates."""
    return jax.lax.stop_gradient(drawn)


def _bad_rate(x: Any) -> Any:
    return (~(x >= 0)).any()


@composite(into=("torch",))
def poisson(input: Any, generator: Any = None) -> Tensor:
    """Poisson counts, each with the rate that `input` gives.

    Raises: RuntimeError for a negative rate.
    """
    _tensor("poisson", "input", input)
    if not input._aval.dtype.is_floating_point:
        raise not_implemented("poisson_cpu", input._aval.dtype)
    wrong = "invalid Poisson rate, expected rate to be non-negative"
    _demand(_bad_rate, input, wrong)
    value = _sample("poisson", rejection.poisson, _device_poisson, [input.detach()], generator)
    made = from_value(value)
    return internal.poisson_link(input, made) if _wants_grad(input) else made


def _device_poisson(key: Any, rate: Any) -> Any:
    return jax.random.poisson(key, _wide(rate))


def _wants_grad(x: Any) -> bool:
    return bool(state.grad_enabled and x._needs_grad()) or dual_level(x) is not None


@jax.custom_jvp
def _through_alpha(alpha: Any, drawn: Any) -> Any:
    return drawn


@_through_alpha.defjvp
def _through_alpha_jvp(primals: Any, tangents: Any) -> Any:
    alpha, drawn = primals
    return drawn, jax.lax.random_gamma_grad(alpha, drawn) * tangents[0]


@op("none", into=("internal",), out=False, elementwise=True, grad_name="StandardGammaBackward0")
def gamma_link(alpha: Tensor, drawn: Tensor):
    """The drawn values with the implicit gradient d drawn / d alpha."""
    return _through_alpha(alpha, jax.lax.stop_gradient(drawn))


@composite(into=("torch",))
def _standard_gamma(input: Any, generator: Any = None) -> Tensor:
    """Gamma values of these concentrations and rate 1, differentiable."""
    _tensor("_standard_gamma", "input", input)
    if input._aval.dtype not in (dtypes.float32, dtypes.float64):
        raise not_implemented("gamma_cpu", input._aval.dtype)
    value = _sample("_standard_gamma", rejection.gamma, _device_gamma, [input.detach()], generator)
    made = from_value(value)
    return internal.gamma_link(input, made) if _wants_grad(input) else made


def _device_gamma(key: Any, alpha: Any) -> Any:
    return jnp.maximum(jax.random.gamma(key, alpha), jnp.finfo(alpha.dtype).tiny)


@composite(into=("torch",))
def _sample_dirichlet(input: Any, generator: Any = None) -> Tensor:
    """Dirichlet values: gamma values over their sum along the last dim.

    Differs from torch: the result has no history (torch's raises in backward).
    """
    _tensor("_sample_dirichlet", "input", input)
    if input._aval.dtype not in (dtypes.float32, dtypes.float64):
        raise not_implemented("dirichlet", input._aval.dtype)
    return from_value(
        _sample("dirichlet", rejection.dirichlet, _device_dirichlet, [input.detach()], generator)
    )


def _device_dirichlet(key: Any, alpha: Any) -> Any:
    return jax.random.dirichlet(key, alpha)


@composite(into=("torch",))
def binomial(count: Any, prob: Any, generator: Any = None) -> Tensor:
    """Binomial counts of `count` trials that succeed with probability `prob`.

    Raises: ValueError for integer arguments, RuntimeError for two dtypes.
    Differs from torch: the result has no history (torch's raises in backward).
    """
    _tensor("binomial", "count", count)
    _tensor("binomial", "prob", prob)
    for name, x in (("count", count), ("prob", prob)):
        if not x._aval.dtype.is_floating_point:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{SCALAR_NAMES[x._aval.dtype]}"
            )
    if count._aval.dtype is not prob._aval.dtype:
        raise RuntimeError(
            f"Found dtype {SCALAR_NAMES[prob._aval.dtype]} but expected "
            f"{SCALAR_NAMES[count._aval.dtype]}"
        )
    both = [x.detach() for x in ops.broadcast_tensors(count, prob)]
    return from_value(_sample("binomial", rejection.binomial, _device_binomial, both, generator))


def _device_binomial(key: Any, count: Any, prob: Any) -> Any:
    return jax.random.binomial(key, _wide(count), _wide(prob))
