"""Training and detection against figures that torchvision gave (tools/vision_expectations.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

import torchish
from tests.vision import detection_probe as probe
from tests.vision.model_probe import same_detections
from torchish.vision import models, ops

EXPECTED = json.loads((Path(__file__).parent / "training_expectations.json").read_text())


@pytest.mark.parametrize("kind", probe.KINDS)
def test_two_steps_and_what_is_detected(kind):
    found = probe.steps(torchish, models.detection, ops, kind)
    for step, expected in zip(found["losses"], EXPECTED[kind]["losses"], strict=True):
        assert step.keys() == expected.keys()
        for name, value in expected.items():
            assert abs(step[name] - value) < 1e-3 * max(1.0, abs(value)), name
    for image, expected in zip(found["detections"], EXPECTED[kind]["detections"], strict=True):
        assert image["count"] == expected["count"]
        same_detections(image, expected)


def test_steps_in_double():
    """Where single precision is chaotic, three steps still agree in every figure."""
    found = probe.in_double(torchish, models, ops)
    for step, expected in zip(found, EXPECTED["in_double"], strict=True):
        assert step.keys() == expected.keys()
        for name, value in expected.items():
            # Labels of anchors are single, and so is the loss that they give.
            close = 1e-6 if name == "loss_objectness" else 1e-8
            assert step[name] == pytest.approx(value, rel=close), name


def test_a_segmenter_trains():
    losses = probe.segmentation(torchish, models)
    np.testing.assert_allclose(losses, EXPECTED["segmentation"], rtol=1e-8)


def test_targets_are_checked():
    model = probe.detector(torchish, models.detection, ops, "faster")
    image = [torchish.zeros(3, 64, 64)]
    with pytest.raises(AssertionError, match="targets should not be none"):
        model(image)
    flat = {"boxes": torchish.tensor([[5.0, 5.0, 5.0, 9.0]]), "labels": torchish.tensor([1])}
    with pytest.raises(AssertionError, match="positive height and width. Found invalid box"):
        model(image, [flat])
    with pytest.raises(AssertionError, match=r"shape \[N, 4\]"):
        model(image, [{"boxes": torchish.zeros(4), "labels": torchish.tensor([1])}])
    with pytest.raises(TypeError, match="Expected input images to be of floating type"):
        model.eval()([torchish.zeros(3, 64, 64, dtype=torchish.uint8)])


def test_an_image_without_targets_trains():
    torchish.manual_seed(0)
    model = probe.detector(torchish, models.detection, ops, "faster")
    nothing = {"boxes": torchish.zeros(0, 4), "labels": torchish.zeros(0, dtype=torchish.int64)}
    losses = model([torchish.rand(3, 64, 64)], [nothing])
    assert float(losses["loss_box_reg"]) == 0 and float(losses["loss_classifier"]) > 0


def test_masks_are_pasted_where_their_boxes_are():
    paste = models.detection.roi_heads.paste_masks_in_image
    masks = torchish.ones(2, 1, 28, 28)
    boxes = torchish.tensor([[4.0, 6.0, 20.0, 30.0], [-5.0, 10.0, 8.0, 60.0]])
    pasted = paste(masks, boxes, (40, 50))
    assert pasted.shape == (2, 1, 40, 50)
    assert float(pasted[0, 0, 10:26, 8:16].min()) > 0.99
    assert float(pasted[0, 0, :4].max()) == 0 and float(pasted[1, 0, 12:38, 0:6].min()) > 0.9
    assert paste(masks[:0], boxes[:0], (40, 50)).shape == (0, 1, 40, 50)


def test_backbones_freeze_their_first_layers():
    build = models.detection.backbone_utils.resnet_fpn_backbone
    with torchish.device("meta"):
        net = build(backbone_name="resnet18", weights=None, trainable_layers=2)
    trained = {name.split(".")[1] for name, p in net.body.named_parameters() if p.requires_grad}
    frozen = {name.split(".")[0] for name, p in net.body.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1", "layer2"} and trained
    with pytest.raises(ValueError, match=r"range \[0,5\], got 7"):
        build(backbone_name="resnet18", weights=None, trainable_layers=7)


def test_feature_extraction():
    extract = models.feature_extraction
    net = models.resnet18()
    train, evaluation = extract.get_graph_node_names(net)
    assert train == evaluation and train[:2] == ["x", "conv1"] and train[-1] == "fc"
    assert {"layer1.0.add", "layer2.0.downsample.1", "layer4.1.relu_1", "flatten"} <= set(train)
    found = extract.create_feature_extractor(net, {"layer1": "a", "layer2.0.conv1": "b"})
    x = torchish.from_numpy(probe.wave(1, 3, 32, 32))
    out = found.eval()(x)
    assert {k: tuple(v.shape) for k, v in out.items()} == {"a": (1, 64, 8, 8), "b": (1, 128, 4, 4)}
    net.eval()
    stem = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    np.testing.assert_allclose(
        out["a"].detach().numpy(), net.layer1(stem).detach().numpy(), atol=1e-5
    )
    with pytest.raises(ValueError, match="node: 'nothing' is not present in model"):
        extract.create_feature_extractor(net, ["nothing"])
    with pytest.raises(ValueError, match="Either `return_nodes`"):
        extract.create_feature_extractor(net)
