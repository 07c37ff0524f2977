"""The convolution bodies of the CPU, piece by piece: what each map of the trio costs.

`jax` is `lax.conv_general_dilated` and what JAX derives from it; `torchish` is the body that its
operators use; both inside one jitted function. Figures and what they led to: docs/performance.md.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import torch

from torchish._ops.conv import primitive as own
from torchish._ops.conv.primitive import ConvShape

from .timing import medians, report

# name: batch, channels in, channels out, size, kernel, stride, padding, groups
CASES = {
    "dcgan, first layer of D": (16, 3, 64, 64, 4, 2, 1, 1),
    "dcgan, middle": (16, 128, 256, 16, 4, 2, 1, 1),
    "resnet 3x3": (8, 64, 64, 32, 3, 1, 1, 1),
    "kernel as large as the image": (16, 512, 1, 4, 4, 1, 0, 1),
    "depthwise 3x3": (8, 64, 64, 32, 3, 1, 1, 64),
    "grouped, 4 groups": (8, 64, 64, 32, 3, 1, 1, 4),
}
MAPS = ("forward", "input gradient", "weight gradient")


def _arrays(case: tuple[int, ...]) -> tuple[Any, Any, Any, ConvShape]:
    n, c, o, size, k, stride, padding, groups = case
    geo = ConvShape((size,) * 2, (k,) * 2, (stride,) * 2, ((padding,) * 2,) * 2, (1, 1), groups)
    rng = np.random.default_rng(0)
    shapes = ((n, c, size, size), (o, c // groups, k, k), (n, o, *geo.output))
    x, w, g = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return x, w, g, geo


def _jax_maps(x: Any, w: Any, g: Any, geo: ConvShape) -> dict[str, Any]:
    def conv(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x,
            w,
            geo.stride,
            geo.padding,
            feature_group_count=geo.groups,
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
        )

    return {
        "forward": (jax.jit(conv), (x, w)),
        "input gradient": (jax.jit(lambda w, g: jax.vjp(lambda v: conv(v, w), x)[1](g)), (w, g)),
        "weight gradient": (jax.jit(lambda x, g: jax.vjp(lambda v: conv(x, v), w)[1](g)), (x, g)),
    }


def _own_maps(x: Any, w: Any, g: Any, geo: ConvShape) -> dict[str, Any]:
    return {
        "forward": (jax.jit(lambda x, w: own.conv(x, w, geo)), (x, w)),
        "input gradient": (jax.jit(lambda g, w: own.input_grad(g, w, geo)), (g, w)),
        "weight gradient": (jax.jit(lambda x, g: own.weight_grad(x, g, geo)), (x, g)),
    }


def _torch_map(which: str, x: Any, w: Any, g: Any, geo: ConvShape) -> Any:
    x, w, g = (torch.from_numpy(a) for a in (x, w, g))
    mask = [which == "input gradient", which == "weight gradient", False]
    options = (list(geo.stride), [p[0] for p in geo.padding], [1, 1], False, [0, 0], geo.groups)
    if which == "forward":
        return lambda: torch.ops.aten.convolution(x, w, None, *options)
    return lambda: torch.ops.aten.convolution_backward(g, x, w, None, *options, mask)


def _runner(function: Any, arrays: Any) -> Any:
    arrays = [jax.device_put(a) for a in arrays]
    return lambda: jax.block_until_ready(function(*arrays))


def main() -> None:
    """Print a table a case."""
    for name, case in CASES.items():
        x, w, g, geo = _arrays(case)
        theirs, ours = _jax_maps(x, w, g, geo), _own_maps(x, w, g, geo)
        for which in MAPS:
            times = medians(
                {
                    "pytorch": _torch_map(which, x, w, g, geo),
                    "jax": _runner(*theirs[which]),
                    "torchish": _runner(*ours[which]),
                },
                rounds=7,
            )
            report(f"{name}: {which}", times)


if __name__ == "__main__":
    main()
