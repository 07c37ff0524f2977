"""Vision transformers.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2020).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any, NamedTuple

import torchish

from ... import nn
from ..ops.misc import MLP, Conv2dNormActivation, Layer
from ._build import Kwargs, expect, expect_classes, model, weights_enum

_Norm = partial(nn.LayerNorm, eps=1e-6)


_require = torchish._assert  # unlike `assert`, a call that tracing keeps


class ConvStemConfig(NamedTuple):
    """One convolution of a stem."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Layer = nn.BatchNorm2d
    activation_layer: Layer = nn.ReLU


class MLPBlock(MLP):
    """Two linear layers with GELU between them."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(
            in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version is None or version < 2:  # the layers were called linear_1 and linear_2
            for i in range(2):
                for kind in ("weight", "bias"):
                    old = f"{prefix}linear_{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{3 * i}.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))"""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Layer = _Norm,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Any) -> Any:
        _check_sequence(input)
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


def _check_sequence(input: Any) -> None:
    _require(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")


class Encoder(nn.Module):
    """Position embedding, blocks, norm."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Layer = _Norm,
    ) -> None:
        super().__init__()
        positions = torchish.empty(1, seq_length, hidden_dim).normal_(std=0.02)
        self.pos_embedding = nn.Parameter(positions)
        self.dropout = nn.Dropout(dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(num_layers):
            layers[f"encoder_layer_{i}"] = EncoderBlock(
                num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
            )
        self.layers = nn.Sequential(layers)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Any) -> Any:
        _check_sequence(input)
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Patches and a class token through an encoder; the token is classified.

    Args:
        representation_size: width of a hidden layer of the head, if there is one.
        conv_stem_configs: convolutions in place of the patches' projection.
    Shape: (N, 3, image_size, image_size) to (N, num_classes).
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Layer = _Norm,
        conv_stem_configs: list[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        _require(image_size % patch_size == 0, "Input shape indivisible by patch size!")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        self.conv_proj = self._projection(conv_stem_configs)
        self.class_token = nn.Parameter(torchish.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
            attention_dropout, norm_layer,
        )  # fmt: skip
        head: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            head["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            head["act"] = nn.Tanh()
        head["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(head)
        self._initialize()

    def _projection(self, configs: list[ConvStemConfig] | None) -> nn.Module:
        if configs is None:
            return nn.Conv2d(3, self.hidden_dim, self.patch_size, stride=self.patch_size)
        stem, width = nn.Sequential(), 3
        for i, config in enumerate(configs):
            conv = Conv2dNormActivation(
                width,
                config.out_channels,
                kernel_size=config.kernel_size,
                stride=config.stride,
                norm_layer=config.norm_layer,
                activation_layer=config.activation_layer,
            )
            stem.add_module(f"conv_bn_relu_{i}", conv)
            width = config.out_channels
        stem.add_module("conv_last", nn.Conv2d(width, self.hidden_dim, kernel_size=1))
        return stem

    def _initialize(self) -> None:
        proj = self.conv_proj
        if isinstance(proj, nn.Conv2d):
            fan_in = proj.in_channels * proj.kernel_size[0] * proj.kernel_size[1]
            nn.init.trunc_normal_(proj.weight, std=math.sqrt(1 / fan_in))
            nn.init.zeros_(proj.bias)
        else:
            last = proj.conv_last
            nn.init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / last.out_channels))
            nn.init.zeros_(last.bias)
        if self.representation_size is not None:
            before = self.heads.pre_logits
            nn.init.trunc_normal_(before.weight, std=math.sqrt(1 / before.in_features))
            nn.init.zeros_(before.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def _process_input(self, x: Any) -> Any:
        """(N, 3, H, W) to the sequence of projected patches (N, patches, hidden_dim)."""
        batch, _, height, width = x.shape
        for name, size in (("height", height), ("width", width)):
            _require(
                size == self.image_size,
                f"Wrong image {name}! Expected {self.image_size} but got {size}!",
            )
        rows, columns = height // self.patch_size, width // self.patch_size
        x = self.conv_proj(x)
        return x.reshape(batch, self.hidden_dim, rows * columns).permute(0, 2, 1)

    def forward(self, x: Any) -> Any:
        x = self._process_input(x)
        batch = x.shape[0]
        token = self.class_token.expand(batch, -1, -1)
        return self.heads(self.encoder(torchish.cat([token, x], dim=1))[:, 0])


def _prepare(weights: Any, kwargs: Kwargs) -> None:
    expect_classes(weights, kwargs)
    expect(kwargs, "image_size", weights.meta["min_size"][0])


def _vit(name: str, enum: Any, layers: int, heads: int, width: int, **old: Any) -> Any:
    def construct(image_size: int = 224, **kwargs: Any) -> VisionTransformer:
        return VisionTransformer(
            image_size=image_size,
            patch_size=int(name.rpartition("_")[2]),
            num_layers=layers,
            num_heads=heads,
            hidden_dim=width,
            mlp_dim=4 * width,
            **kwargs,
        )

    return model(name, construct, enum, prepare=_prepare, **old)


ViT_B_16_Weights = weights_enum("ViT_B_16_Weights")
ViT_B_32_Weights = weights_enum("ViT_B_32_Weights")
ViT_L_16_Weights = weights_enum("ViT_L_16_Weights")
ViT_L_32_Weights = weights_enum("ViT_L_32_Weights")
ViT_H_14_Weights = weights_enum("ViT_H_14_Weights")
vit_b_16 = _vit("vit_b_16", ViT_B_16_Weights, 12, 12, 768)
vit_b_32 = _vit("vit_b_32", ViT_B_32_Weights, 12, 12, 768)
vit_l_16 = _vit("vit_l_16", ViT_L_16_Weights, 24, 16, 1024)
vit_l_32 = _vit("vit_l_32", ViT_L_32_Weights, 24, 16, 1024)
vit_h_14 = _vit("vit_h_14", ViT_H_14_Weights, 32, 16, 1280, legacy=None)


def interpolate_embeddings(
    image_size: int,
    patch_size: int,
    model_state: OrderedDict[str, Any],
    interpolation_mode: str = "bicubic",
    reset_heads: bool = False,
) -> OrderedDict[str, Any]:
    """A state dict whose position embedding is resized for images of another size.

    Args:
        reset_heads: leave the heads out, for fine-tuning.
    Raises: ValueError for embeddings of another shape than (1, 1 + n * n, width).
    """
    embedding = model_state["encoder.pos_embedding"]
    batch, length, width = embedding.shape
    if batch != 1:
        raise ValueError(f"Unexpected position embedding shape: {embedding.shape}")
    side = image_size // patch_size
    if side**2 + 1 == length:
        return model_state
    old = math.isqrt(length - 1)
    if old * old != length - 1:
        raise ValueError(
            "seq_length is not a perfect square! Instead got seq_length_1d * seq_length_1d = "
            f"{old * old} and seq_length = {length - 1}"
        )
    grid = embedding[:, 1:, :].permute(0, 2, 1).reshape(1, width, old, old)
    grid = nn.functional.interpolate(grid, size=side, mode=interpolation_mode, align_corners=True)
    patches = grid.reshape(1, width, side**2).permute(0, 2, 1)
    model_state["encoder.pos_embedding"] = torchish.cat([embedding[:, :1, :], patches], dim=1)
    if not reset_heads:
        return model_state
    return OrderedDict((k, v) for k, v in model_state.items() if not k.startswith("heads"))
