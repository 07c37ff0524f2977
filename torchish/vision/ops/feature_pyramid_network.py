"""Feature pyramids: coarse maps are added to finer ones, from the top down.

Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2016).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ... import nn
from ...nn import functional as F
from .misc import Conv2dNormActivation, Layer

Maps = list[Any]


class ExtraFPNBlock(nn.Module):
    """Something that appends levels to a pyramid."""

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        """The results and names of a pyramid over the maps `x`, with more levels."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(results, x, names)")


class FeaturePyramidNetwork(nn.Module):
    """Maps of one width from maps of several, each the sum of its own level and those above.

    Args:
        in_channels_list: widths of the levels, the finest first.
        extra_blocks: appends levels.
    Shape: an ordered dict of maps (N, C_i, H_i, W_i) to one of maps (N, out_channels, H_i, W_i).
    """

    _version = 2

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        for width in in_channels_list:
            if width == 0:
                raise ValueError("in_channels=0 is currently not supported")
            options: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": None}
            self.inner_blocks.append(
                Conv2dNormActivation(width, out_channels, kernel_size=1, padding=0, **options)
            )
            self.layer_blocks.append(
                Conv2dNormActivation(out_channels, out_channels, kernel_size=3, **options)
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialize(module)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(
                f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}"
            )
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version is None or version < 2:  # the convolutions were not in blocks
            for block in ("inner_blocks", "layer_blocks"):
                for i in range(len(self.inner_blocks)):
                    for kind in ("weight", "bias"):
                        old = f"{prefix}{block}.{i}.{kind}"
                        if old in state_dict:
                            state_dict[f"{prefix}{block}.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)

    def get_result_from_inner_blocks(self, x: Any, idx: int) -> Any:
        return self.inner_blocks[idx](x)

    def get_result_from_layer_blocks(self, x: Any, idx: int) -> Any:
        return self.layer_blocks[idx](x)

    def forward(self, x: dict[str, Any]) -> OrderedDict[str, Any]:
        names, maps = list(x), list(x.values())
        above = self.get_result_from_inner_blocks(maps[-1], len(maps) - 1)
        results = [self.get_result_from_layer_blocks(above, len(maps) - 1)]
        for level in range(len(maps) - 2, -1, -1):
            own = self.get_result_from_inner_blocks(maps[level], level)
            above = own + F.interpolate(above, size=own.shape[-2:], mode="nearest")
            results.insert(0, self.get_result_from_layer_blocks(above, level))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=False))


def _initialize(conv: nn.Conv2d) -> None:
    nn.init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, 0)


class LastLevelMaxPool(ExtraFPNBlock):
    """Appends "pool": every second pixel of the last level."""

    def forward(  # type: ignore[override]
        self, x: Maps, y: Maps, names: list[str]
    ) -> tuple[Maps, list[str]]:
        names.append("pool")
        x.append(F.max_pool2d(x[-1], kernel_size=1, stride=2, padding=0))
        return x, names


class LastLevelP6P7(ExtraFPNBlock):
    """Appends "p6" and "p7", convolutions at stride 2 of the last level (RetinaNet).

    The last level of the pyramid is read where its width is `in_channels`, else of the input.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for conv in (self.p6, self.p7):
            _initialize(conv)
        self.use_P5 = in_channels == out_channels

    def forward(  # type: ignore[override]
        self, p: Maps, c: Maps, names: list[str]
    ) -> tuple[Maps, list[str]]:
        p6 = self.p6(p[-1] if self.use_P5 else c[-1])
        p.extend([p6, self.p7(F.relu(p6))])
        names.extend(["p6", "p7"])
        return p, names
