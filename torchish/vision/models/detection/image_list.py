"""A batch of images of different sizes."""

from __future__ import annotations

from typing import Any


class ImageList:
    """Images padded to one size, with the size that each had before."""

    def __init__(self, tensors: Any, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device: Any) -> ImageList:
        return ImageList(self.tensors.to(device), self.image_sizes)
