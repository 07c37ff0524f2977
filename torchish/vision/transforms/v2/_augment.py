"""Erased boxes, mixtures of samples, JPEG's losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Image as PILImage

from ...._tensor.tensor import Tensor
from ....distributions import Beta
from ....nn.functional import one_hot
from ....utils._pytree import tree_flatten, tree_unflatten
from ... import transforms as first_api, tv_tensors
from ..._tensors import normal, randint, tensor_of
from .._random_geometry import _draw_box, check_erasing
from . import functional as F
from ._geometry import PassesThrough
from ._transform import RandomlyApplied, Transform
from ._utils import (
    check_sequence,
    has_any,
    is_pure_tensor,
    labels_getter as parse_labels_getter,
    query_chw,
    query_size,
)


class RandomErasing(RandomlyApplied, PassesThrough):
    """Overwrite a random box with probability p.

    Args:
        scale: range of the box's area, as a share of the image's.
        ratio: range of its height / width.
        value: a number, one number a channel, or "random" for normal noise.
    Source: Random Erasing Data Augmentation (Zhong et al. 2017).
    """

    _v1_transform_cls = first_api.RandomErasing

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0.0,
        inplace: bool = False,
    ) -> None:
        super().__init__(p=p)
        check_erasing(scale, ratio, value)
        self.scale = scale
        self.ratio = ratio
        if isinstance(value, (int, float)):
            value = [float(value)]
        elif isinstance(value, (list, tuple)):
            value = [float(v) for v in value]
        self.value = None if isinstance(value, str) else value
        self.inplace = inplace

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        channels, height, width = query_chw(flat_inputs)
        if self.value is not None and len(self.value) not in (1, channels):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{channels} (number of inpt channels)"
            )
        for _ in range(10):
            area, aspect = _draw_box(height * width, self.scale, self.ratio)
            h = round(math.sqrt(area * aspect))
            w = round(math.sqrt(area / aspect))
            if not (h < height and w < width):
                continue
            if self.value is None:
                content = normal((channels, h, w))
            else:
                content = np.array(self.value, np.float32)[:, None, None]
            i = randint(0, height - h + 1)
            j = randint(0, width - w + 1)
            return {"i": i, "j": j, "h": h, "w": w, "v": tensor_of(content)}
        return {"i": 0, "j": 0, "h": height, "w": width, "v": None}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["v"] is None:
            return inpt
        return self._call_kernel(F.erase, inpt, **params, inplace=self.inplace)


class _Mixing(Transform):
    """Base of transforms that mix each sample of a batch with the one before it."""

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        num_classes: int | None = None,
        labels_getter: Any = "default",
    ) -> None:
        super().__init__()
        self.alpha = float(alpha)
        concentration = tensor_of(np.array([alpha], np.float32))
        self._dist = Beta(concentration, concentration)
        self._dist.mean.item()  # a wrong alpha is an error here, not where a sample is drawn
        self.num_classes = num_classes
        self._labels_getter = parse_labels_getter(labels_getter)

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        flat_inputs, shape = tree_flatten(sample)
        needed = self._needs_transform_list(flat_inputs)
        others = (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)
        if has_any(flat_inputs, PILImage, *others):
            raise ValueError(
                f"{type(self).__name__}() does not support PIL images, bounding boxes, keypoints "
                "and masks."
            )
        labels = self._labels_getter(sample)
        self._check_labels(labels)
        images = [inpt for inpt, wanted in zip(flat_inputs, needed, strict=True) if wanted]
        params = {
            "labels": labels,
            "batch_size": labels.shape[0],
            **self.make_params(images),
        }
        # Labels are tensors behind an image, which other transforms leave alone.
        needed[next(k for k, inpt in enumerate(flat_inputs) if inpt is labels)] = True
        outputs = [
            self.transform(inpt, params) if wanted else inpt
            for inpt, wanted in zip(flat_inputs, needed, strict=True)
        ]
        return tree_unflatten(outputs, shape)

    def _check_labels(self, labels: Any) -> None:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with "
                "shape (batch_size, num_classes), but got a tensor of shape "
                f"{labels.shape} instead."
            )
        known = self.num_classes
        if labels.ndim == 2 and known is not None and labels.shape[-1] != known:
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match "
                f"num_classes: {labels.shape[-1]} != {known}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and known is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")

    def _check_batch(self, inpt: Tensor, batch_size: int) -> None:
        rank = 5 if isinstance(inpt, tv_tensors.Video) else 4
        if inpt.ndim != rank:
            raise ValueError(
                f"Expected a batched input with {rank} dims, but got {inpt.ndim} dimensions "
                "instead."
            )
        if inpt.shape[0] != batch_size:
            raise ValueError(
                "The batch size of the image or video does not match the batch size of the "
                f"labels: {inpt.shape[0]} != {batch_size}."
            )

    def _mixed_labels(self, labels: Tensor, share: float) -> Tensor:
        if labels.ndim == 1:
            labels = one_hot(labels, num_classes=self.num_classes)  # type: ignore[arg-type]
        if not labels.is_floating_point():
            labels = labels.float()
        return labels.roll(1, 0).mul_(1.0 - share).add_(labels.mul(share))

    def _mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        raise NotImplementedError

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if inpt is params["labels"]:
            return self._mixed_labels(inpt, params["share"])
        kinds = (tv_tensors.Image, tv_tensors.Video)
        if not (is_pure_tensor(inpt) or isinstance(inpt, kinds)):
            return inpt
        self._check_batch(inpt, params["batch_size"])
        output = self._mixed(inpt.as_subclass(Tensor), params)
        return tv_tensors.wrap(output, like=inpt) if isinstance(inpt, kinds) else output


class MixUp(_Mixing):
    """lam x + (1 - lam) x', x' the sample before x in the batch and lam from Beta(alpha, alpha).

    Args:
        num_classes: for labels (N,), which become (N, num_classes).
        labels_getter: "default" takes the tensor in second place; or a function from samples.
    Source: mixup: Beyond Empirical Risk Minimization (Zhang et al. 2017).
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        share = float(self._dist.sample(()))
        return {"lam": share, "share": share}

    def _mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        share = params["share"]
        return images.roll(1, 0).mul_(1.0 - share).add_(images.mul(share))


