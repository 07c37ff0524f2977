"""nn.functional.pad: constant, reflect, replicate and circular; negative pads crop."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from ..call.describe import show_size as show
from ..registry import Scalar, Tensor, composite, op
from ..shared.memory_format import follow


def _check_constant(input: Any, pad: Any) -> None:
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)} while the input has {input.ndim} dimensions."
        )


def _pairs(pad: Any, ndim: int) -> list[tuple[int, int]]:
    """Per dimension, first to last, (before, after): `pad` lists them from the last one on."""
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


@op("none", into=("torch",), out=False, layout=follow)
def constant_pad_nd(input: Tensor, pad: Any, value: Scalar = 0):
    """Surround with `value`; `pad` is (before, after) for the last dimension, the one before, …"""
    _check_constant(input, pad)
    pairs = _pairs(pad, input.ndim)
    for size, (low, high) in zip(input.shape, pairs, strict=True):
        if size + min(low, 0) + min(high, 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
    value = lax.convert_element_type(value, input.dtype)
    return lax.pad(input, value, [(low, high, 0) for low, high in pairs])


def _check_spatial(input: Any, pad: Any) -> None:
    spatial = len(pad) // 2
    if spatial > 3 or input.ndim not in (spatial + 1, spatial + 2):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {input.ndim}D input tensor."
        )


def _extend(input: Any, pad: Any, mode: str) -> Any:
    pairs = _pairs(pad, input.ndim)
    grown = [(max(low, 0), max(high, 0)) for low, high in pairs]
    result = jnp.pad(input, grown, mode=mode)
    starts = [max(-low, 0) for low, _ in pairs]
    stops = [n - max(-high, 0) for n, (_, high) in zip(result.shape, pairs, strict=True)]
    return lax.slice(result, starts, stops)


def _check_fits(input: Any, pad: Any) -> None:
    spatial = range(input.ndim - len(pad) // 2, input.ndim)
    pairs = _pairs(pad, input.ndim)
    for dim in spatial:
        low, high = pairs[dim]
        if input.shape[dim] + low + high < 1:
            raise RuntimeError(
                f"input ({'DHW'[dim - input.ndim + 3]}: {input.shape[dim]}) is too small. "
                f"Calculated output {'DHW'[dim - input.ndim + 3]}: {input.shape[dim] + low + high}"
            )


def check_reflection(shape: tuple[int, ...], pad: Any) -> None:
    """Raise RuntimeError where a border to be mirrored is wider than what is mirrored."""
    for position in range(len(pad) // 2):
        dim = len(shape) - 1 - position
        low, high = pad[2 * position], pad[2 * position + 1]
        if low >= shape[dim] or high >= shape[dim]:
            raise RuntimeError(
                f"Argument #{4 + 2 * position}: Padding size should be less than the corresponding "
                f"input dimension, but got: padding ({low}, {high}) at dimension {dim} of input "
                f"{show(shape)}"
            )


def _reflect(input: Tensor, pad: Any):
    _check_spatial(input, pad)
    check_reflection(input.shape, pad)
    _check_fits(input, pad)
    return _extend(input, pad, "reflect")


def _replicate(input: Tensor, pad: Any):
    _check_spatial(input, pad)
    _check_fits(input, pad)
    return _extend(input, pad, "edge")


@op("none", into=("internal",), name="_pad_circular", grad_name="CopySlices")
def _circular(input: Tensor, pad: Any):
    _check_spatial(input, pad)
    pairs = _pairs(pad, input.ndim)
    spatial = len(pad) // 2
    for size, (low, high) in list(zip(input.shape, pairs, strict=True))[-spatial:]:
        if low > size or high > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if size + low + high < 1:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
    # Unlike the other modes torch crops first, so that what wraps is what is left.
    starts = [max(-low, 0) for low, _ in pairs]
    stops = [n - max(-high, 0) for n, (_, high) in zip(input.shape, pairs, strict=True)]
    grown = [(max(low, 0), max(high, 0)) for low, high in pairs]
    return jnp.pad(lax.slice(input, starts, stops), grown, mode="wrap")


_BY_MODE = {
    mode: {
        spatial: op(
            "none",
            into=("internal",),
            name=f"_{mode}_pad{spatial}d",
            grad_name=f"{word}Pad{spatial}DBackward0",
            layout=follow if spatial > 1 else None,
        )(body)
        for spatial in (1, 2, 3)
    }
    for mode, word, body in (
        ("reflect", "Reflection", _reflect),
        ("replicate", "Replication", _replicate),
    )
}
_BY_MODE["circular"] = dict.fromkeys((1, 2, 3), _circular)


@composite(into=("nn.functional",))
def pad(input, pad, mode="constant", value=None) -> Tensor:
    """Extend a tensor at its edges; `pad` is (left, right[, top, bottom[, front, back]]).

    Raises: RuntimeError for pads that do not fit, NotImplementedError for unknown modes.
    """
    pad = tuple(int(n) for n in pad)
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _BY_MODE:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    by_spatial = _BY_MODE[mode]
    return by_spatial.get(len(pad) // 2, by_spatial[3])(input, pad)
