"""How the three convolution maps of `conv_primitive` run when they are interpreted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._interpret.table import rule


@rule("conv")
def _conv(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Any:
    from ..._interpret.windows import convolve

    geo, output = params["geo"], outs[0].shape[2:]
    return lambda x, w: convolve(
        x, w, geo.stride, geo.padding, geo.dilation, geo.groups, output
    )  # fmt: skip


@rule("conv_input_grad")
def _input_grad(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Any:
    from ..._interpret.windows import convolve_input_grad

    geo = params["geo"]
    return lambda g, w: convolve_input_grad(
        g, w, geo.size, geo.stride, geo.padding, geo.dilation, geo.groups
    )


@rule("conv_weight_grad")
def _weight_grad(params: dict[str, Any], ins: Sequence[Any], outs: Sequence[Any]) -> Any:
    from ..._interpret.windows import convolve_weight_grad

    geo = params["geo"]
    return lambda x, g: convolve_weight_grad(
        x, g, geo.kernel, geo.stride, geo.padding, geo.dilation, geo.groups
    )
