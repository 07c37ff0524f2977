"""Resizing: nearest, linear, cubic and area interpolation, one separable pass a dimension.

Each output element of a dimension mixes a few input elements ("taps") at indices and weights known
beforehand. Where the output is a whole multiple of the input these repeat with period `scale`, and
slices interleaved replace gathers.

Source: Keys, 1981, the cubic kernel.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..call.warning import user_level
from ..registry import Tensor, composite, internal, nnf, op
from ..shared import numeric as num
from ..shared.memory_format import follow

_F = ("nn.functional",)
_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"
_NAMED = {"linear": 1, "bilinear": 2, "trilinear": 3}
_DIMS = {3: "linear", 4: "bilinear", 5: "trilinear"}


def _step(n: int, out: int, align_corners: bool, scale: float | None, real: Any) -> Any:
    """The distance in the input between neighbouring output elements."""
    if align_corners:
        return real((n - 1) / (out - 1)) if out > 1 else real(0)
    return real(1) / real(scale) if scale else real(n) / real(out)


def _cubic(t: Any, a: float) -> list[Any]:
    """Weights of the four neighbours at fraction t (Keys' kernel with parameter a)."""

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@functools.lru_cache(maxsize=256)
def _tap_table(
    mode: str, n: int, out: int, align_corners: bool, scale: float | None, double: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights, both (taps, out); torch works them out in single precision too."""
    real = np.float64 if double else np.float32
    at: Any = np.arange(out).astype(real)
    if mode.startswith("nearest"):
        at = at.astype(np.float32)
        step = _step(n, out, False, scale, np.float32)
        if mode == "nearest-exact":
            index = np.floor((at + np.float32(0.5)) * step)
        else:
            index = np.floor(at * step)
        return np.minimum(index.astype(np.int64), n - 1)[None], np.ones((1, out))
    step = _step(n, out, align_corners, scale, real)
    source = at * step if align_corners else (at + real(0.5)) * step - real(0.5)
    if mode == "linear":
        source = np.maximum(source, real(0))
        low = np.minimum(source.astype(np.int64), n - 1)
        fraction = np.clip(source - low, 0, 1)
        return np.stack([low, np.minimum(low + 1, n - 1)]), np.stack([1 - fraction, fraction])
    low = np.floor(source).astype(np.int64)
    fraction = np.clip(source - low, 0, 1)
    index = np.clip(np.stack([low - 1, low, low + 1, low + 2]), 0, n - 1)
    return index, np.stack(_cubic(fraction, -0.75))


def _resize_dim(
    x: Any, axis: int, mode: str, out: int, align_corners: bool, scale: float | None
) -> Any:
    n = x.shape[axis]
    if n == out and (mode.startswith("nearest") or not scale or scale == 1):
        return x
    factor = out // n
    whole = n > 1 and out % n == 0 and not align_corners and (not scale or scale == factor)
    if mode == "nearest" and whole:
        return jnp.repeat(x, factor, axis)
    if whole and mode != "nearest-exact":
        return _interleaved(x, axis, mode, factor)
    index, weights = _tap_table(mode, n, out, align_corners, scale, x.dtype == jnp.float64)
    parts = [jnp.take(x, jnp.asarray(i), axis=axis, mode="clip") for i in index]
    if len(parts) == 1:
        return parts[0]
    shape = (-1, *(1,) * (x.ndim - 1 - axis))
    return _mixed(parts, [jnp.asarray(w, x.dtype).reshape(shape) for w in weights])


def _mixed(parts: Sequence[Any], weights: Sequence[Any]) -> Any:
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return total


def _interleaved(x: Any, axis: int, mode: str, factor: int) -> Any:
    """Enlarge by a whole factor: each residue of the output index is one mixture of slices."""
    n = x.shape[axis]
    reach = 2
    pads = [(0, 0)] * x.ndim
    pads[axis] = (reach, reach)
    padded = jnp.pad(x, pads, mode="edge")
    phases = []
    for r in range(factor):
        source = (r + 0.5) / factor - 0.5
        low = math.floor(source)
        t = source - low
        if mode == "linear":
            first, weights = low, [1 - t, t]
        else:
            first, weights = low - 1, _cubic(t, -0.75)
        start = reach + first
        parts = [
            lax.slice_in_dim(padded, start + k, start + k + n, axis=axis)
            for k in range(len(weights))
        ]
        phases.append(_mixed(parts, [jnp.asarray(w, x.dtype) for w in weights]))
    shape = (*x.shape[:axis], n * factor, *x.shape[axis + 1 :])
    return jnp.stack(phases, axis + 1).reshape(shape)


@functools.lru_cache(maxsize=256)
def _smoothing_matrix(
    mode: str, n: int, out: int, align_corners: bool, scale: float | None
) -> np.ndarray:
    """(n, out) weights of antialiased resizing: the kernel widens as the image shrinks."""
    reach, kernel = {
        "linear": (1.0, lambda x: np.maximum(1 - np.abs(x), 0)),
        "cubic": (2.0, _keys),
        "lanczos": (3.0, lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
    }[mode]
    step = float(_step(n, out, align_corners, scale, np.float64))
    wide = max(step, 1.0)
    matrix = np.zeros((n, out))
    for k in range(out):
        center = step * (k + 0.5)
        low = max(int(center - reach * wide + 0.5), 0)
        high = min(int(center + reach * wide + 0.5), n)
        weights = kernel((np.arange(low, high) - center + 0.5) / wide)
        total = weights.sum()
        matrix[low:high, k] = weights / total if total else weights
    return matrix


def _keys(x: Any) -> Any:
    x = np.abs(x)
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _smooth_dim(
    x: Any, axis: int, mode: str, out: int, align_corners: bool, scale: float | None
) -> Any:
    matrix = jnp.asarray(_smoothing_matrix(mode, x.shape[axis], out, align_corners, scale), x.dtype)
    mixed = lax.dot_general(x, matrix, (((axis,), (0,)), ((), ())), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(mixed, -1, axis)


def _grad_name(**d: Any) -> str:
    nd = len(d["output_size"])
    kind = {"nearest": "Nearest", "nearest-exact": "NearestExact", "cubic": "Bicubic",
            "lanczos": "Lanczos"}.get(d["mode"])  # fmt: skip
    kind = kind or {1: "Linear", 2: "Bilinear", 3: "Trilinear"}[nd]
    return f"Upsample{kind}{nd}D{'Aa' if d['antialias'] else ''}Backward0"


@op("none", into=("internal",), grad_name=_grad_name, layout=follow)
def resize(
    input: Tensor, output_size: Any, mode: str, align_corners: bool, scales: Any, antialias: bool
) -> Any:
    """The input resampled to `output_size`; mode is nearest, nearest-exact, linear or cubic."""
    nd = len(output_size)
    size = input.shape[2:]
    if min((*size, *output_size)) <= 0:
        axes = {1: "W", 2: "HW", 3: "DHW"}[nd]
        shown = [
            ", ".join(f"{a}: {n}" for a, n in zip(axes, sizes, strict=True))
            for sizes in (size, output_size)
        ]
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({shown[0]}) output "
            f"({shown[1]})"
        )
    byte = input.dtype == jnp.uint8
    if not num.is_float(input) and not byte:
        raise num.not_implemented_for(f"upsample_{mode}{nd}d_channels_last", input)
    x = num.widen(input)
    if byte and not mode.startswith("nearest"):
        x = x.astype(jnp.float32)
    one_pass = _smooth_dim if antialias else _resize_dim
    for dim in reversed(range(nd)):
        scale = None if scales is None else scales[dim]
        x = one_pass(x, 2 + dim, mode, output_size[dim], align_corners, scale)
    if byte:
        return x if x.dtype == jnp.uint8 else jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)
    return x.astype(input.dtype)


def _sizes(
    input: Any, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], Any]:
    """The output size, and the scale factors where they (not the sizes) set the step."""
    nd = input.dim() - 2
    shape = [int(n) for n in input.shape[2:]]
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given: Any
    kind, given = ("output size of", size) if size is not None else ("scale_factor of shape", None)
    if size is None:
        given = scale_factor
    if isinstance(given, list | tuple) or hasattr(given, "__iter__"):
        given = tuple(given)
        if len(given) != nd:
            other = (
                "output size in (o1, o2, ...,oK)"
                if size is not None
                else ("scale_factor in (s1, s2, ...,sK)")
            )
            noun = "output" if size is not None else "scale_factor"
            raise ValueError(
                f"Input and {noun} must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {shape} and {kind} {given}. Please provide input "
                f"tensor in (N, C, d1, d2, ...,dK) format and {other} format."
            )
    else:
        given = (given,) * nd
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return tuple(int(n) for n in given), None
    factors = tuple(float(s) for s in given)
    out = tuple(math.floor(n * s) for n, s in zip(shape, factors, strict=True))
    return out, None if recompute else factors


@composite(into=_F)
def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Resize (N, C, ...) to `size`, or by `scale_factor`."""
    linear = mode in (*_NAMED, "bicubic", "lanczos")
    if not linear and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    output_size, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
    ndim = input.dim()
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if 3 <= ndim <= 5:
        if mode == "area":
            return getattr(nnf, f"adaptive_avg_pool{ndim - 2}d")(input, output_size)
        if mode in ("nearest", "nearest-exact"):
            return internal.resize(input, output_size, mode, False, scales, False)
        if mode in _NAMED:
            if _DIMS[ndim] != mode:
                raise NotImplementedError(
                    f"Got {ndim}D input, but {mode} mode needs {_NAMED[mode] + 2}D input"
                )
            return internal.resize(
                input, output_size, "linear", bool(align_corners), scales, antialias
            )
        if mode == "bicubic" and ndim == 4:
            return internal.resize(
                input, output_size, "cubic", bool(align_corners), scales, antialias
            )
        if mode == "lanczos" and ndim == 4 and antialias:
            if align_corners:
                raise ValueError("Lanczos mode does not support align_corners=True")
            return internal.resize(input, output_size, "lanczos", bool(align_corners), scales, True)
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: "
        f"{_MODES} (got {mode})"
    )


def _warn_deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=user_level(),
    )


@composite(into=_F)
def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """The old name of interpolate."""
    _warn_deprecated("upsample")
    return nnf.interpolate(input, size, scale_factor, mode, align_corners)


@composite(into=_F)
def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode="nearest"."""
    _warn_deprecated("upsample_nearest")
    return nnf.interpolate(input, size, scale_factor, mode="nearest")


@composite(into=_F)
def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode="bilinear" and align_corners=True."""
    _warn_deprecated("upsample_bilinear")
    return nnf.interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
