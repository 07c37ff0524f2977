"""Keypoint R-CNN: Mask R-CNN's form for places on bodies.

Source: He et al., "Mask R-CNN" (2017), section 5.
"""

from __future__ import annotations

from typing import Any

from .... import nn
from ....nn import functional as F
from ...ops import MultiScaleRoIAlign
from .._build import Argument, expected, published, weights_enum
from .._init import kaiming_fan_out
from . import _build as build
from .faster_rcnn import FasterRCNN, check_type, with_own_arguments


@with_own_arguments
class KeypointRCNN(FasterRCNN):
    """Faster R-CNN with keypoints for each detection.

    Args:
        keypoint_roi_pool, keypoint_head, keypoint_predictor: the parts of the keypoints' head.
        num_keypoints: 17 by default; None if there is a `keypoint_predictor`.
        The others are those of FasterRCNN.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: Any = None,
        max_size: int = 1333,
        *,
        keypoint_roi_pool: MultiScaleRoIAlign | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
        num_keypoints: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_type(keypoint_roi_pool, MultiScaleRoIAlign, "keypoint_roi_pool")
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        pool = keypoint_roi_pool or MultiScaleRoIAlign(
            featmap_names=["0", "1", "2", "3"], output_size=14, sampling_ratio=2
        )
        # Drawn before the parts of Faster R-CNN.
        head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (512,) * 8)
        predictor = keypoint_predictor or KeypointRCNNPredictor(512, num_keypoints or 17)
        sizes = (640, 672, 704, 736, 768, 800) if min_size is None else min_size
        super().__init__(backbone, num_classes, sizes, max_size, **kwargs)
        self.roi_heads.keypoint_roi_pool = pool
        self.roi_heads.keypoint_head = head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """Convolutions at the heat maps' first size."""

    def __init__(self, in_channels: int, layers: Any) -> None:
        blocks: list[nn.Module] = []
        width = in_channels
        for wider in layers:
            blocks += [nn.Conv2d(width, wider, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            width = wider
        super().__init__(*blocks)
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                kaiming_fan_out(module.weight)
                nn.init.constant_(module.bias, 0)


class KeypointRCNNPredictor(nn.Module):
    """A heat map for each keypoint, four times the size."""

    def __init__(self, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(
            in_channels, num_keypoints, 4, stride=2, padding=1
        )
        kaiming_fan_out(self.kps_score_lowres.weight)
        nn.init.constant_(self.kps_score_lowres.bias, 0)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x: Any) -> Any:
        return F.interpolate(
            self.kps_score_lowres(x),
            scale_factor=float(self.up_scale),
            mode="bilinear",
            align_corners=False,
            recompute_scale_factor=False,
        )


def _resnet50_fpn(
    *,
    weights=None,
    progress: bool = True,
    num_classes: int | None = None,
    num_keypoints: int | None = None,
    weights_backbone=build.RESNET50,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> KeypointRCNN:
    weights_backbone, count = build.settle(weights, weights_backbone, num_classes, default=2)
    if weights is not None:
        names = weights.meta["keypoint_names"]
        num_keypoints = expected("num_keypoints", num_keypoints, len(names))
    backbone = build.resnet50_backbone(
        weights, weights_backbone, trainable_backbone_layers, progress
    )
    points = 17 if num_keypoints is None else num_keypoints
    network = KeypointRCNN(backbone, count, num_keypoints=points, **kwargs)
    return build.filled(network, weights, progress, zero_eps=True)


def _legacy(kwargs: dict[str, Any]) -> Any:
    enum = KeypointRCNN_ResNet50_FPN_Weights
    return enum.COCO_LEGACY if kwargs["pretrained"] == "legacy" else enum.COCO_V1


KeypointRCNN_ResNet50_FPN_Weights = weights_enum("KeypointRCNN_ResNet50_FPN_Weights")
keypointrcnn_resnet50_fpn = published(
    "keypointrcnn_resnet50_fpn",
    _resnet50_fpn,
    [
        Argument("weights", KeypointRCNN_ResNet50_FPN_Weights, "pretrained", _legacy),
        Argument("weights_backbone", type(build.RESNET50), "pretrained_backbone", build.RESNET50),
    ],
    __name__,
    "Keypoint R-CNN; see KeypointRCNN for the arguments.",
)
