"""Detectors in two steps: proposals, then heads that look at each of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torchish

from .... import nn

Target = dict[str, Any]


def check_targets(targets: list[Target] | None) -> None:
    """Raise AssertionError for targets that cannot be trained on."""
    if targets is None:
        raise AssertionError("targets should not be none when in training mode")
    for target in targets:
        boxes = target["boxes"]
        if not isinstance(boxes, torchish.Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.dim() != 2 or boxes.shape[-1] != 4:
            raise AssertionError(
                f"Expected target boxes to be a tensor of shape [N, 4], got {tuple(boxes.shape)}."
            )


def check_degenerate(targets: list[Target] | None) -> None:
    """Raise AssertionError for a target box without width or height."""
    for i, target in enumerate(targets or ()):
        flat = target["boxes"].detach().cpu().numpy()
        wrong = (flat[:, 2:] <= flat[:, :2]).any(1)
        if wrong.any():
            raise AssertionError(
                "All bounding boxes should have positive height and width. Found invalid box "
                f"{flat[wrong.argmax()].tolist()} for target at index {i}."
            )


def sizes_of(images: list[Any]) -> list[tuple[int, int]]:
    """Height and width of each image."""
    for image in images:
        if len(image.shape[-2:]) != 2:
            raise AssertionError(
                "expecting the last two dimensions of the Tensor to be H and W instead got "
                f"{tuple(image.shape[-2:])}"
            )
    return [(int(image.shape[-2]), int(image.shape[-1])) for image in images]


def maps_of(features: Any) -> OrderedDict[str, Any]:
    """The maps of a backbone, which may give one tensor only."""
    return OrderedDict([("0", features)]) if isinstance(features, torchish.Tensor) else features


class GeneralizedRCNN(nn.Module):
    """Transform, backbone, proposals and heads.

    In training it gives a dict of losses, in evaluation a list of detections.
    """

    def __init__(
        self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: nn.Module
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self._has_warned = False

    def forward(self, images: list[Any], targets: list[Target] | None = None) -> Any:
        """Args:
        images: tensors (C, H, W) in [0, 1].
        targets: of each image `boxes` (N, 4), `labels` (N,) and what the heads ask for.
        """
        if self.training:
            check_targets(targets)
        original = sizes_of(images)
        batch, targets = self.transform(images, targets)
        check_degenerate(targets)
        features = maps_of(self.backbone(batch.tensors))
        proposals, proposal_losses = self.rpn(batch, features, targets)
        detections, losses = self.roi_heads(features, proposals, batch.image_sizes, targets)
        found = self.transform.postprocess(detections, batch.image_sizes, original)
        return self.eager_outputs({**losses, **proposal_losses}, found)

    def eager_outputs(self, losses: dict[str, Any], detections: list[Target]) -> Any:
        """The losses in training, the detections otherwise."""
        return losses if self.training else detections
