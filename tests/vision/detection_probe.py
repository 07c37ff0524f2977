"""Small detectors and a small segmenter, trained for a few steps in either library."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from tests.vision.model_probe import detected, tell_apart, wave

KINDS = ("faster", "mask", "keypoint", "retinanet", "fcos", "ssd", "ssdlite")
_MODULES = ("anchor_utils", "faster_rcnn", "mask_rcnn", "keypoint_rcnn", "ssd", "ssdlite")


def backbone(nn: Any, width: int = 8) -> Any:
    """Two maps, at strides 4 and 8."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, width, 7, stride=4, padding=3)
            self.second = nn.Conv2d(width, width, 3, stride=2, padding=1)
            self.out_channels = width

        def forward(self, x: Any) -> Any:
            first = self.first(x).relu()
            return OrderedDict([("0", first), ("1", self.second(first).relu())])

    return Two()


def detector(torch: Any, detection: Any, ops: Any, kind: str) -> Any:
    """A detector of three categories for images of 64 pixels."""
    nn = torch.nn
    modules = {
        name: __import__(f"{detection.__name__}.{name}", fromlist=["_"]) for name in _MODULES
    }
    anchors = modules["anchor_utils"]
    size: dict[str, Any] = {"min_size": 64, "max_size": 96}
    if kind in ("faster", "mask", "keypoint"):
        pool = ops.MultiScaleRoIAlign(["0", "1"], 4, 2, canonical_scale=32, canonical_level=3)
        size |= {
            "rpn_anchor_generator": anchors.AnchorGenerator(((8,), (24,)), ((0.5, 1.0),) * 2),
            "box_roi_pool": pool,
            "box_head": modules["faster_rcnn"].TwoMLPHead(8 * 16, 16),
            "box_predictor": modules["faster_rcnn"].FastRCNNPredictor(16, 3),
            "rpn_batch_size_per_image": 32,
            "box_batch_size_per_image": 24,
            "rpn_post_nms_top_n_train": 40,
            "rpn_post_nms_top_n_test": 20,
        }
        other = ops.MultiScaleRoIAlign(["0", "1"], 4, 2, canonical_scale=32, canonical_level=3)
        if kind == "mask":
            module = modules["mask_rcnn"]
            size |= {
                "mask_roi_pool": other,
                "mask_head": module.MaskRCNNHeads(8, (8,), 1),
                "mask_predictor": module.MaskRCNNPredictor(8, 8, 3),
            }
            return detection.MaskRCNN(backbone(nn), **size)
        if kind == "keypoint":
            module = modules["keypoint_rcnn"]
            size |= {
                "keypoint_roi_pool": other,
                "keypoint_head": module.KeypointRCNNHeads(8, (8,)),
                "keypoint_predictor": module.KeypointRCNNPredictor(8, 2),
            }
            return detection.KeypointRCNN(backbone(nn), **size)
        return detection.FasterRCNN(backbone(nn), **size)
    if kind == "retinanet":
        generator = anchors.AnchorGenerator(((8,), (24,)), ((0.5, 1.0),) * 2)
        return detection.RetinaNet(
            backbone(nn), 3, anchor_generator=generator, score_thresh=0.005, **size
        )
    if kind == "fcos":
        generator = anchors.AnchorGenerator(((4,), (8,)), ((1.0,),) * 2)
        return detection.FCOS(
            backbone(nn, 32), 3, anchor_generator=generator, score_thresh=0.01, **size
        )
    generator = anchors.DefaultBoxGenerator([[2], [2]])
    base = backbone(nn)
    base.out_channels = [8, 8]
    options: dict[str, Any] = {"topk_candidates": 20}
    if kind == "ssdlite":
        options["head"] = modules["ssdlite"].SSDLiteHead(
            [8, 8], generator.num_anchors_per_location(), 3, nn.BatchNorm2d
        )
    return modules["ssd"].SSD(base, generator, (64, 64), 3, **options)