class CutMix(_Mixing):
    """A random box of each sample comes from the sample before it; labels mix by its area.

    Args: as for MixUp.
    Source: CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features
    (Yun et al. 2019).
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        share = float(self._dist.sample(()))
        height, width = query_size(flat_inputs)
        x, y = randint(0, width), randint(0, height)
        side = 0.5 * math.sqrt(1.0 - share)
        half_w, half_h = int(side * width), int(side * height)
        x1, x2 = max(x - half_w, 0), min(x + half_w, width)
        y1, y2 = max(y - half_h, 0), min(y + half_h, height)
        adjusted = float(1.0 - (x2 - x1) * (y2 - y1) / (width * height))
        return {"box": (x1, y1, x2, y2), "lam_adjusted": adjusted, "share": adjusted}

    def _mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        x1, y1, x2, y2 = params["box"]
        output = images.clone()
        output[..., y1:y2, x1:x2] = images.roll(1, 0)[..., y1:y2, x1:x2]
        return output


class JPEG(Transform):
    """Encode as JPEG and decode again.

    Args:
        quality: 1 to 100, or a range (min, max), both ends included.
    Raises: TypeError and ValueError for other qualities.
    """

    def __init__(self, quality: Any) -> None:
        super().__init__()
        if isinstance(quality, bool):
            raise TypeError("quality can't be bool")
        if isinstance(quality, int):
            quality = [quality, quality]
        else:
            check_sequence(quality, "quality", (2,))
        if not (1 <= quality[0] <= quality[1] <= 100 and all(isinstance(q, int) for q in quality)):
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality =}")
        self.quality = quality

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"quality": randint(self.quality[0], self.quality[1] + 1)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.jpeg, inpt, quality=params["quality"])
