"""A small member of every family of models, built by the public classes of either library.

The builders' networks are compared by their layouts in the suite and in full by `make compat`; the
networks here are compared in full each time: names, numbers, seeded weights, results, and the loss
and gradients of a training step. `tools/vision_expectations.py --small` records torchvision's side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.vision import detection_probe, model_probe as probe

TABLE = Path(__file__).parent / "small_models_expectations.json"
Build = Callable[[Any, Any], Any]
FAMILIES: dict[str, tuple[Build, tuple[int, ...]]] = {}


def family(name: str, *shape: int) -> Callable[[Build], Build]:
    """Registers a function of (torch, torchvision.models) with the shape of the model's input."""

    def register(build: Build) -> Build:
        FAMILIES[name] = build, shape
        return build

    return register


# -- classification --------------------------------------------------------------------------------


@family("alexnet", 1, 3, 63, 70)
def _(torch: Any, models: Any) -> Any:
    return models.AlexNet(num_classes=5)


@family("convnext", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    config = models.convnext.CNBlockConfig
    return models.ConvNeXt(
        [config(8, 16, 2), config(16, None, 1)], stochastic_depth_prob=0.3, num_classes=5
    )


@family("densenet", 2, 3, 40, 48)
def _(torch: Any, models: Any) -> Any:
    return models.DenseNet(8, (2, 1), 16, drop_rate=0.2, num_classes=5)


@family("efficientnet", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    config = models.efficientnet.MBConvConfig
    setting = [
        config(1, 3, 1, 8, 8, 1, width_mult=1.2),
        config(4, 5, 2, 8, 12, 2, width_mult=1.2, depth_mult=1.1),
    ]
    return models.EfficientNet(setting, dropout=0.2, stochastic_depth_prob=0.3, num_classes=5)


@family("efficientnet_v2", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    fused, plain = models.efficientnet.FusedMBConvConfig, models.efficientnet.MBConvConfig
    setting = [fused(1, 3, 1, 8, 8, 1), fused(4, 3, 2, 8, 16, 2), plain(4, 3, 2, 16, 24, 1)]
    norm = functools.partial(torch.nn.BatchNorm2d, eps=1e-3)
    return models.EfficientNet(
        setting, dropout=0.1, num_classes=5, norm_layer=norm, last_channel=32
    )


@family("googlenet", 2, 3, 40, 48)
def _(torch: Any, models: Any) -> Any:
    return models.GoogLeNet(num_classes=5, init_weights=False, transform_input=True)


@family("inception", 3, 3, 75, 80)
def _(torch: Any, models: Any) -> Any:
    return models.Inception3(num_classes=5, aux_logits=False, init_weights=False)


@family("maxvit", 2, 3, 56, 56)
def _(torch: Any, models: Any) -> Any:
    return models.MaxVit((56, 56), 8, 7, [8, 16], [1, 1], 4, 0.2, num_classes=5)


@family("mnasnet", 3, 3, 40, 48)
def _(torch: Any, models: Any) -> Any:
    return models.MNASNet(0.35, num_classes=5)


@family("mobilenet_v2", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    return models.MobileNetV2(5, 0.35, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2]])


@family("mobilenet_v3", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    config = models.mobilenetv3.InvertedResidualConfig
    setting = [
        config(16, 3, 16, 16, True, "RE", 2, 1, 1.0),
        config(16, 5, 40, 24, True, "HS", 1, 2, 0.75),
        config(24, 3, 56, 24, False, "HS", 1, 1, 0.75),
    ]
    return models.MobileNetV3(setting, 64, num_classes=5)


@family("regnet_x", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    params = models.regnet.BlockParams.from_init_params(5, 16, 12.0, 2.1, 8)
    return models.RegNet(params, num_classes=5)


@family("regnet_y", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    params = models.regnet.BlockParams.from_init_params(5, 16, 12.0, 2.1, 8, se_ratio=0.25)
    return models.RegNet(params, num_classes=5)


@family("resnet", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    return models.ResNet(
        models.resnet.Bottleneck,
        [2, 1, 1, 1],
        num_classes=5,
        zero_init_residual=True,
        groups=2,
        width_per_group=8,
        replace_stride_with_dilation=[False, True, False],
    )


@family("shufflenet", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    return models.ShuffleNetV2([1, 2, 1], [24, 16, 32, 64, 96], num_classes=5)


@family("squeezenet_1_0", 1, 3, 40, 48)
def _(torch: Any, models: Any) -> Any:
    return models.SqueezeNet("1_0", num_classes=5)


@family("squeezenet_1_1", 1, 3, 40, 48)
def _(torch: Any, models: Any) -> Any:
    return models.SqueezeNet("1_1", num_classes=5)


@family("swin", 2, 3, 36, 44)
def _(torch: Any, models: Any) -> Any:
    return models.SwinTransformer(
        [4, 4], 16, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.3, num_classes=5
    )


@family("swin_v2", 2, 3, 36, 44)
def _(torch: Any, models: Any) -> Any:
    module = models.swin_transformer
    return models.SwinTransformer(
        [4, 4],
        16,
        [2, 2],
        [2, 4],
        [4, 4],
        stochastic_depth_prob=0.3,
        num_classes=5,
        block=module.SwinTransformerBlockV2,
        downsample_layer=module.PatchMergingV2,
    )


@family("vgg", 1, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    features = models.vgg.make_layers([8, "M", 16, "M", 512], batch_norm=True)
    return models.VGG(features, num_classes=5, init_weights=False)


@family("vit", 2, 3, 32, 32)
def _(torch: Any, models: Any) -> Any:
    return models.VisionTransformer(
        32, 8, 2, 2, 16, 32, dropout=0.1, num_classes=5, representation_size=12
    )


@family("vit_conv_stem", 2, 3, 32, 32)
def _(torch: Any, models: Any) -> Any:
    stem = models.vision_transformer.ConvStemConfig
    return models.VisionTransformer(
        32, 16, 1, 2, 16, 32, num_classes=5, conv_stem_configs=[stem(8, 3, 4), stem(12, 3, 4)]
    )


# -- detection, see detection_probe ----------------------------------------------------------------


def _detector(kind: str) -> Build:
    def build(torch: Any, models: Any) -> Any:
        ops = __import__(models.__name__.replace("models", "ops"), fromlist=["_"])
        return detection_probe.detector(torch, models.detection, ops, kind)

    return build


for _kind in detection_probe.KINDS:
    FAMILIES[f"detection.{_kind}"] = _detector(_kind), ()


# -- segmentation ----------------------------------------------------------------------------------


def _layers(models: Any, **names: str) -> Any:
    dilated = [False, True, True]
    resnet = models.ResNet(
        models.resnet.Bottleneck, [1] * 4, width_per_group=4, replace_stride_with_dilation=dilated
    )
    return models._utils.IntermediateLayerGetter(resnet, names)


@family("segmentation.fcn", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    heads = [models.segmentation.fcn.FCNHead(width, 3) for width in (2048, 1024)]
    return models.segmentation.FCN(_layers(models, layer4="out", layer3="aux"), *heads)


@family("segmentation.deeplabv3", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    head = models.segmentation.deeplabv3.DeepLabHead(256, 3, (2, 3, 4))
    return models.segmentation.DeepLabV3(_layers(models, layer1="out"), head)


@family("segmentation.lraspp", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    layers = _layers(models, layer1="low", layer2="high")
    return models.segmentation.LRASPP(layers, 256, 512, 3, inter_channels=16)


# -- video and flow --------------------------------------------------------------------------------


def _video_resnet(kind: str, stem: str) -> Build:
    def build(torch: Any, models: Any) -> Any:
        module = models.video.resnet
        return models.video.VideoResNet(
            module.BasicBlock,
            [getattr(module, kind)] * 4,
            [1, 1, 1, 1],
            getattr(module, stem),
            num_classes=5,
        )

    return build


FAMILIES["video.r3d"] = _video_resnet("Conv3DSimple", "BasicStem"), (3, 3, 4, 16, 20)
FAMILIES["video.mc3"] = _video_resnet("Conv3DNoTemporal", "BasicStem"), (2, 3, 4, 16, 20)
FAMILIES["video.r2plus1d"] = _video_resnet("Conv2Plus1D", "R2Plus1dStem"), (3, 3, 4, 16, 20)


def _mvit(second: bool) -> Build:
    def build(torch: Any, models: Any) -> Any:
        config, cube, same = models.video.mvit.MSBlockConfig, [3, 3, 3], [1, 1, 1]
        query = (cube, same) if second else ([], [])
        blocks = [
            config(1, 8, 8 if second else 16, query[0], cube, query[1], [1, 4, 4]),
            config(2, 8 if second else 16, 16, cube, cube, [1, 2, 2], [1, 2, 2]),
        ]
        return models.video.MViT(
            (32, 32),
            4,
            blocks,
            residual_pool=second,
            residual_with_cls_embed=not second,
            rel_pos_embed=second,
            proj_after_attn=second,
            stochastic_depth_prob=0.3,
            num_classes=5,
        )

    return build


FAMILIES["video.mvit_v1"] = _mvit(False), (1, 3, 4, 32, 32)
FAMILIES["video.mvit_v2"] = _mvit(True), (1, 3, 4, 32, 32)


@family("video.s3d", 2, 3, 9, 32, 40)
def _(torch: Any, models: Any) -> Any:
    model = models.video.S3D(num_classes=5)
    model.avgpool = torch.nn.AvgPool3d(1)  # its own needs 224 pixels
    return model


@family("video.swin3d", 1, 3, 5, 36, 44)
def _(torch: Any, models: Any) -> Any:
    return models.video.SwinTransformer3d(
        [2, 4, 4], 16, [2, 2], [2, 4], [2, 4, 4], stochastic_depth_prob=0.3, num_classes=5
    )


@family("flow.raft", 2, 3, 32, 40)
def _(torch: Any, models: Any) -> Any:
    raft = __import__(f"{models.__name__}.optical_flow.raft", fromlist=["_"])
    corr = raft.CorrBlock(num_levels=2, radius=2)
    motion = raft.MotionEncoder(
        in_channels_corr=corr.out_channels, corr_layers=(16, 12), flow_layers=(12, 8),
        out_channels=14,
    )  # fmt: skip
    return raft.RAFT(
        feature_encoder=raft.FeatureEncoder(
            block=raft.ResidualBlock, layers=(8, 8, 12, 16, 24), norm_layer=torch.nn.InstanceNorm2d
        ),
        context_encoder=raft.FeatureEncoder(
            block=raft.BottleneckBlock, layers=(8, 8, 12, 16, 28), norm_layer=torch.nn.BatchNorm2d
        ),
        corr_block=corr,
        update_block=raft.UpdateBlock(
            motion_encoder=motion,
            recurrent_block=raft.RecurrentBlock(input_size=14 + 12, hidden_size=16),
            flow_head=raft.FlowHead(in_channels=16, hidden_size=12),
        ),
        mask_predictor=raft.MaskPredictor(in_channels=16, hidden_size=12),
    )


# -- what is compared ------------------------------------------------------------------------------


# A prime number of values, so that they fall differently in each row.
_WAVE = (0.01 * np.sin(np.arange(1021) * 0.7)).astype(np.float32)


def _stir(torch: Any, model: Any) -> None:
    """Change all weights and statistics by known amounts, fast for large ones."""
    with torch.no_grad():
        for i, value in enumerate(model.state_dict().values()):
            if value.is_floating_point():
                value.add_(torch.from_numpy(np.resize(np.roll(_WAVE, i), tuple(value.shape))))


def _spread(array: np.ndarray, count: int) -> list[float]:
    """The mean magnitude, then values from all over."""
    flat = array.astype(np.float64).reshape(-1)
    places = np.linspace(0, flat.size - 1, min(count, flat.size)).astype(int)
    return [float(np.abs(flat).mean()), *map(float, flat[places])]


# Many layers of batch norm over few pixels multiply rounding: trained in double precision.
_DOUBLE = (
    "googlenet", "inception", "mobilenet_v2", "segmentation.lraspp", "video.r2plus1d", "video.s3d",
)  # fmt: skip
# Large matrices, whose gradients would take seconds.
_UNTRAINED = ("alexnet", "vgg")


def _forward(torch: Any, model: Any, name: str, shape: tuple[int, ...]) -> Any:
    """All that the model gives, as one flat tensor."""
    dtype = next(model.parameters()).dtype
    given = torch.from_numpy(probe.wave(*shape)).to(dtype)
    if name == "flow.raft":
        found = model(given, given.roll(2, -1), num_flow_updates=2)
    else:
        found = model(given)
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, (list, tuple)):
        return torch.cat([part.reshape(-1) for part in found if part is not None])
    return found.reshape(-1)


def _trained(torch: Any, model: Any, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """The loss of a training step with its draws, and gradients of tensors from all over."""
    torch.manual_seed(1)
    model.train()
    if name in _DOUBLE:
        model.double()
    found = _forward(torch, model, name, shape)
    loss = (found * torch.from_numpy(probe.wave(found.numel()) + 0.5)).mean()
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    chosen = [gradients[i] for i in np.linspace(0, len(gradients) - 1, 8).astype(int)]
    means = [float(np.abs(g.numpy()).mean()) for g in chosen]
    return {"loss": float(loss.detach()), "count": len(gradients), "gradients": means}


def compared(torch: Any, models: Any, name: str) -> dict[str, Any]:
    """All figures of a family's small member."""
    build, shape = FAMILIES[name]
    torch.manual_seed(0)
    model = build(torch, models)
    found = {**probe.layout(model), "seeded": probe.seeded(model)}
    if not shape:  # detectors are run by detection_probe
        return found
    _stir(torch, model)
    with torch.no_grad():
        result = _forward(torch, model.eval(), name, shape)
    found["computed"] = _spread(result.numpy(), 24)
    if name not in _UNTRAINED:
        found["trained"] = _trained(torch, model, name, shape)
    return found
