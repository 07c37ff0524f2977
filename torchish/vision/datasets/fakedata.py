"""Noise that looks like a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._random import draws
from ..._random.generator import Generator
from .._tensors import tensor_of
from ..transforms import functional as F
from .vision import Transform, VisionDataset


class FakeData(VisionDataset):
    """Random images; each depends on nothing but its index, the sizes and the offset.

    Args:
        size: number of images.
        image_size: (C, H, W) in pixels.
        num_classes: targets are drawn from range(num_classes).
        random_offset: added to the index to make the seed.
    Raises: IndexError past the end.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        generator = Generator().manual_seed(index + self.random_offset)
        noise = draws.normal(generator, int(np.prod(self.image_size)), np.dtype(np.float32))
        image = F.to_pil_image(tensor_of(noise.reshape(self.image_size)))
        target = draws.integers(generator, 1, np.dtype(np.int64), self.num_classes, 0)
        image, wrapped = self._transformed(image, tensor_of(target.reshape(())))
        return image, wrapped.item() if hasattr(wrapped, "item") else wrapped

    def __len__(self) -> int:
        return self.size
