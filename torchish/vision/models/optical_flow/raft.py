"""RAFT: flows refined again and again from the correlation of all pairs of places.

Source: Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (2020).
"""

from __future__ import annotations

import math
from typing import Any

import torchish

from .... import nn
from ....nn import functional as F
from ...ops.misc import Conv2dNormActivation, Layer
from .._build import Argument, load, published, weights_enum
from .._init import kaiming_fan_out
from ._utils import grid_sample, make_coords_grid, upsample_flow

__all__ = ("RAFT", "Raft_Large_Weights", "Raft_Small_Weights", "raft_large", "raft_small")


class ResidualBlock(nn.Module):
    """relu(x + two 3 x 3 convolutions)"""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm_layer: Layer | None,
        stride: int = 1,
        always_project: bool = False,
    ) -> None:
        super().__init__()
        self.convnormrelu1 = Conv2dNormActivation(
            in_channels, out_channels, norm_layer=norm_layer, stride=stride, bias=True
        )
        self.convnormrelu2 = Conv2dNormActivation(
            out_channels, out_channels, norm_layer=norm_layer, bias=True
        )
        keep = stride == 1 and not always_project
        self.downsample = _skip(in_channels, out_channels, stride, norm_layer, keep)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        y = self.convnormrelu2(self.convnormrelu1(x))
        return self.relu(self.downsample(x) + y)


