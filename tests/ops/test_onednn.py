"""Convolutions by oneDNN (the optional package torchish-cpu), and what happens without it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from tests.ops.conv_cases import CASES, arrays
from torchish._ops.conv import onednn, primitive as conv_primitive
from torchish._ops.conv.xla_maps import ConvShape

present = pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")


def struct(shape: tuple[int, ...], dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@present
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_three_maps_are_pytorchs(case: Any) -> None:
    x, w, g, geo = arrays(case)
    options = (geo.stride, [p[0] for p in geo.padding], geo.dilation, False, [0] * len(geo.size))
    tx, tw, tg = (oracle.from_numpy(a).double() for a in (x, w, g))
    y = oracle.ops.aten.convolution(tx, tw, None, *options, geo.groups)
    dx, dw, _ = oracle.ops.aten.convolution_backward(
        tg, tx, tw, None, *options, geo.groups, [True, True, False]
    )
    for kind, function, a, b, want in (
        (onednn.FORWARD, conv_primitive.conv, x, w, y),
        (onednn.INPUT_GRAD, conv_primitive.input_grad, g, w, dx),
        (onednn.WEIGHT_GRAD, conv_primitive.weight_grad, x, g, dw),
    ):
        lowered = jax.jit(lambda a, b, f=function: f(a, b, geo)).lower(a, b)
        depthwise = w.shape[1] == 1 and geo.groups > 1
        narrow = w.shape[1] < onednn.FEWEST_CHANNELS
        narrow = narrow and "strided" in onednn.implementation(kind, x.shape, w.shape, geo)
        slower = depthwise if kind == onednn.FORWARD else kind == onednn.INPUT_GRAD and narrow
        assert (onednn.CONV in lowered.as_text()) is not slower
        got = np.asarray(lowered.compile()(a, b))
        scale = np.abs(want.numpy()).max()
        np.testing.assert_allclose(got, want.numpy(), atol=2e-6 * scale, rtol=1e-4)


@present
@pytest.mark.parametrize("case", [CASES[5], CASES[10], CASES[12]], ids=str)
def test_bfloat16_accumulates_in_float32(case: Any) -> None:
    x, w, g, geo = arrays(case)
    halves = [jnp.asarray(a, jnp.bfloat16) for a in (x, w, g)]
    wide = [oracle.from_numpy(np.asarray(a, np.float32)) for a in halves]
    options = (geo.stride, [p[0] for p in geo.padding], geo.dilation, False, [0] * len(geo.size))
    dx, dw, _ = oracle.ops.aten.convolution_backward(
        wide[2], wide[0], wide[1], None, *options, geo.groups, [True, True, False]
    )
    y = oracle.ops.aten.convolution(wide[0], wide[1], None, *options, geo.groups)
    for function, a, b, want in (
        (conv_primitive.conv, halves[0], halves[1], y),
        (conv_primitive.input_grad, halves[2], halves[1], dx),
        (conv_primitive.weight_grad, halves[0], halves[2], dw),
    ):
        got = jax.jit(lambda a, b, f=function: f(a, b, geo))(a, b)
        assert got.dtype == jnp.bfloat16
        scale = want.abs().max().item()
        np.testing.assert_allclose(np.asarray(got, np.float32), want.numpy(), atol=scale * 2**-8)


@present
@pytest.mark.parametrize(
    "geo",
    [
        ConvShape((5, 5), (3, 3), (1, 1), ((4, 4), (4, 4)), (1, 1), 1),  # padding beyond the kernel
        ConvShape((5, 5), (3, 3), (2, 2), ((1, -2), (1, -2)), (1, 1), 1),
        ConvShape((5, 5), (3, 3), (2, 2), ((-1, 1), (0, 0)), (1, 1), 1),
    ],
    ids=["overlapping padding", "cut after", "cut before"],
)
def test_odd_geometries_are_left_to_xla(geo: ConvShape) -> None:
    for kind in (onednn.FORWARD, onednn.INPUT_GRAD, onednn.WEIGHT_GRAD):
        x, w, y = (struct(s) for s in ((2, 8, 5, 5), (8, 8, 3, 3), (2, 8, *geo.output)))
        operands = {onednn.FORWARD: (x, w), onednn.INPUT_GRAD: (y, w), onednn.WEIGHT_GRAD: (x, y)}
        assert not onednn.takes(kind, *operands[kind], geo)


@present
def test_other_dtypes_and_empty_ones_are_left_to_xla() -> None:
    geo = ConvShape((5, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    shapes = ((2, 8, 5, 5), (8, 8, 3, 3))
    for dtype in (np.float64, np.int32, np.float16, np.complex64):
        assert not onednn.takes(onednn.FORWARD, *(struct(s, dtype) for s in shapes), geo)
    assert not onednn.takes(onednn.FORWARD, struct((0, 8, 5, 5)), struct(shapes[1]), geo)
    assert onednn.takes(onednn.FORWARD, *map(struct, shapes), geo)


@present
def test_a_refused_convolution_is_an_exception() -> None:
    x, w = (jnp.ones(s, jnp.float32) for s in ((2, 8, 5, 5), (8, 8, 3, 3)))
    wrong = ConvShape((5, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 3)
    with pytest.raises(Exception, match=r"oneDNN convolution: could not create a primitive"):
        call = jax.jit(lambda x, w: onednn.conv(onednn.FORWARD, x, w, wrong))
        jax.block_until_ready(call(x, w))


@present
def test_programs_can_be_kept() -> None:
    from jax.experimental import serialize_executable

    x, w, _, geo = arrays(CASES[2])
    compiled = jax.jit(lambda x, w: conv_primitive.conv(x, w, geo)).lower(x, w).compile()
    again = serialize_executable.deserialize_and_load(*serialize_executable.serialize(compiled))
    np.testing.assert_array_equal(np.asarray(again(x, w)), np.asarray(compiled(x, w)))


@present
def test_mkldnn_tells_and_switches() -> None:
    mkldnn = torch.backends.mkldnn
    assert mkldnn.is_available() and mkldnn.enabled
    x, w, _, geo = arrays(CASES[2])

    def text() -> str:
        return jax.jit(lambda x, w: conv_primitive.conv(x, w, geo)).lower(x, w).as_text()

    with mkldnn.flags(enabled=False):
        assert onednn.CONV not in text()
    assert onednn.CONV in text()


def test_without_the_package() -> None:
    program = (
        "import torchish as torch\n"
        "x, w = torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3)\n"
        "y = torch.nn.functional.conv2d(x, w).sum().item()\n"
        "print(y, torch.backends.mkldnn.is_available())\n"
        "print(torch.__config__.show())\n"
    )
    env = {**os.environ, "TORCHISH_ONEDNN": "0", "TORCHISH_COMPILE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[0] == f"{2 * 4 * 36 * 27:.1f} False", done.stderr
    assert "switched off by TORCHISH_ONEDNN=0" in done.stdout
