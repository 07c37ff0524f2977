"""Sampling an image at given places: grid_sample, and affine_grid, which makes such places.

Source: Jaderberg et al., 2015.
"""

from __future__ import annotations

import math
import warnings
from itertools import product
from typing import Any

import jax.numpy as jnp

from ..call.warning import user_level
from ..registry import Tensor, composite, internal, op
from ..shared import numeric as num

_F = ("nn.functional",)
_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_ALIGN_WARNING = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
    "Please specify align_corners=True if the old behavior is desired. See the documentation of "
    "grid_sample for details."
)


def _pixels(at: Any, n: int, align_corners: bool) -> Any:
    """[-1, 1] -> pixel coordinates."""
    return (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2


def _clipped(at: Any, n: int) -> Any:
    """Into [0, n - 1], with gradient 0 on the border and beyond."""
    top = num.as_dtype(n - 1, at)
    return jnp.where(at > 0, jnp.where(at < top, at, top), num.as_dtype(0, at))


def _reflected(at: Any, n: int, align_corners: bool) -> Any:
    low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
    if span <= 0:
        return jnp.zeros_like(at)
    at = at - low
    at = jnp.where(at < 0, -at, at)
    flips = jnp.floor(at / span)
    rest = at - flips * span
    return jnp.where(flips % 2 == 0, rest + low, span - rest + low)


def _padded(at: Any, n: int, padding: str, align_corners: bool) -> Any:
    if padding == "border":
        return _clipped(at, n)
    if padding == "reflection":
        return _clipped(_reflected(at, n, align_corners), n)
    return at


def _values(x: Any, places: list[Any]) -> Any:
    """x (N, C, *size) at integer places (each (N, *out)), 0 outside: (N, C, *out)."""
    size = x.shape[2:]
    inside: Any = None
    flat: Any = 0
    for at, n in zip(places, size, strict=True):
        ok = (at >= 0) & (at < n)
        inside = ok if inside is None else inside & ok
        flat = flat * n + jnp.clip(at, 0, n - 1).astype(jnp.int64)
    shape = flat.shape
    rows = x.reshape(*x.shape[:2], math.prod(size))
    found = jnp.take_along_axis(
        rows, flat.reshape(shape[0], 1, -1), 2, mode="promise_in_bounds"
    ).reshape(*x.shape[:2], *shape[1:])
    return jnp.where(inside[:, None], found, jnp.zeros_like(found))


def _linear(x: Any, at: list[Any]) -> Any:
    lows = [jnp.floor(a) for a in at]
    total = None
    for corner in product((0, 1), repeat=len(at)):
        places = []
        weight: Any = None
        for a, low, c in zip(at, lows, corner, strict=True):
            share = a - low if c else low + 1 - a
            weight = share if weight is None else weight * share
            places.append(low + c)
        part = _values(x, places) * weight[:, None]
        total = part if total is None else total + part
    return total


def _cubic(x: Any, at: list[Any], padding: str, align_corners: bool) -> Any:
    from .upsample import _cubic as keys

    lows = [jnp.floor(a) for a in at]
    weights = [keys(a - low, -0.75) for a, low in zip(at, lows, strict=True)]
    total = None
    for i, j in product(range(4), repeat=2):
        places = [
            _padded(low + (k - 1), n, padding, align_corners)
            for low, k, n in zip(lows, (i, j), x.shape[2:], strict=True)
        ]
        part = _values(x, [jnp.floor(p) for p in places]) * (weights[0][i] * weights[1][j])[:, None]
        total = part if total is None else total + part
    return total


def _check(x: Any, grid: Any, mode: str) -> None:
    sizes = f"input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got {sizes}"
        )
    nd = x.ndim - 2
    if grid.shape[-1] != nd:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {nd} in last dimension, but got grid with "
            f"sizes {list(grid.shape)}"
        )
    if x.ndim not in (4, 5) or grid.ndim != x.ndim:
        kind = "4D or 5D" if x.ndim not in (4, 5) else f"{x.ndim}D"
        raise RuntimeError(
            f"grid_sampler(): expected {kind} input and grid with same number of dimensions, but "
            f"got {sizes}"
        )
    if mode == "bicubic" and nd != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    for d, n in enumerate(x.shape[2:], 2):
        if n == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(x.shape)} with dimension {d} being empty"
            )
    if grid.dtype != x.dtype:
        from ..._basics.dtypes import SCALAR_NAMES, from_np

        names = [SCALAR_NAMES[from_np(a.dtype)] for a in (x, grid)]
        raise RuntimeError(f"expected scalar type {names[0]} but found {names[1]}")