class BottleneckBlock(nn.Module):
    """relu(x + three convolutions), the middle one 3 x 3 at a quarter of the width"""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm_layer: Layer | None, stride: int = 1
    ) -> None:
        super().__init__()
        width = out_channels // 4
        self.convnormrelu1 = Conv2dNormActivation(
            in_channels, width, kernel_size=1, norm_layer=norm_layer, bias=True
        )
        self.convnormrelu2 = Conv2dNormActivation(
            width, width, norm_layer=norm_layer, stride=stride, bias=True
        )
        self.convnormrelu3 = Conv2dNormActivation(
            width, out_channels, kernel_size=1, norm_layer=norm_layer, bias=True
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _skip(in_channels, out_channels, stride, norm_layer, stride == 1)

    def forward(self, x: Any) -> Any:
        y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return self.relu(self.downsample(x) + y)


def _skip(before: int, after: int, stride: int, norm: Layer | None, keep: bool) -> nn.Module:
    if keep:
        return nn.Identity()
    return Conv2dNormActivation(
        before, after, kernel_size=1, stride=stride, norm_layer=norm, bias=True,
        activation_layer=None,
    )  # fmt: skip


class FeatureEncoder(nn.Module):
    """An image as a map of an eighth of its size."""

    def __init__(
        self,
        *,
        block: Any = ResidualBlock,
        layers: tuple[int, ...] = (64, 64, 96, 128, 256),
        strides: tuple[int, ...] = (2, 1, 2, 2),
        norm_layer: Layer | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"The expected number of layers is 5, instead got {len(layers)}")
        self.convnormrelu = Conv2dNormActivation(
            3, layers[0], kernel_size=7, norm_layer=norm_layer, stride=strides[0], bias=True
        )
        for i in (1, 2, 3):
            first = block(layers[i - 1], layers[i], norm_layer=norm_layer, stride=strides[i])
            second = block(layers[i], layers[i], norm_layer=norm_layer, stride=1)
            self.add_module(f"layer{i}", nn.Sequential(first, second))
        self.conv = nn.Conv2d(layers[3], layers[4], kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                kaiming_fan_out(module.weight)
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x: Any) -> Any:
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class MotionEncoder(nn.Module):
    """Correlations and the flow so far as one map, whose last two channels are the flow."""

    def __init__(
        self,
        *,
        in_channels_corr: int,
        corr_layers: tuple[int, ...] = (256, 192),
        flow_layers: tuple[int, ...] = (128, 64),
        out_channels: int = 128,
    ) -> None:
        super().__init__()
        if len(flow_layers) != 2:
            raise ValueError(
                f"The expected number of flow_layers is 2, instead got {len(flow_layers)}"
            )
        if len(corr_layers) not in (1, 2):
            raise ValueError(
                f"The number of corr_layers should be 1 or 2, instead got {len(corr_layers)}"
            )
        self.convcorr1 = _plain(in_channels_corr, corr_layers[0], 1)
        self.convcorr2 = _plain(*corr_layers, 3) if len(corr_layers) == 2 else nn.Identity()
        self.convflow1 = _plain(2, flow_layers[0], 7)
        self.convflow2 = _plain(flow_layers[0], flow_layers[1], 3)
        # Two channels are left for the flow.
        self.conv = _plain(corr_layers[-1] + flow_layers[-1], out_channels - 2, 3)
        self.out_channels = out_channels

    def forward(self, flow: Any, corr_features: Any) -> Any:
        corr = self.convcorr2(self.convcorr1(corr_features))
        moved = self.convflow2(self.convflow1(flow))
        return torchish.cat([self.conv(torchish.cat([corr, moved], dim=1)), flow], dim=1)


def _plain(before: int, after: int, kernel: int) -> nn.Module:
    return Conv2dNormActivation(before, after, kernel_size=kernel, norm_layer=None)


class ConvGRU(nn.Module):
    """A gated recurrent unit of convolutions."""

    def __init__(
        self, *, input_size: int, hidden_size: int, kernel_size: Any, padding: Any
    ) -> None:
        super().__init__()
        for name in ("convz", "convr", "convq"):
            conv = nn.Conv2d(
                hidden_size + input_size, hidden_size, kernel_size=kernel_size, padding=padding
            )
            self.add_module(name, conv)

    def forward(self, h: Any, x: Any) -> Any:
        both = torchish.cat([h, x], dim=1)
        z, r = torchish.sigmoid(self.convz(both)), torchish.sigmoid(self.convr(both))
        q = torchish.tanh(self.convq(torchish.cat([r * h, x], dim=1)))
        return (1 - z) * h + z * q


def _pass_through_h(h: Any, _: Any) -> Any:
    return h


class RecurrentBlock(nn.Module):
    """One recurrent unit, or two of different kernels."""

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        kernel_size: Any = ((1, 5), (5, 1)),
        padding: Any = ((0, 2), (2, 0)),
    ) -> None:
        super().__init__()
        if len(kernel_size) != len(padding):
            raise ValueError(
                "kernel_size should have the same length as padding, instead got "
                f"len(kernel_size) = {len(kernel_size)} and len(padding) = {len(padding)}"
            )
        if len(kernel_size) not in (1, 2):
            raise ValueError(f"kernel_size should either 1 or 2, instead got {len(kernel_size)}")
        units = [
            ConvGRU(input_size=input_size, hidden_size=hidden_size, kernel_size=k, padding=p)
            for k, p in zip(kernel_size, padding, strict=True)
        ]
        self.convgru1 = units[0]
        self.convgru2 = units[1] if len(units) == 2 else _pass_through_h
        self.hidden_size = hidden_size

    def forward(self, h: Any, x: Any) -> Any:
        return self.convgru2(self.convgru1(h, x), x)