def targets(torch: Any) -> list[dict[str, Any]]:
    boxes = [
        np.array([[6.0, 8.0, 30.0, 40.0], [30.0, 20.0, 58.0, 44.0]], np.float32),
        np.array([[10.0, 4.0, 50.0, 52.0]], np.float32),
    ]
    found = []
    for i, corners in enumerate(boxes):
        masks = np.zeros((len(corners), 64, 64 + 8 * i), np.uint8)
        points = np.ones((len(corners), 2, 3), np.float32)
        for k, (x1, y1, x2, y2) in enumerate(corners.astype(int)):
            masks[k, y1:y2, x1:x2] = 1
            points[k, :, :2] = [[x1 + 3, y1 + 4], [x2 - 3, y2 - 5]]
        found.append(
            {
                "boxes": torch.from_numpy(corners),
                "labels": torch.from_numpy(np.arange(1, len(corners) + 1)),
                "masks": torch.from_numpy(masks),
                "keypoints": torch.from_numpy(points),
            }
        )
    return found


def images(torch: Any) -> list[Any]:
    return [torch.from_numpy(wave(3, 64, 64 + 8 * i) * 0.5 + 0.5) for i in range(2)]


def train(model: Any, optimizer: Any, pictures: Any, wanted: Any, count: int) -> Any:
    """The losses of each step."""
    losses = []
    for _ in range(count):
        found = model(pictures, wanted)
        losses.append({name: float(value.detach()) for name, value in sorted(found.items())})
        optimizer.zero_grad()
        sum(found.values()).backward()
        optimizer.step()
    return losses


def in_double(torch: Any, models: Any, ops: Any) -> Any:
    """The losses of three steps of a Faster R-CNN on MobileNetV2's features, in double.

    Its norms see few values each, so that in single an ulp of an initial weight decides which
    proposals the third step matches: only double tells such chaos from a fault.
    """
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # weights that are drawn in double
    try:
        model = _on_mobilenet(models, ops)
    finally:
        torch.set_default_dtype(default)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    wanted = [
        {"boxes": each["boxes"].double(), "labels": torch.ones_like(each["labels"])}
        for each in targets(torch)
    ]
    return train(model, optimizer, [x.double() for x in images(torch)], wanted, 3)


def _on_mobilenet(models: Any, ops: Any) -> Any:
    backbone = models.mobilenet_v2(width_mult=0.25).features[:-1]
    backbone.out_channels = 80
    detection = models.detection
    anchors = detection.rpn.AnchorGenerator(((16, 32, 64),), ((0.5, 1.0, 2.0),))
    return detection.FasterRCNN(
        backbone,
        rpn_anchor_generator=anchors,
        box_roi_pool=ops.MultiScaleRoIAlign(["0"], 3, 2),
        box_head=detection.faster_rcnn.TwoMLPHead(80 * 9, 32),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(32, 2),
        min_size=64,
        max_size=96,
    )


def steps(torch: Any, detection: Any, ops: Any, kind: str) -> dict[str, Any]:
    """The losses of two steps of SGD, then what is detected."""
    torch.manual_seed(0)
    model = detector(torch, detection, ops, kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = train(model, optimizer, images(torch), targets(torch), 2)
    model.eval()
    tell_apart(torch, model, images(torch))
    with torch.no_grad():
        detections = model(images(torch))
    seen = [{"count": len(image["scores"]), **detected(image, 4)} for image in detections]
    return {"losses": losses, "detections": seen}


def segmentation(torch: Any, models: Any) -> list[float]:
    """The losses of three steps of SGD of a small FCN with an auxiliary classifier, in double.

    Its last norms see four values each: in single the third loss moves by 1e-3 with the order in
    which sums are added.
    """
    torch.manual_seed(0)
    resnet = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1])
    getter = models._utils.IntermediateLayerGetter(resnet, {"layer4": "out", "layer3": "aux"})
    heads = models.segmentation.fcn.FCNHead(512, 4), models.segmentation.fcn.FCNHead(256, 4)
    model = models.segmentation.FCN(getter, *heads).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    image = torch.from_numpy(wave(2, 3, 32, 40)).double()
    label = torch.from_numpy((np.arange(2 * 32 * 40) // 7 % 4).reshape(2, 32, 40))
    losses = []
    for _ in range(3):
        out = model(image)
        cross = torch.nn.functional.cross_entropy
        loss = cross(out["out"], label) + 0.5 * cross(out["aux"], label)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses
