"""Mask R-CNN.

Source: He et al., "Mask R-CNN" (2017).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .... import nn
from ...ops import MultiScaleRoIAlign
from ...ops.misc import Conv2dNormActivation, Layer
from .._build import weights_enum
from .._init import initialize, kaiming_fan_out
from . import _build as build
from .faster_rcnn import FasterRCNN, check_type, version2_parts, with_own_arguments


@with_own_arguments
class MaskRCNN(FasterRCNN):
    """Faster R-CNN with a mask for each detection.

    Args:
        mask_roi_pool, mask_head, mask_predictor: the parts of the masks' head.
        The others are those of FasterRCNN.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *,
        mask_roi_pool: MultiScaleRoIAlign | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        check_type(mask_roi_pool, MultiScaleRoIAlign, "mask_roi_pool")
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        pool = mask_roi_pool or MultiScaleRoIAlign(
            featmap_names=["0", "1", "2", "3"], output_size=14, sampling_ratio=2
        )
        # Drawn before the parts of Faster R-CNN.
        head = mask_head or MaskRCNNHeads(backbone.out_channels, (256, 256, 256, 256), 1)
        predictor = mask_predictor or MaskRCNNPredictor(256, 256, num_classes)
        super().__init__(backbone, num_classes, **kwargs)
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = predictor


class MaskRCNNHeads(nn.Sequential):
    """Convolutions at the masks' size."""

    _version = 2

    def __init__(
        self, in_channels: int, layers: Any, dilation: int, norm_layer: Layer | None = None
    ) -> None:
        blocks, width = [], in_channels
        for wider in layers:
            blocks.append(
                Conv2dNormActivation(
                    width, wider, kernel_size=3, stride=1, padding=dilation, dilation=dilation,
                    norm_layer=norm_layer,
                )
            )  # fmt: skip
            width = wider
        super().__init__(*blocks)
        initialize(self, {nn.Conv2d: kaiming_fan_out})

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version is None or version < 2:  # the convolutions were called mask_fcn1 …
            for i in range(len(self)):
                for kind in ("weight", "bias"):
                    old = f"{prefix}mask_fcn{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


class MaskRCNNPredictor(nn.Sequential):
    """Twice the size, then a mask of logits for each category."""

    def __init__(self, in_channels: int, dim_reduced: int, num_classes: Any) -> None:
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(dim_reduced, num_classes, 1, 1, 0),
            )
        )
        for name, parameter in self.named_parameters():
            if "weight" in name:
                kaiming_fan_out(parameter)


def _version2(backbone: Any, num_classes: int, **kwargs: Any) -> MaskRCNN:
    parts = version2_parts(backbone.out_channels)
    head = MaskRCNNHeads(backbone.out_channels, [256, 256, 256, 256], 1, norm_layer=nn.BatchNorm2d)
    return MaskRCNN(backbone, num_classes, mask_head=head, **parts, **kwargs)


MaskRCNN_ResNet50_FPN_Weights = weights_enum("MaskRCNN_ResNet50_FPN_Weights")
MaskRCNN_ResNet50_FPN_V2_Weights = weights_enum("MaskRCNN_ResNet50_FPN_V2_Weights")
maskrcnn_resnet50_fpn = build.on_resnet50(
    "maskrcnn_resnet50_fpn", MaskRCNN_ResNet50_FPN_Weights, __name__, MaskRCNN, zero_eps=True
)
maskrcnn_resnet50_fpn_v2 = build.on_resnet50(
    "maskrcnn_resnet50_fpn_v2", MaskRCNN_ResNet50_FPN_V2_Weights, __name__, _version2,
    version2=True, norm_layer=nn.BatchNorm2d,
)  # fmt: skip
