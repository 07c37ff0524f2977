"""Convolution as one trilinear form, T(x, w, g) = <conv(x, w), g>, and its three partial maps.

`conv` (x, w -> y), `input_grad` (g, w -> x) and `weight_grad` (x, g -> w) are the only convolutions
here: a transposed convolution *is* `input_grad`, and each map's derivative is one of the other two,
so gradients of every order stay inside the trio. They are JAX primitives rather than
custom rules because that keeps forward mode and gives each platform its own lowering: XLA's
generic one everywhere, `conv_cpu` on the CPU (figures in docs/performance.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir

from . import cpu as conv_cpu, numpy_maps as conv_numpy  # noqa: F401  (registers rules)

# jax.extend.core.Primitive; importing it from there would load all of jax.extend.
Primitive: Any = type(lax.add_p)

LAYOUTS = {
    1: ("NCH", "OIH", "NCH"),
    2: ("NCHW", "OIHW", "NCHW"),
    3: ("NCDHW", "OIDHW", "NCDHW"),
}


class Geometry(NamedTuple):
    """The static shape of a convolution; `size` and `kernel` are the spatial extents of x and w."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def output(self) -> tuple[int, ...]:
        """Spatial extents of y, by torch's floor formula."""
        return tuple(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )


def xla_conv(x: Any, w: Any, geo: Geometry) -> Any:
    """y[N, O, *output] from x[N, C, *size] and w[O, C / groups, *kernel]."""
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=geo.stride,
        padding=geo.padding,
        rhs_dilation=geo.dilation,
        feature_group_count=geo.groups,
        dimension_numbers=LAYOUTS[len(geo.size)],
        preferred_element_type=x.dtype,
    )


def xla_input_grad(g: Any, w: Any, geo: Geometry) -> Any:
    """x[N, C, *size] from g[N, O, *output] and w."""
    if not jnp.issubdtype(g.dtype, jnp.inexact):
        return _dilated_conv(g, w, geo)
    x = jax.ShapeDtypeStruct((g.shape[0], w.shape[1] * geo.groups, *geo.size), g.dtype)
    return jax.linear_transpose(lambda x: xla_conv(x, w, geo), x)(g)[0]


def _dilated_conv(g: Any, w: Any, geo: Geometry) -> Any:
    """`xla_input_grad` for integers, which JAX does not transpose: a convolution of dilated g."""
    groups, nd = geo.groups, len(geo.size)
    split = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    flipped = jnp.flip(jnp.swapaxes(split, 1, 2), tuple(range(3, 3 + nd)))
    kernel = flipped.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:])
    pads = []
    for d in range(nd):
        low = geo.dilation[d] * (geo.kernel[d] - 1) - geo.padding[d][0]
        reach = (g.shape[2 + d] - 1) * geo.stride[d] + 1 - geo.dilation[d] * (geo.kernel[d] - 1)
        pads.append((low, geo.size[d] - reach - low))
    return lax.conv_general_dilated(
        g, kernel, (1,) * nd, pads, lhs_dilation=geo.stride, rhs_dilation=geo.dilation,
        feature_group_count=groups, dimension_numbers=LAYOUTS[nd],
        preferred_element_type=g.dtype,
    )  # fmt: skip


def xla_weight_grad(x: Any, g: Any, geo: Geometry) -> Any:
    """w[O, C / groups, *kernel] from x and g."""
    w = jax.ShapeDtypeStruct((g.shape[1], x.shape[1] // geo.groups, *geo.kernel), g.dtype)
    return jax.linear_transpose(lambda w: xla_conv(x, w, geo), w)(g)[0]


def _shape_conv(x: Any, w: Any, *, geo: Geometry) -> Any:
    return x.update(shape=(x.shape[0], w.shape[0], *geo.output), weak_type=False)


def _shape_input_grad(g: Any, w: Any, *, geo: Geometry) -> Any:
    return g.update(shape=(g.shape[0], w.shape[1] * geo.groups, *geo.size), weak_type=False)


def _shape_weight_grad(x: Any, g: Any, *, geo: Geometry) -> Any:
    return g.update(shape=(g.shape[1], x.shape[1] // geo.groups, *geo.kernel), weak_type=False)


def _define(name: str, shape: Any, generic: Any, cpu: Any) -> Primitive:
    primitive = Primitive(name)
    primitive.def_abstract_eval(shape)

    @partial(jax.jit, static_argnames="geo")
    def run(a, b, *, geo):
        return primitive.bind(a, b, geo=geo)

    primitive.def_impl(run)
    mlir.register_lowering(primitive, mlir.lower_fun(generic, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(cpu, multiple_results=False), platform="cpu")

    def batch(args, dims, *, geo):
        return jax.vmap(partial(generic, geo=geo), in_axes=dims)(*args), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


_conv = _define("conv", _shape_conv, xla_conv, conv_cpu.conv)
_input_grad = _define("conv_input_grad", _shape_input_grad, xla_input_grad, conv_cpu.input_grad)
_weight_grad = _define(
    "conv_weight_grad", _shape_weight_grad, xla_weight_grad, conv_cpu.weight_grad
)


def conv(x: Any, w: Any, geo: Geometry) -> Any:
    """Cross-correlate x with w."""
    return _conv.bind(x, w, geo=geo)


def input_grad(g: Any, w: Any, geo: Geometry) -> Any:
    """The adjoint of `conv` in x, applied to g: also the transposed convolution of g."""
    return _input_grad.bind(g, w, geo=geo)


def weight_grad(x: Any, g: Any, geo: Geometry) -> Any:
    """The adjoint of `conv` in w, applied to g."""
    return _weight_grad.bind(x, g, geo=geo)


# Each rule is "the trilinear form, solved for the missing operand".
ad.defbilinear(
    _conv,
    lambda ct, x, w, *, geo: input_grad(ct, w, geo),
    lambda ct, x, w, *, geo: weight_grad(x, ct, geo),
)
ad.defbilinear(
    _input_grad,
    lambda ct, g, w, *, geo: conv(ct, w, geo),
    lambda ct, g, w, *, geo: weight_grad(ct, g, geo),
)
ad.defbilinear(
    _weight_grad,
    lambda ct, x, g, *, geo: input_grad(g, ct, geo),
    lambda ct, x, g, *, geo: conv(x, ct, geo),
)