class FlowHead(nn.Module):
    """The change of the flow."""

    def __init__(self, *, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """One step: motion, recurrent unit, flow head."""

    def __init__(self, *, motion_encoder: Any, recurrent_block: Any, flow_head: Any) -> None:
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(
        self, hidden_state: Any, context: Any, corr_features: Any, flow: Any
    ) -> tuple[Any, Any]:
        motion = self.motion_encoder(flow, corr_features)
        hidden_state = self.recurrent_block(hidden_state, torchish.cat([context, motion], dim=1))
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """The logits of `upsample_flow`."""

    def __init__(self, *, in_channels: int, hidden_size: int, multiplier: float = 0.25) -> None:
        super().__init__()
        self.convrelu = _plain(in_channels, hidden_size, 3)
        self.conv = nn.Conv2d(hidden_size, 8 * 8 * 9, 1, padding=0)
        self.multiplier = multiplier

    def forward(self, x: Any) -> Any:
        return self.multiplier * self.conv(self.convrelu(x))


class CorrBlock(nn.Module):
    """The correlation of all pairs of places, at several sizes, read around given places.

    Args:
        radius: how far around; 2 * radius + 1 places each way.
    """

    def __init__(self, *, num_levels: int = 4, radius: int = 4) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.radius = radius
        self.corr_pyramid: list[Any] = [torchish.tensor(0)]
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1: Any, fmap2: Any) -> None:
        """Keep the correlations of two maps (N, C, H, W)."""
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                f"Input feature maps should have the same shape, instead got {fmap1.shape} "
                f"(fmap1.shape) != {fmap2.shape} (fmap2.shape)"
            )
        least = 2 * 2 ** (self.num_levels - 1)
        if min(fmap1.shape[-2:]) < least:
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid. H and "
                f"W of feature maps should be at least {least}; got: {fmap1.shape[-2:]}. Remember "
                "that input images to the model are downsampled by 8, so that means their "
                f"dimensions should be at least 8 * {least} = {8 * least}."
            )
        batch, channels, height, width = fmap1.shape
        first, second = fmap1.flatten(2), fmap2.flatten(2)
        volume = (first.transpose(1, 2) @ second) / math.sqrt(channels)
        volume = volume.reshape(batch * height * width, 1, height, width)
        self.corr_pyramid = [volume]
        for _ in range(self.num_levels - 1):
            volume = F.avg_pool2d(volume, kernel_size=2, stride=2)
            self.corr_pyramid.append(volume)

    def index_pyramid(self, centroids_coords: Any) -> Any:
        """The correlations around places (N, 2, H, W): (N, out_channels, H, W)."""
        side = 2 * self.radius + 1
        steps = torchish.linspace(-self.radius, self.radius, side, device=centroids_coords.device)
        delta = torchish.stack(torchish.meshgrid(steps, steps, indexing="ij"), dim=-1)
        batch, _, height, width = centroids_coords.shape
        places = centroids_coords.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
        found = []
        for volume in self.corr_pyramid:
            around = places + delta.view(1, side, side, 2)
            sampled = grid_sample(volume, around, align_corners=True, mode="bilinear")
            found.append(sampled.view(batch, height, width, -1))
            places = places / 2
        return torchish.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()


