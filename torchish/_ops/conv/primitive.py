"""Convolution as one trilinear form, T(x, w, g) = <conv(x, w), g>, and its three partial maps.

`conv` (x, w -> y), `input_grad` (g, w -> x) and `weight_grad` (x, g -> w) are the only convolutions
here: a transposed convolution *is* `input_grad`, and each map's derivative is one of the other two,
so gradients of every order stay inside the trio. They are JAX primitives rather than
custom rules because that keeps forward mode and gives each platform its own lowering: XLA's
generic one everywhere, `conv_cpu` on the CPU (figures in docs/performance.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax.interpreters import ad, batching

from ..shared.primitives import define
from . import cpu as conv_cpu, numpy_maps as conv_numpy, onednn  # noqa: F401  (registers rules)
from .xla_maps import ConvShape, xla_conv, xla_input_grad, xla_weight_grad


def _shape_conv(x: Any, w: Any, *, geo: ConvShape) -> Any:
    return x.update(shape=(x.shape[0], w.shape[0], *geo.output), weak_type=False)


def _shape_input_grad(g: Any, w: Any, *, geo: ConvShape) -> Any:
    return g.update(shape=(g.shape[0], w.shape[1] * geo.groups, *geo.size), weak_type=False)


def _shape_weight_grad(x: Any, g: Any, *, geo: ConvShape) -> Any:
    return g.update(shape=(g.shape[1], x.shape[1] // geo.groups, *geo.kernel), weak_type=False)


def _define(name: str, shape: Any, generic: Any, cpu: Any) -> Any:
    primitive = define(name, shape, generic, cpu, static=["geo"], around=onednn.portable)

    def batch(args, dims, *, geo):
        return jax.vmap(partial(generic, geo=geo), in_axes=dims)(*args), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


conv_p = _define("conv", _shape_conv, xla_conv, conv_cpu.conv)
input_grad_p = _define("conv_input_grad", _shape_input_grad, xla_input_grad, conv_cpu.input_grad)
weight_grad_p = _define(
    "conv_weight_grad", _shape_weight_grad, xla_weight_grad, conv_cpu.weight_grad
)


def conv(x: Any, w: Any, geo: ConvShape) -> Any:
    """Cross-correlate x with w."""
    return conv_p.bind(x, w, geo=geo)


def input_grad(g: Any, w: Any, geo: ConvShape) -> Any:
    """The adjoint of `conv` in x, applied to g: also the transposed convolution of g."""
    return input_grad_p.bind(g, w, geo=geo)


def weight_grad(x: Any, g: Any, geo: ConvShape) -> Any:
    """The adjoint of `conv` in w, applied to g."""
    return weight_grad_p.bind(x, g, geo=geo)


# Each rule is "the trilinear form, solved for the missing operand".
ad.defbilinear(
    conv_p,
    lambda ct, x, w, *, geo: input_grad(ct, w, geo),
    lambda ct, x, w, *, geo: weight_grad(x, ct, geo),
)
ad.defbilinear(
    input_grad_p,
    lambda ct, g, w, *, geo: conv(ct, w, geo),
    lambda ct, g, w, *, geo: weight_grad(ct, g, geo),
)
ad.defbilinear(
    weight_grad_p,
    lambda ct, x, g, *, geo: input_grad(g, ct, geo),
    lambda ct, x, g, *, geo: conv(x, ct, geo),
)
