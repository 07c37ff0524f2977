"""What several operators on boxes and regions share."""

from __future__ import annotations

from typing import Any

import torchish

from ... import nn

FLOATS = (torchish.float32, torchish.float64)


def pair(value: Any) -> tuple[int, int]:
    """Two whole numbers from one or from a sequence of two."""
    if isinstance(value, int):
        return value, value
    first, second = value
    return int(first), int(second)


def convert_boxes_to_roi_format(boxes: list[Any]) -> Any:
    """Boxes (L, 4) of each image as one tensor (K, 5) whose first column is the image's number."""
    numbers = [torchish.full_like(b[:, :1], i) for i, b in enumerate(boxes)]
    return torchish.cat([torchish.cat(numbers, dim=0), torchish.cat(list(boxes), dim=0)], dim=1)


def check_roi_boxes_shape(boxes: Any) -> None:
    """Raise AssertionError for boxes that are neither (K, 5) nor a list of (L, 4)."""
    if isinstance(boxes, (list, tuple)):
        if any(b.size(1) != 4 for b in boxes):
            raise AssertionError(
                "The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]"
            )
    elif isinstance(boxes, torchish.Tensor):
        if boxes.size(1) != 5:
            raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
    else:
        raise AssertionError("boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")


def regions(input: Any, boxes: Any) -> Any:
    """The boxes as (K, 5), checked against the feature map.

    Raises: AssertionError for another shape, RuntimeError for another dtype.
    """
    check_roi_boxes_shape(boxes)
    rois = boxes if isinstance(boxes, torchish.Tensor) else convert_boxes_to_roi_format(boxes)
    if input.dtype != rois.dtype:
        raise RuntimeError("input and rois must have the same dtype")
    return rois


def split_normalization_params(
    model: nn.Module, norm_classes: list[type] | None = None
) -> tuple[list[Any], list[Any]]:
    """The trainable parameters of normalisation layers, and all others.

    Raises: ValueError for a class that is no Module.
    """
    classes = tuple(
        norm_classes
        or (
            nn.modules.batchnorm._BatchNorm,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.modules.instancenorm._InstanceNorm,
            nn.LocalResponseNorm,
        )
    )
    for kind in classes:
        if not issubclass(kind, nn.Module):
            raise ValueError(f"Class {kind} is not a subclass of nn.Module.")
    norms: list[Any] = []
    others: list[Any] = []
    for module in model.modules():
        leaf = next(module.children(), None) is None
        chosen = norms if leaf and isinstance(module, classes) else others
        chosen.extend(p for p in module.parameters(recurse=leaf) if p.requires_grad)
    return norms, others


def upcast(t: Any) -> Any:
    """At least float32 or int32, so that areas do not overflow."""
    if t.is_floating_point():
        return t if t.dtype in FLOATS else t.float()
    return t if t.dtype in (torchish.int32, torchish.int64) else t.int()


def reduced(loss: Any, reduction: str) -> Any:
    """A loss by element, its mean or its sum; the mean of nothing is 0.

    Raises: ValueError for another reduction.
    """
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', "
        "'mean', 'sum'"
    )
