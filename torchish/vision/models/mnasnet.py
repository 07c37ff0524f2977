"""MNASNet: inverted residual blocks found by a search for phones.

Source: Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (2018).
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

from ... import nn
from ._build import model, weights_enum
from ._init import initialize, kaiming_fan_out

_BN_MOMENTUM = 1 - 0.9997
_DEPTHS = (32, 16, 24, 40, 80, 96, 192, 320)
# Kernel, first stride, expansion and blocks of each stack.
_STACKS = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


class _InvertedResidual(nn.Module):
    def __init__(
        self,
        in_ch: int,
        out_ch: int,
        kernel_size: int,
        stride: int,
        expansion_factor: int,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"kernel_size should be 3 or 5 instead of {kernel_size}")
        width = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            *_conv(in_ch, width, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            *_conv(width, width, kernel_size, stride, groups=width, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            *_conv(width, out_ch, momentum=bn_momentum),
        )

    def forward(self, input: Any) -> Any:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def _conv(
    before: int,
    after: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    momentum: float = _BN_MOMENTUM,
) -> list[nn.Module]:
    conv = nn.Conv2d(
        before, after, kernel, padding=kernel // 2, stride=stride, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(after, momentum=momentum)]


def _stack(
    in_ch: int,
    out_ch: int,
    kernel_size: int,
    stride: int,
    exp_factor: int,
    repeats: int,
    bn_momentum: float,
) -> nn.Sequential:
    if repeats < 1:
        raise ValueError(f"repeats should be >= 1, instead got {repeats}")
    return nn.Sequential(
        *(
            _InvertedResidual(
                out_ch if i else in_ch, out_ch, kernel_size, 1 if i else stride, exp_factor,
                bn_momentum,
            )
            for i in range(repeats)
        )
    )  # fmt: skip


def _round_to_multiple_of(val: float, divisor: int, round_up_bias: float = 0.9) -> int:
    if not 0.0 < round_up_bias < 1.0:
        raise ValueError(
            "round_up_bias should be greater than 0.0 and smaller than 1.0 instead of "
            f"{round_up_bias}"
        )
    rounded = max(divisor, int(val + divisor / 2) // divisor * divisor)
    return rounded if rounded >= round_up_bias * val else rounded + divisor


def _get_depths(alpha: float) -> list[int]:
    return [_round_to_multiple_of(depth * alpha, 8) for depth in _DEPTHS]


def _stem(first: int, second: int) -> list[nn.Module]:
    return [
        *_conv(3, first, 3, 2),
        nn.ReLU(inplace=True),
        *_conv(first, first, 3, groups=first),
        nn.ReLU(inplace=True),
        *_conv(first, second),
    ]


class MNASNet(nn.Module):
    """MNASNet-B1 with all widths scaled by `alpha`.

    Shape: (N, 3, H, W) to (N, num_classes).
    """

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        widths = _get_depths(alpha)
        pairs = itertools.pairwise(widths[1:])
        self.layers = nn.Sequential(
            *_stem(widths[0], widths[1]),
            *(
                _stack(before, after, *shape, _BN_MOMENTUM)
                for (before, after), shape in zip(pairs, _STACKS, strict=True)
            ),
            *_conv(widths[7], 1280),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes)
        )
        initialize(
            self,
            {
                nn.Conv2d: kaiming_fan_out,
                nn.BatchNorm2d: nn.init.ones_,
                nn.Linear: lambda weight: nn.init.kaiming_uniform_(
                    weight, mode="fan_out", nonlinearity="sigmoid"
                ),
            },
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.layers(x).mean([2, 3]))

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *args: Any, **kwargs: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if version not in (1, 2):
            raise ValueError(f"version should be set to 1 or 2 instead of {version}")
        if version == 1 and self.alpha != 1.0:
            # The first version did not scale the stem.
            old = [*_stem(32, 16), _stack(16, _get_depths(self.alpha)[2], 3, 2, 3, 3, _BN_MOMENTUM)]
            for i, layer in enumerate(old):
                self.layers[i] = layer
            self._version = 1
            warnings.warn(
                "A new version of MNASNet model has been implemented. Your checkpoint was saved "
                "using the previous version. This checkpoint will load and work as before, but "
                "you may want to upgrade by training a newer model or transfer learning from an "
                "updated ImageNet checkpoint.",
                UserWarning,
                stacklevel=2,
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


def _mnasnet(name: str, enum: Any, alpha: float) -> Any:
    return model(name, lambda **kwargs: MNASNet(alpha, **kwargs), enum)


MNASNet0_5_Weights = weights_enum("MNASNet0_5_Weights")
MNASNet0_75_Weights = weights_enum("MNASNet0_75_Weights")
MNASNet1_0_Weights = weights_enum("MNASNet1_0_Weights")
MNASNet1_3_Weights = weights_enum("MNASNet1_3_Weights")
mnasnet0_5 = _mnasnet("mnasnet0_5", MNASNet0_5_Weights, 0.5)
mnasnet0_75 = _mnasnet("mnasnet0_75", MNASNet0_75_Weights, 0.75)
mnasnet1_0 = _mnasnet("mnasnet1_0", MNASNet1_0_Weights, 1.0)
mnasnet1_3 = _mnasnet("mnasnet1_3", MNASNet1_3_Weights, 1.3)
