"""What automatic augmentation chooses from: operations, their ranges, and the learned policies.

Sources: AutoAugment (Cubuk et al. 2018), RandAugment (Cubuk et al. 2019), TrivialAugment (Müller
and Hutter 2021), AugMix (Hendrycks et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from .._tensors import randint


class AutoAugmentPolicy(Enum):
    """Data sets for which policies were learned."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


def linspace(start: float, end: float, count: int) -> np.ndarray:
    """`torch.linspace` in float32: counted from whichever end is nearer."""
    step = (np.float32(end) - np.float32(start)) / np.float32(max(count - 1, 1))
    index = np.arange(count)
    if count == 1:
        return np.array([start], np.float32)
    low = np.float32(start) + step * index.astype(np.float32)
    high = np.float32(end) - step * (count - 1 - index).astype(np.float32)
    return np.where(index < count // 2, low, high).astype(np.float32)


Magnitudes = Callable[[int, int, int], "np.ndarray | None"]
Space = dict[str, tuple[Magnitudes, bool]]


def draw(
    space: Space, bins: int, size: tuple[int, int], bin_: int | None, among: int
) -> tuple[str, float, bool]:
    """An operation, its magnitude (in bin `bin_`, or in one drawn from the first `among`), and
    whether a sign is to be drawn.
    """
    name = list(space)[randint(0, len(space))]
    values, signed = space[name]
    magnitudes = values(bins, *size)
    if magnitudes is None:
        return name, 0.0, False
    return name, float(magnitudes[randint(0, among) if bin_ is None else bin_]), signed


def _line(start: float, end: float) -> Magnitudes:
    return lambda bins, height, width: linspace(start, end, bins)


def _bits(most: int, spread: int) -> Magnitudes:
    def bits(bins: int, height: int, width: int) -> np.ndarray:
        drop = np.arange(bins, dtype=np.float32) / np.float32((bins - 1) / spread)
        return np.rint(np.float32(most) - drop)

    return bits


def _nothing(bins: int, height: int, width: int) -> None:
    return None


_FAR = 150.0 / 331.0  # the longest move, as a share of the image


def _space(
    shear: float,
    angle: float,
    tone: float,
    bits: Magnitudes,
    move_x: Magnitudes,
    move_y: Magnitudes,
) -> Space:
    """Operations with magnitudes by bin, and whether a sign is drawn; solarize counts in whites."""
    space: Space = {
        "ShearX": (_line(0.0, shear), True),
        "ShearY": (_line(0.0, shear), True),
        "TranslateX": (move_x, True),
        "TranslateY": (move_y, True),
        "Rotate": (_line(0.0, angle), True),
    }
    for name in ("Brightness", "Color", "Contrast", "Sharpness"):
        space[name] = (_line(0.0, tone), True)
    return space | {
        "Posterize": (bits, False),
        "Solarize": (_line(1.0, 0.0), False),
        "AutoContrast": (_nothing, False),
        "Equalize": (_nothing, False),
    }


_AUTO = _space(
    0.3,
    30.0,
    0.9,
    _bits(8, 4),
    lambda bins, height, width: linspace(0.0, _FAR * width, bins),
    lambda bins, height, width: linspace(0.0, _FAR * height, bins),
)
_IDENTITY: Space = {"Identity": (_nothing, False)}
_MIX = _space(
    0.3,
    30.0,
    0.9,
    _bits(4, 4),
    lambda bins, height, width: linspace(0.0, width / 3.0, bins),
    lambda bins, height, width: linspace(0.0, height / 3.0, bins),
)
_TONES = ("Brightness", "Color", "Contrast", "Sharpness")

AUTO_AUGMENT: Space = {**_AUTO, "Invert": (_nothing, False)}
RAND_AUGMENT: Space = {**_IDENTITY, **_AUTO}
TRIVIAL_AUGMENT: Space = {
    **_IDENTITY,
    **_space(0.99, 135.0, 0.99, _bits(8, 6), _line(0.0, 32.0), _line(0.0, 32.0)),
}
AUG_MIX_PARTIAL: Space = {name: op for name, op in _MIX.items() if name not in _TONES}
AUG_MIX: Space = {**AUG_MIX_PARTIAL, **{name: _MIX[name] for name in _TONES}}

Step = tuple[str, float, "int | None"]

# One pair a line, as "operation probability bin": the tables of the AutoAugment paper.
_TABLES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8, Rotate 0.6 9
        Solarize 0.6 5, AutoContrast 0.6
        Equalize 0.8, Equalize 0.6
        Posterize 0.6 7, Posterize 0.6 6
        Equalize 0.4, Solarize 0.2 4
        Equalize 0.4, Rotate 0.8 8
        Solarize 0.6 3, Equalize 0.6
        Posterize 0.8 5, Equalize 1.0
        Rotate 0.2 3, Solarize 0.6 8
        Equalize 0.6, Posterize 0.4 6
        Rotate 0.8 8, Color 0.4 0
        Rotate 0.4 9, Equalize 0.6
        Equalize 0.0, Equalize 0.8
        Invert 0.6, Equalize 1.0
        Color 0.6 4, Contrast 1.0 8
        Rotate 0.8 8, Color 1.0 2
        Color 0.8 8, Solarize 0.8 7
        Sharpness 0.4 7, Invert 0.6
        ShearX 0.6 5, Equalize 1.0
        Color 0.4 0, Equalize 0.6
        Equalize 0.4, Solarize 0.2 4
        Solarize 0.6 5, AutoContrast 0.6
        Invert 0.6, Equalize 1.0
        Color 0.6 4, Contrast 1.0 8
        Equalize 0.8, Equalize 0.6
    """,
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1, Contrast 0.2 6
        Rotate 0.7 2, TranslateX 0.3 9
        Sharpness 0.8 1, Sharpness 0.9 3
        ShearY 0.5 8, TranslateY 0.7 9
        AutoContrast 0.5, Equalize 0.9
        ShearY 0.2 7, Posterize 0.3 7
        Color 0.4 3, Brightness 0.6 7
        Sharpness 0.3 9, Brightness 0.7 9
        Equalize 0.6, Equalize 0.5
        Contrast 0.6 7, Sharpness 0.6 5
        Color 0.7 7, TranslateX 0.5 8
        Equalize 0.3, AutoContrast 0.4
        TranslateY 0.4 3, Sharpness 0.2 6
        Brightness 0.9 6, Color 0.2 8
        Solarize 0.5 2, Invert 0.0
        Equalize 0.2, AutoContrast 0.6
        Equalize 0.2, Equalize 0.6
        Color 0.9 9, Equalize 0.6
        AutoContrast 0.8, Solarize 0.2 8
        Brightness 0.1 3, Color 0.7 0
        Solarize 0.4 5, AutoContrast 0.9
        TranslateY 0.9 9, TranslateY 0.7 9
        AutoContrast 0.9, Solarize 0.8 3
        Equalize 0.8, Invert 0.1
        TranslateY 0.7 9, AutoContrast 0.9
    """,
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4, Invert 0.2
        ShearY 0.9 8, Invert 0.7
        Equalize 0.6, Solarize 0.6 6
        Invert 0.9, Equalize 0.6
        Equalize 0.6, Rotate 0.9 3
        ShearX 0.9 4, AutoContrast 0.8
        ShearY 0.9 8, Invert 0.4
        ShearY 0.9 5, Solarize 0.2 6
        Invert 0.9, AutoContrast 0.8
        Equalize 0.6, Rotate 0.9 3
        ShearX 0.9 4, Solarize 0.3 3
        ShearY 0.8 8, Invert 0.7
        Equalize 0.9, TranslateY 0.6 6
        Invert 0.9, Equalize 0.6
        Contrast 0.3 3, Rotate 0.8 4
        Invert 0.8, TranslateY 0.0 2
        ShearY 0.7 6, Solarize 0.4 8
        Invert 0.6, Rotate 0.8 4
        ShearY 0.3 7, TranslateX 0.9 3
        ShearX 0.1 6, Invert 0.6
        Solarize 0.7 2, TranslateY 0.6 7
        ShearY 0.8 4, Invert 0.8
        ShearX 0.7 9, TranslateY 0.8 3
        ShearY 0.8 5, AutoContrast 0.7
        ShearX 0.7 2, Invert 0.1
    """,
}


def _step(text: str) -> Step:
    name, probability, *bin_ = text.split()
    return name, float(probability), int(bin_[0]) if bin_ else None


def policies(policy: Any) -> list[tuple[Step, ...]]:
    """Pairs of (operation, probability, bin of its magnitude).

    Raises: ValueError for anything but an AutoAugmentPolicy.
    """
    if policy not in _TABLES:
        raise ValueError(f"The provided policy {policy} is not recognized.")
    lines = _TABLES[policy].strip().splitlines()
    return [tuple(_step(part) for part in line.split(",")) for line in lines]


def perform(
    F: Any, img: Any, name: str, magnitude: float, interpolation: Any, fill: Any, white: float
) -> Any:
    """Apply one operation with the functions of `F` (those of either API).

    `white` is the value of white that solarize's magnitude is a share of.
    Raises: ValueError for an unknown name.
    """
    warp = {"interpolation": interpolation, "fill": fill}
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    if name in ("ShearX", "ShearY"):
        degrees = math.degrees(math.atan(magnitude))
        shear = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        return F.affine(img, **{**still, "shear": shear}, center=[0, 0], **warp)
    if name in ("TranslateX", "TranslateY"):
        move = [int(magnitude), 0] if name == "TranslateX" else [0, int(magnitude)]
        return F.affine(img, **{**still, "translate": move}, **warp)
    if name == "Rotate":
        return F.rotate(img, magnitude, **warp)
    simple: dict[str, Callable[[], Any]] = {
        "Identity": lambda: img,
        "Brightness": lambda: F.adjust_brightness(img, 1.0 + magnitude),
        "Color": lambda: F.adjust_saturation(img, 1.0 + magnitude),
        "Contrast": lambda: F.adjust_contrast(img, 1.0 + magnitude),
        "Sharpness": lambda: F.adjust_sharpness(img, 1.0 + magnitude),
        "Posterize": lambda: F.posterize(img, int(magnitude)),
        "Solarize": lambda: F.solarize(img, white * magnitude),
        "AutoContrast": lambda: F.autocontrast(img),
        "Equalize": lambda: F.equalize(img),
        "Invert": lambda: F.invert(img),
    }
    if name not in simple:
        raise ValueError(f"The provided operator {name} is not recognized.")
    return simple[name]()
