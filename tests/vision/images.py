"""Images for the tests, and torchvision's tensor arithmetic written with PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

import torchish
from tests import oracle


def photo(mode: str = "RGB", height: int = 23, width: int = 31) -> Image.Image:
    """An image with smooth parts and noise."""
    rng = np.random.default_rng(7)
    ramp = np.linspace(0, 200, height * width * 3).reshape(height, width, 3)
    noise = rng.integers(0, 56, (height, width, 3))
    return Image.fromarray((ramp + noise).astype(np.uint8)).convert(mode)


def tensors(array: np.ndarray) -> tuple[torchish.Tensor, torch.Tensor]:
    """The same numbers for torchish and for torch."""
    return torchish.from_numpy(array.copy()), torch.from_numpy(array.copy())


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape, dtype=np.float32)


def bytes_(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)


def same(ours: torchish.Tensor, theirs: torch.Tensor, atol: float = 0.0) -> None:
    """Equal up to an absolute difference."""
    oracle.same(ours, theirs, 0.0, atol)


def same_image(ours: Image.Image, theirs: Image.Image) -> None:
    assert ours.mode == theirs.mode
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))
