"""Images and targets on their way into a detector, and its results on their way out."""

from __future__ import annotations

import math
from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ._masks import paste_masks_in_image
from .image_list import ImageList

Target = dict[str, Any]


def _resize_image_and_masks(
    image: Any,
    self_min_size: int,
    self_max_size: int,
    target: Target | None = None,
    fixed_size: tuple[int, int] | None = None,
) -> tuple[Any, Target | None]:
    """The image (C, H, W) with its shorter side at the least size, the longer one at most at the
    greatest; or of a fixed size (width, height).
    """
    how: dict[str, Any] = {}
    if fixed_size is not None:
        how["size"] = [fixed_size[1], fixed_size[0]]
    else:
        height, width = image.shape[-2:]
        how["scale_factor"] = min(
            self_min_size / min(height, width), self_max_size / max(height, width)
        )
        how["recompute_scale_factor"] = True
    image = F.interpolate(image[None], mode="bilinear", align_corners=False, **how)[0]
    if target is not None and "masks" in target:
        masks = target["masks"]
        target["masks"] = F.interpolate(masks[:, None].float(), **how)[:, 0].byte()
    return image, target


def imagenet_transform(
    min_size: Any,
    max_size: int,
    image_mean: list[float] | None,
    image_std: list[float] | None,
    **kwargs: Any,
) -> GeneralizedRCNNTransform:
    """The transform whose mean and deviation are ImageNet's unless given."""
    mean, std = image_mean or [0.485, 0.456, 0.406], image_std or [0.229, 0.224, 0.225]
    return GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)


class GeneralizedRCNNTransform(nn.Module):
    """Normalises and resizes images and their targets, batches them, and scales results back.

    Args:
        min_size: sizes of the shorter side; one is drawn in training, the last used else.
        size_divisible: sides of the batch are multiples of it.
        fixed_size: (width, height) of all images, in place of the sizes.
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        image_mean: list[float],
        image_std: list[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = kwargs.pop("_skip_resize", False)

    def forward(
        self, images: list[Any], targets: list[Target] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        ready: list[Any] = []
        changed: list[Any] = []
        for i, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(
                    "images is expected to be a list of 3d tensors of shape [C, H, W], got "
                    f"{image.shape}"
                )
            target = None if targets is None else dict(targets[i])
            image, target = self.resize(self.normalize(image), target)
            ready.append(image)
            changed.append(target)
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in ready]
        batch = self.batch_images(ready, size_divisible=self.size_divisible)
        return ImageList(batch, sizes), None if targets is None else changed

    def normalize(self, image: Any) -> Any:
        if not image.is_floating_point():
            raise TypeError(
                "Expected input images to be of floating type (in range [0, 1]), but found type "
                f"{image.dtype} instead"
            )
        mean, std = (
            torchish.as_tensor(values, dtype=image.dtype, device=image.device)[:, None, None]
            for values in (self.image_mean, self.image_std)
        )
        return (image - mean) / std

    def torch_choice(self, k: Any) -> Any:
        """One of the values, drawn from torch's generator."""
        return k[int(torchish.empty(1).uniform_(0.0, float(len(k))).item())]

    def resize(self, image: Any, target: Target | None = None) -> tuple[Any, Target | None]:
        before = image.shape[-2:]
        if self.training and self._skip_resize:
            return image, target
        size = self.torch_choice(self.min_size) if self.training else self.min_size[-1]
        image, target = _resize_image_and_masks(image, size, self.max_size, target, self.fixed_size)
        if target is None:
            return image, target
        after = image.shape[-2:]
        target["boxes"] = resize_boxes(target["boxes"], before, after)
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], before, after)
        return image, target

    def batch_images(self, images: list[Any], size_divisible: int = 32) -> Any:
        """All images in one tensor, padded by zeros at the right and at the bottom."""
        largest = self.max_by_axis([list(image.shape) for image in images])
        height, width = (math.ceil(n / size_divisible) * size_divisible for n in largest[1:])
        padded = [F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in images]
        return torchish.stack(padded)

    def max_by_axis(self, the_list: list[list[int]]) -> list[int]:
        """The greatest size of each axis."""
        return [max(sizes) for sizes in zip(*the_list, strict=True)]

    def postprocess(
        self,
        result: list[Target],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[Target]:
        """Boxes, masks and keypoints in the sizes that the images had."""
        if self.training:
            return result
        for found, size, original in zip(result, image_shapes, original_image_sizes, strict=False):
            found["boxes"] = resize_boxes(found["boxes"], size, original)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], original)
            if "keypoints" in found:
                found["keypoints"] = resize_keypoints(found["keypoints"], size, original)
        return result

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(\n"
            f"    Normalize(mean={self.image_mean}, std={self.image_std})\n"
            f"    Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )


def _ratios(original_size: Any, new_size: Any, like: Any) -> Any:
    """Scale of x, then of y."""
    new, old = (
        torchish.tensor([size[1], size[0]], dtype=torchish.float32, device=like.device)
        for size in (new_size, original_size)
    )
    return new / old


def resize_keypoints(keypoints: Any, original_size: Any, new_size: Any) -> Any:
    """Keypoints (..., 3) of an image in the coordinates of another size."""
    moved = keypoints[..., :2] * _ratios(original_size, new_size, keypoints)
    return torchish.cat([moved, keypoints[..., 2:]], dim=-1)


def resize_boxes(boxes: Any, original_size: Any, new_size: Any) -> Any:
    """Boxes (N, 4) of an image in the coordinates of another size."""
    ratios = _ratios(original_size, new_size, boxes)
    return boxes * torchish.cat([ratios, ratios])
