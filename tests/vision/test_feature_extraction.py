"""The names of the nodes that features are extracted by, against torchvision's."""

import hashlib

import pytest

import torchish
from tests.vision import small_models
from torchish.vision import models
from torchish.vision.models.feature_extraction import (
    create_feature_extractor,
    get_graph_node_names,
)

# Of each family's small member: the number of nodes, and a digest of their names in training and
# in evaluation, as torchvision has them.
NODES = {
    "alexnet": (23, "1ef7ced78f32"),
    "convnext": (49, "98556a11dd8c"),
    "densenet": (40, "adbbf92f6832"),
    "efficientnet": (28, "829e517d3ac6"),
    "efficientnet_v2": (20, "892f078a52a1"),
    "googlenet": (229, "246e4665c157"),
    "inception": (315, "6833ecba3f28"),
    "maxvit": (283, "e6289aee5a59"),
    "mnasnet": (154, "4f3f588f2549"),
    "mobilenet_v2": (33, "c5022e4b876a"),
    "mobilenet_v3": (20, "0ed813a96b5d"),
    "regnet_x": (33, "e17d58fe3aa3"),
    "regnet_y": (38, "4c34a90b343f"),
    "resnet": (66, "e9c6b5f2e240"),
    "shufflenet": (104, "f6af2e76ff06"),
    "squeezenet_1_0": (67, "bb64920df209"),
    "squeezenet_1_1": (67, "ab15bba19b93"),
    "swin": (68, "a78af1467a98"),
    "swin_v2": (92, "8cd6044b407c"),
    "vgg": (21, "eb2abbc8d153"),
    "vit": (59, "2004c5f8c92b"),
    "vit_conv_stem": (46, "cdfb88b859bb"),
    "segmentation.fcn": (67, "e18931026670"),
    "segmentation.deeplabv3": (48, "109b93d36816"),
    "segmentation.lraspp": (45, "8aa14c41d5d5"),
    "video.r3d": (49, "038d83463b38"),
    "video.mc3": (49, "038d83463b38"),
    "video.r2plus1d": (68, "ca49920dcd6f"),
    "video.mvit_v1": (238, "53701bd74ce5"),
    "video.mvit_v2": (259, "144bf527b90d"),
    "video.s3d": (104, "a749cab008f0"),
    "video.swin3d": (116, "0b642f3dc0c5"),
}
# What looks at its sizes or values while it runs, with torchvision too.
UNTRACED = tuple(name for name in small_models.FAMILIES if name not in NODES)


@pytest.mark.parametrize("name", NODES)
def test_names_of_nodes(name):
    build, _ = small_models.FAMILIES[name]
    train, evaluation = get_graph_node_names(build(torchish, models), suppress_diff_warning=True)
    names = "\n".join([*train, "", *evaluation])
    found = len(train), hashlib.sha256(names.encode()).hexdigest()[:12]
    assert found == NODES[name], names


def test_detectors_and_flow_cannot_be_traced():
    assert all(name.startswith(("detection.", "flow.")) for name in UNTRACED)
    for name in ("detection.faster", "flow.raft"):
        build, _ = small_models.FAMILIES[name]
        with pytest.raises(torchish.fx.proxy.TraceError):
            get_graph_node_names(build(torchish, models))


@pytest.mark.parametrize("name", ["swin_v2", "video.mvit_v1", "video.mvit_v2", "video.swin3d"])
def test_a_graph_computes_what_the_network_does(name):
    """Its helpers that look at sizes are nodes, so that other sizes are taken too."""
    build, shape = small_models.FAMILIES[name]
    torchish.manual_seed(0)
    net = build(torchish, models).eval()
    found = create_feature_extractor(net, {"head": "out"}).eval()
    x = torchish.rand(*shape)
    with torchish.no_grad():
        torchish.testing.assert_close(found(x)["out"], net(x))