class RAFT(nn.Module):
    """RAFT.

    Args:
        mask_predictor: makes the weights by which flows are upsampled; without it they are
            resized.
    Shape: two images (N, 3, H, W), H and W multiples of 8, to a list of flows (N, 2, H, W), one
        an update.
    """

    def __init__(
        self,
        *,
        feature_encoder: nn.Module,
        context_encoder: nn.Module,
        corr_block: nn.Module,
        update_block: nn.Module,
        mask_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor
        if not hasattr(update_block, "hidden_state_size"):
            raise ValueError(
                "The update_block parameter should expose a 'hidden_state_size' attribute."
            )

    def _check(self, image1: Any, image2: Any) -> None:
        height, width = image1.shape[-2:]
        if (height, width) != tuple(image2.shape[-2:]):
            raise ValueError(
                f"input images should have the same shape, instead got ({height}, {width}) != "
                f"{image2.shape[-2:]}"
            )
        if height % 8 or width % 8:
            raise ValueError(
                f"input image H and W should be divisible by 8, instead got {height} (h) and "
                f"{width} (w)"
            )

    def forward(self, image1: Any, image2: Any, num_flow_updates: int = 12) -> list[Any]:
        self._check(image1, image2)
        batch, _, height, width = image1.shape
        size = (height // 8, width // 8)
        both = self.feature_encoder(torchish.cat([image1, image2], dim=0))
        first, second = torchish.chunk(both, chunks=2, dim=0)
        if tuple(first.shape[-2:]) != size:
            raise ValueError("The feature encoder should downsample H and W by 8")
        self.corr_block.build_pyramid(first, second)
        context = self.context_encoder(image1)
        if tuple(context.shape[-2:]) != size:
            raise ValueError("The context encoder should downsample H and W by 8")
        hidden_size = self.update_block.hidden_state_size
        if context.shape[1] <= hidden_size:
            raise ValueError(
                f"The context encoder outputs {context.shape[1]} channels, but it should have at "
                f"strictly more than hidden_state={hidden_size} channels"
            )
        hidden = torchish.tanh(context[:, :hidden_size])
        context = F.relu(context[:, hidden_size:])
        start = make_coords_grid(batch, *size, device=first.device)
        at, flows = start, []
        for _ in range(num_flow_updates):
            at = at.detach()  # as in the paper, gradients do not flow through the places
            corr = self.corr_block.index_pyramid(centroids_coords=at)
            hidden, change = self.update_block(hidden, context, corr, at - start)
            at = at + change
            mask = None if self.mask_predictor is None else self.mask_predictor(hidden)
            flows.append(upsample_flow(flow=at - start, up_mask=mask))
        return flows


# The published networks. The context encoder's last width holds the hidden state and the context.
_LARGE: dict[str, Any] = {
    "block": ResidualBlock,
    "layers": (64, 64, 96, 128),
    "widths": (256, 256),
    "context_norm": nn.BatchNorm2d,
    "radius": 4,
    "motion": {"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128},
    "hidden": 128,
    "recurrent": {"kernel_size": ((1, 5), (5, 1)), "padding": ((0, 2), (2, 0))},
    "flow_hidden": 256,
    "mask": True,
}
_SMALL: dict[str, Any] = {
    "block": BottleneckBlock,
    "layers": (32, 32, 64, 96),
    "widths": (128, 160),
    "context_norm": None,
    "radius": 3,
    "motion": {"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82},
    "hidden": 96,
    "recurrent": {"kernel_size": (3,), "padding": (1,)},
    "flow_hidden": 128,
    "mask": False,
}


def _construct(table: dict[str, Any], **parts: Any) -> RAFT:
    def encoder(name: str, width: int, norm: Layer | None) -> nn.Module:
        given = parts.pop(name, None)
        layers = (*table["layers"], width)
        return given or FeatureEncoder(block=table["block"], layers=layers, norm_layer=norm)

    features = encoder("feature_encoder", table["widths"][0], nn.InstanceNorm2d)
    context = encoder("context_encoder", table["widths"][1], table["context_norm"])
    corr = parts.pop("corr_block", None) or CorrBlock(num_levels=4, radius=table["radius"])
    hidden = table["hidden"]
    update = parts.pop("update_block", None)
    if update is None:
        motion = MotionEncoder(in_channels_corr=corr.out_channels, **table["motion"])
        width = motion.out_channels + table["widths"][1] - hidden
        recurrent = RecurrentBlock(input_size=width, hidden_size=hidden, **table["recurrent"])
        head = FlowHead(in_channels=hidden, hidden_size=table["flow_hidden"])
        update = UpdateBlock(motion_encoder=motion, recurrent_block=recurrent, flow_head=head)
    mask = parts.pop("mask_predictor", None)
    if mask is None and table["mask"]:
        mask = MaskPredictor(in_channels=hidden, hidden_size=256, multiplier=0.25)
    return RAFT(
        feature_encoder=features, context_encoder=context, corr_block=corr, update_block=update,
        mask_predictor=mask, **parts,
    )  # fmt: skip


def _raft(name: str, enum: Any, legacy: str, table: dict[str, Any]) -> Any:
    def build(*, weights=None, progress=True, **kwargs) -> RAFT:
        network = _construct(table, **kwargs)
        if weights is not None:
            load(network, weights, progress)
        return network

    old = [Argument("weights", enum, "pretrained", enum[legacy])]
    return published(name, build, old, __name__, f"{name}; parts of RAFT may be given.")


Raft_Large_Weights = weights_enum("Raft_Large_Weights")
Raft_Small_Weights = weights_enum("Raft_Small_Weights")
raft_large = _raft("raft_large", Raft_Large_Weights, "C_T_SKHT_V2", _LARGE)
raft_small = _raft("raft_small", Raft_Small_Weights, "C_T_V2", _SMALL)
