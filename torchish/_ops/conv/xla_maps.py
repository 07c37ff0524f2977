"""The three convolution maps as XLA's own convolution does them, for every shape and device."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

LAYOUTS = {
    1: ("NCH", "OIH", "NCH"),
    2: ("NCHW", "OIHW", "NCHW"),
    3: ("NCDHW", "OIDHW", "NCDHW"),
}


class ConvShape(NamedTuple):
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


def xla_conv(x: Any, w: Any, geo: ConvShape) -> Any:
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


def xla_input_grad(g: Any, w: Any, geo: ConvShape) -> Any:
    """x[N, C, *size] from g[N, O, *output] and w."""
    if not jnp.issubdtype(g.dtype, jnp.inexact):
        return _dilated_conv(g, w, geo)
    x = jax.ShapeDtypeStruct((g.shape[0], w.shape[1] * geo.groups, *geo.size), g.dtype)
    return jax.linear_transpose(lambda x: xla_conv(x, w, geo), x)(g)[0]


def _dilated_conv(g: Any, w: Any, geo: ConvShape) -> Any:
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


def xla_weight_grad(x: Any, g: Any, geo: ConvShape) -> Any:
    """w[O, C / groups, *kernel] from x and g."""
    w = jax.ShapeDtypeStruct((g.shape[1], x.shape[1] // geo.groups, *geo.kernel), g.dtype)
    return jax.linear_transpose(lambda w: xla_conv(x, w, geo), w)(g)[0]
