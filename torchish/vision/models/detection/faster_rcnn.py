"""Faster R-CNN.

Source: Ren et al., "Faster R-CNN" (2015); version 2, Li et al., "Benchmarking Detection Transfer
Learning with Vision Transformers" (2021).
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .... import nn
from ....nn import functional as F
from ...ops import MultiScaleRoIAlign
from ...ops.misc import Conv2dNormActivation, Layer
from .._build import weights_enum
from .._init import initialize, kaiming_fan_out
from . import _build as build
from .anchor_utils import AnchorGenerator
from .backbone_utils import _mobilenet_extractor
from .generalized_rcnn import GeneralizedRCNN
from .roi_heads import RoIHeads
from .rpn import RegionProposalNetwork, RPNHead
from .transform import imagenet_transform

RATIOS = (0.5, 1.0, 2.0)


def _default_anchorgen() -> AnchorGenerator:
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


def check_type(value: Any, kind: type, name: str) -> None:
    """Raise TypeError for a part of the wrong class; None stands for the default one."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(
            f"{name} should be of type {kind.__name__} or None instead of {type(value)}"
        )


def check_backbone(backbone: Any) -> None:
    """Raise ValueError for a backbone that does not say how wide its maps are."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output "
            "channels (assumed to be the same for all the levels)"
        )


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN.

    Args:
        backbone: gives a map or a dict of maps, and has `out_channels`.
        num_classes: categories, the background included; None if there is a `box_predictor`.
        min_size, max_size, image_mean, image_std: of GeneralizedRCNNTransform.
        rpn_…: of RegionProposalNetwork.
        box_…: of RoIHeads.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: Any = 800,
        max_size: int = 1333,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        rpn_anchor_generator: AnchorGenerator | None = None,
        rpn_head: nn.Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: MultiScaleRoIAlign | None = None,
        box_head: nn.Module | None = None,
        box_predictor: nn.Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone)
        check_type(rpn_anchor_generator, AnchorGenerator, "rpn_anchor_generator")
        check_type(box_roi_pool, MultiScaleRoIAlign, "box_roi_pool")
        if num_classes is not None and box_predictor is not None:
            raise ValueError("num_classes should be None when box_predictor is specified")
        if num_classes is None and box_predictor is None:
            raise ValueError("num_classes should not be None when box_predictor is not specified")
        width = backbone.out_channels
        anchors = rpn_anchor_generator or _default_anchorgen()
        head = rpn_head or RPNHead(width, anchors.num_anchors_per_location()[0])
        rpn = RegionProposalNetwork(
            anchors,
            head,
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            score_thresh=rpn_score_thresh,
        )
        pool = box_roi_pool or MultiScaleRoIAlign(
            featmap_names=["0", "1", "2", "3"], output_size=7, sampling_ratio=2
        )
        if box_head is None:
            box_head = TwoMLPHead(width * pool.output_size[0] ** 2, 1024)
        if box_predictor is None:
            box_predictor = FastRCNNPredictor(1024, num_classes)
        heads = RoIHeads(
            pool,
            box_head,
            box_predictor,
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        transform = imagenet_transform(min_size, max_size, image_mean, image_std, **kwargs)
        super().__init__(backbone, rpn, heads, transform)


def with_own_arguments(cls: Any) -> Any:
    """Give a subclass all arguments of FasterRCNN and then its keyword-only ones, in that order.

    Raises: TypeError when it is called with more positional arguments than there are.
    """
    first, written = cls.__init__, inspect.signature(cls.__init__).parameters
    shared = [
        written.get(p.name, p) for p in inspect.signature(FasterRCNN.__init__).parameters.values()
    ]
    own = [
        p.replace(kind=p.POSITIONAL_OR_KEYWORD)
        for p in written.values()
        if p.kind is p.KEYWORD_ONLY
    ]
    fields = [*shared[:-1], *own, shared[-1]]
    names = [p.name for p in fields[1:-1]]

    @functools.wraps(first)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) > len(names):
            raise TypeError(f"{cls.__name__} takes at most {len(names)} positional arguments")
        first(self, **dict(zip(names, args, strict=False)), **kwargs)

    __init__.__signature__ = inspect.Signature(fields)  # type: ignore[attr-defined]
    cls.__init__ = __init__
    return cls


class TwoMLPHead(nn.Module):
    """Two linear layers."""

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x: Any) -> Any:
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(start_dim=1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """Convolutions, then linear layers.

    Args:
        input_size: channels, height and width.
        conv_layers, fc_layers: widths.
    """

    def __init__(
        self,
        input_size: tuple[int, int, int],
        conv_layers: list[int],
        fc_layers: list[int],
        norm_layer: Layer | None = None,
    ) -> None:
        width, height, across = input_size
        blocks: list[nn.Module] = []
        for wider in conv_layers:
            blocks.append(Conv2dNormActivation(width, wider, norm_layer=norm_layer))
            width = wider
        blocks.append(nn.Flatten())
        width *= height * across
        for wider in fc_layers:
            blocks += [nn.Linear(width, wider), nn.ReLU(inplace=True)]
            width = wider
        super().__init__(*blocks)
        initialize(self, {nn.Conv2d: kaiming_fan_out})


class FastRCNNPredictor(nn.Module):
    """A logit and the offsets of a box for each category."""

    def __init__(self, in_channels: int, num_classes: Any) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x: Any) -> tuple[Any, Any]:
        if x.dim() == 4 and list(x.shape[2:]) != [1, 1]:
            raise AssertionError(
                "x has the wrong shape, expecting the last two dimensions to be [1,1] instead of "
                f"{list(x.shape[2:])}"
            )
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


def version2_parts(width: int) -> dict[str, Any]:
    """The deeper heads of version 2, made in this order."""
    anchors = _default_anchorgen()
    return {
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(width, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead(
            (width, 7, 7), [256, 256, 256, 256], [1024], norm_layer=nn.BatchNorm2d
        ),
    }


def _version2(backbone: Any, num_classes: int, **kwargs: Any) -> FasterRCNN:
    return FasterRCNN(backbone, num_classes, **version2_parts(backbone.out_channels), **kwargs)


def _mobilenet(defaults: dict[str, Any]) -> Any:
    def function(
        *,
        weights=None,
        progress: bool = True,
        num_classes: int | None = None,
        weights_backbone=build.MOBILENET,
        trainable_backbone_layers: int | None = None,
        **kwargs: Any,
    ) -> FasterRCNN:
        weights_backbone, count = build.settle(weights, weights_backbone, num_classes)
        network, layers = build.mobilenet_large(
            weights, weights_backbone, trainable_backbone_layers, progress
        )
        backbone = _mobilenet_extractor(network, True, layers)
        sizes = ((32, 64, 128, 256, 512),) * 3
        detector = FasterRCNN(
            backbone,
            count,
            rpn_anchor_generator=AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
            **{**defaults, **kwargs},
        )
        return build.filled(detector, weights, progress)

    return function


FasterRCNN_ResNet50_FPN_Weights = weights_enum("FasterRCNN_ResNet50_FPN_Weights")
FasterRCNN_ResNet50_FPN_V2_Weights = weights_enum("FasterRCNN_ResNet50_FPN_V2_Weights")
FasterRCNN_MobileNet_V3_Large_FPN_Weights = weights_enum(
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights"
)
FasterRCNN_MobileNet_V3_Large_320_FPN_Weights = weights_enum(
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights"
)
fasterrcnn_resnet50_fpn = build.on_resnet50(
    "fasterrcnn_resnet50_fpn", FasterRCNN_ResNet50_FPN_Weights, __name__, FasterRCNN, zero_eps=True
)
fasterrcnn_resnet50_fpn_v2 = build.on_resnet50(
    "fasterrcnn_resnet50_fpn_v2", FasterRCNN_ResNet50_FPN_V2_Weights, __name__, _version2,
    version2=True, norm_layer=nn.BatchNorm2d,
)  # fmt: skip
fasterrcnn_mobilenet_v3_large_fpn = build.detector(
    "fasterrcnn_mobilenet_v3_large_fpn",
    _mobilenet({"rpn_score_thresh": 0.05}),
    FasterRCNN_MobileNet_V3_Large_FPN_Weights,
    build.MOBILENET,
    __name__,
)
fasterrcnn_mobilenet_v3_large_320_fpn = build.detector(
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    _mobilenet(
        {
            "min_size": 320,
            "max_size": 640,
            "rpn_pre_nms_top_n_test": 150,
            "rpn_post_nms_top_n_test": 150,
            "rpn_score_thresh": 0.05,
        }
    ),
    FasterRCNN_MobileNet_V3_Large_320_FPN_Weights,
    build.MOBILENET,
    __name__,
)