@op("none", into=("internal",), grad_name=lambda **d: f"GridSampler{d['input'].ndim - 2}DBackward0")
def sample(input: Tensor, grid: Tensor, mode: str, padding: str, align_corners: bool) -> Any:
    """input (N, C, *size) at grid (N, *out, len(size)), whose last entry runs x, y(, z)."""
    _check(input, grid, mode)
    size = input.shape[2:]
    x, places = num.widen(input), num.widen(grid)
    at = [_pixels(places[..., len(size) - 1 - d], n, align_corners) for d, n in enumerate(size)]
    if mode == "bicubic":
        return _cubic(x, at, padding, align_corners).astype(input.dtype)
    at = [_padded(a, n, padding, align_corners) for a, n in zip(at, size, strict=True)]
    if mode == "nearest":
        return _values(x, [jnp.round(a) for a in at]).astype(input.dtype)
    return _linear(x, at).astype(input.dtype)


@composite(into=_F)
def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """Sample `input` at the places in `grid` ([-1, 1] spans the image)."""
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(_ALIGN_WARNING, stacklevel=user_level())
        align_corners = False
    return internal.sample(input, grid, mode, padding_mode, align_corners)


@composite(into=("torch",), aliases=("grid_sampler_2d", "grid_sampler_3d"))
def grid_sampler(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """grid_sample with torch's numbered modes."""
    return internal.sample(
        input, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners
    )


@op("none", into=("internal",), grad_name="AffineGridGeneratorBackward0")
def affine_places(theta: Tensor, size: Any, align_corners: bool) -> Any:
    """theta (N, d, d + 1) applied to the homogeneous coordinates of every pixel."""
    spatial = size[2:]
    axes = []
    for n in spatial:
        line = jnp.linspace(-1, 1, n, dtype=theta.dtype) if n > 1 else jnp.zeros(1, theta.dtype)
        axes.append(line if align_corners else line * ((n - 1) / n))
    mesh = jnp.meshgrid(*axes, indexing="ij")
    base = jnp.stack([*reversed(mesh), jnp.ones(spatial, theta.dtype)], -1)
    flat = base.reshape(1, -1, len(spatial) + 1)
    out = jnp.matmul(flat, theta.swapaxes(1, 2), precision="highest")
    return out.reshape(size[0], *spatial, len(spatial))


@composite(into=("torch",))
def affine_grid_generator(theta: Any, size: Any, align_corners: bool) -> Tensor:
    """affine_grid without its checks of the arguments."""
    return internal.affine_places(theta, tuple(int(n) for n in size), align_corners)


@composite(into=_F)
def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Tensor:
    """The grid of places that an affine map theta (N, 2, 3) or (N, 3, 4) gives."""
    if align_corners is None:
        warnings.warn(_ALIGN_WARNING, stacklevel=user_level())
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(int(n) for n in size)
    nd = len(size) - 2
    if nd not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.dim() != 3 or theta.shape[-2] != nd or theta.shape[-1] != nd + 1:
        raise ValueError(
            f"Expected a batch of {nd}D affine matrices of shape Nx{nd}x{nd + 1} for size {size}. "
            f"Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the "
            "documentation of affine_grid for details.",
            stacklevel=user_level(),
        )
    return internal.affine_places(theta, size, align_corners)
