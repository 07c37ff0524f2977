"""Constructor arguments and inputs for every module class, shared by torchish and torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Case:
    """``Class(*args, **kwargs)(*inputs)``; numpy arrays become tensors."""

    args: tuple[Any, ...] = ()
    inputs: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-5


def f(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Float inputs, which get gradients."""
    draw = np.random.RandomState(len(shape) + sum(shape) + seed)
    return draw.uniform(low, high, shape).astype(np.float32)


def i(*shape: int, high: int, seed: int = 0) -> np.ndarray:
    """Integers below ``high``."""
    return np.random.RandomState(sum(shape) + seed).randint(0, high, shape).astype(np.int64)


def sign(*shape: int) -> np.ndarray:
    """Targets 1 and -1, without gradients."""
    return Fixed(np.where(f(*shape, seed=5) > 0, 1, -1).astype(np.float32))


class Fixed:
    """A float input without gradient (a target)."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def t(*shape: int, low: float = 0.0, high: float = 1.0) -> Fixed:
    """Float targets in an interval."""
    return Fixed(f(*shape, low=low, high=high, seed=3))


def c(
    *args: Any, inputs: Any = (), call: Any = None, tolerance: float = 1e-5, **kwargs: Any
) -> Case:
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return Case(args, inputs, kwargs, call or {}, tolerance)


X1, X2, X3 = f(2, 4, 9), f(2, 4, 6, 6), f(2, 4, 5, 5, 5)
V = f(3, 4)

CASES: dict[str, list[Case]] = {
    # linear
    "Identity": [c(inputs=V)],
    "Linear": [c(4, 5, inputs=V), c(4, 5, bias=False, inputs=f(2, 3, 4)), c(4, 1, inputs=f(4))],
    "Bilinear": [c(4, 3, 2, inputs=(V, f(3, 3)))],
    "LazyLinear": [c(5, inputs=V)],
    # convolutions
    "Conv1d": [
        c(4, 6, 3, inputs=X1),
        c(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, inputs=X1),
        c(4, 2, 3, padding="same", padding_mode="circular", bias=False, inputs=X1),
    ],
    "Conv2d": [
        c(4, 6, 3, 1, 1, inputs=X2),
        c(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), groups=2, inputs=X2),
        c(4, 6, 4, 2, 1, bias=False, inputs=X2),
        c(4, 2, 3, padding=1, padding_mode="reflect", inputs=X2),
        c(4, 2, 3, padding="valid", inputs=f(4, 6, 6)),
    ],
    "Conv3d": [c(4, 2, 3, padding=1, inputs=X3)],
    "ConvTranspose1d": [c(4, 6, 3, 2, 1, 1, inputs=X1)],
    "ConvTranspose2d": [
        c(4, 6, 4, 2, 1, bias=False, inputs=X2),
        c(4, 6, 3, stride=2, padding=1, inputs=X2, call={"output_size": (12, 12)}),
        c(4, 6, 3, groups=2, dilation=2, inputs=X2),
    ],
    "ConvTranspose3d": [c(4, 2, 2, 2, inputs=X3)],
    "LazyConv1d": [c(3, 2, inputs=X1)],
    "LazyConv2d": [c(3, 2, inputs=X2)],
    "LazyConv3d": [c(3, 2, inputs=X3)],
    "LazyConvTranspose1d": [c(3, 2, inputs=X1)],
    "LazyConvTranspose2d": [c(3, 2, inputs=X2)],
    "LazyConvTranspose3d": [c(3, 2, inputs=X3)],
    # normalization
    "BatchNorm1d": [c(4, inputs=X1), c(4, momentum=None, inputs=f(5, 4))],
    "BatchNorm2d": [
        c(4, inputs=X2),
        c(4, affine=False, inputs=X2),
        c(4, track_running_stats=False, eps=1e-3, inputs=X2),
    ],
    "BatchNorm3d": [c(4, momentum=0.3, inputs=X3)],
    "SyncBatchNorm": [c(4, inputs=X2)],
    "LazyBatchNorm1d": [c(inputs=X1)],
    "LazyBatchNorm2d": [c(inputs=X2)],
    "LazyBatchNorm3d": [c(inputs=X3)],
    "InstanceNorm1d": [c(4, inputs=X1)],
    "InstanceNorm2d": [
        c(4, affine=True, inputs=X2),
        c(4, track_running_stats=True, inputs=X2),
        c(4, inputs=f(4, 6, 6)),
    ],
    "InstanceNorm3d": [c(4, inputs=X3)],
    "LazyInstanceNorm1d": [c(affine=True, inputs=X1)],
    "LazyInstanceNorm2d": [c(affine=True, inputs=X2)],
    "LazyInstanceNorm3d": [c(affine=True, inputs=X3)],
    "LayerNorm": [c(4, inputs=V), c((6, 6), bias=False, inputs=X2), c([4], 1e-3, False, inputs=V)],
    "GroupNorm": [c(2, 4, inputs=X2), c(4, 4, affine=False, inputs=X1)],
    "RMSNorm": [c(4, inputs=V), c((6, 6), eps=1e-3, inputs=X2)],
    "LocalResponseNorm": [c(3, inputs=X2)],
    # torch's own gradient is not the derivative of its forward (channel 0 is never dropped)
    "CrossMapLRN2d": [c(3, inputs=X2, tolerance=1e-4)],
    # activations
    "Threshold": [c(0.1, -3.0, inputs=V)],
    "ReLU": [c(inputs=V)],
    "RReLU": [c(inputs=V), c(0.1, 0.4, inputs=f(40))],
    "Hardtanh": [c(inputs=V), c(-0.5, 1.5, inputs=V)],
    "ReLU6": [c(inputs=f(3, 4, low=-8, high=8))],
    "Sigmoid": [c(inputs=V)],
    "Hardsigmoid": [c(inputs=f(3, 4, low=-5, high=5))],
    "Tanh": [c(inputs=V)],
    "SiLU": [c(inputs=V)],
    "Mish": [c(inputs=V)],
    "Hardswish": [c(inputs=f(3, 4, low=-5, high=5))],
    "ELU": [c(0.7, inputs=V)],
    "CELU": [c(0.7, inputs=V)],
    "SELU": [c(inputs=V)],
    "GLU": [c(inputs=V), c(0, inputs=f(4, 3))],
    "GELU": [c(inputs=V), c("tanh", inputs=V)],
    "Hardshrink": [c(inputs=V)],
    "LeakyReLU": [c(0.2, inputs=V), c(inputs=V)],
    "LogSigmoid": [c(inputs=V)],
    "Softplus": [c(2.0, 1.0, inputs=V)],
    "Softshrink": [c(inputs=V)],
    "PReLU": [c(inputs=V), c(4, init=0.1, inputs=X2)],
    "Softsign": [c(inputs=V)],
    "Tanhshrink": [c(inputs=V)],
    "Softmin": [c(1, inputs=V)],
    "Softmax": [c(-1, inputs=V)],
    "Softmax2d": [c(inputs=X2)],
    "LogSoftmax": [c(1, inputs=V)],
    "MultiheadAttention": [
        c(4, 2, inputs=(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4))),
        c(4, 2, kdim=3, vdim=6, batch_first=True, inputs=(f(2, 3, 4), f(2, 5, 3), f(2, 5, 6))),
        c(
            4,
            2,
            add_bias_kv=True,
            add_zero_attn=True,
            bias=False,
            inputs=(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4)),
            call={"need_weights": False},
        ),
    ],
    # dropout
    "Dropout": [c(0.3, inputs=f(6, 7))],
    "Dropout1d": [c(0.3, inputs=X1)],
    "Dropout2d": [c(0.3, inputs=X2)],
    "Dropout3d": [c(0.3, inputs=X3)],
    "AlphaDropout": [c(0.3, inputs=f(6, 7))],
    "FeatureAlphaDropout": [c(0.3, inputs=X2)],
    # pooling
    "MaxPool1d": [c(3, inputs=X1)],
    "MaxPool2d": [
        c(2, inputs=X2),
        c(3, stride=2, padding=1, ceil_mode=True, inputs=X2),
        c(2, return_indices=True, inputs=X2),
    ],
    "MaxPool3d": [c(2, inputs=X3)],
    "MaxUnpool1d": [c(2, inputs=(f(1, 2, 3), np.array([[[0, 3, 5], [1, 2, 4]]])))],
    "MaxUnpool2d": [c(2, inputs=(f(1, 1, 2, 2), np.array([[[[0, 3], [9, 14]]]])))],
    "MaxUnpool3d": [c(2, inputs=(f(1, 1, 1, 1, 2), np.array([[[[[1, 11]]]]])))],
    "AvgPool1d": [c(3, 2, 1, inputs=X1)],
    "AvgPool2d": [
        c(2, inputs=X2),
        c(3, 2, 1, ceil_mode=True, count_include_pad=False, inputs=X2),
        c(2, divisor_override=3, inputs=X2),
    ],
    "AvgPool3d": [c(2, inputs=X3)],
    "FractionalMaxPool2d": [c(2, output_size=3, inputs=X2)],
    "FractionalMaxPool3d": [c(2, output_ratio=0.5, inputs=X3)],
    "LPPool1d": [c(2, 3, inputs=f(2, 4, 9, low=0.1))],
    "LPPool2d": [c(2, 2, inputs=f(2, 4, 6, 6, low=0.1))],
    "LPPool3d": [c(2, 2, inputs=f(2, 4, 4, 4, 4, low=0.1))],
    "AdaptiveAvgPool1d": [c(4, inputs=X1)],
    "AdaptiveAvgPool2d": [c((2, None), inputs=X2), c(1, inputs=X2), c(4, inputs=X2)],
    "AdaptiveAvgPool3d": [c(2, inputs=X3)],
    "AdaptiveMaxPool1d": [c(4, inputs=X1)],
    "AdaptiveMaxPool2d": [c(4, inputs=X2)],
    "AdaptiveMaxPool3d": [c(2, inputs=X3)],
    # padding
    "CircularPad1d": [c(2, inputs=X1)],
    "CircularPad2d": [c((1, 2, 0, 1), inputs=X2)],
    "CircularPad3d": [c(1, inputs=X3)],
    "ConstantPad1d": [c(2, 3.5, inputs=X1)],
    "ConstantPad2d": [c((1, -2, 0, 1), 3.5, inputs=X2)],
    "ConstantPad3d": [c(1, 3.5, inputs=X3)],
    "ReflectionPad1d": [c(2, inputs=X1)],
    "ReflectionPad2d": [c((1, 2, 0, 1), inputs=X2)],
    "ReflectionPad3d": [c(1, inputs=X3)],
    "ReplicationPad1d": [c(2, inputs=X1)],
    "ReplicationPad2d": [c((1, 2, 0, 1), inputs=X2)],
    "ReplicationPad3d": [c(1, inputs=X3)],
    "ZeroPad1d": [c(2, inputs=X1)],
    "ZeroPad2d": [c((1, 2, 0, 1), inputs=X2)],
    "ZeroPad3d": [c(1, inputs=X3)],
    # shapes
    "Flatten": [c(inputs=X2), c(0, 1, inputs=X2)],
    "Unflatten": [c(1, (2, 2), inputs=X1)],
    "Fold": [c((4, 5), 2, inputs=f(1, 8, 12))],
    "Unfold": [c(2, padding=1, inputs=X2)],
    "PixelShuffle": [c(2, inputs=X2)],
    "PixelUnshuffle": [c(2, inputs=X2)],
    "ChannelShuffle": [c(2, inputs=X2)],
    "Upsample": [
        c(scale_factor=2, inputs=X2),
        c(size=(9, 4), mode="bilinear", inputs=X2),
        c(scale_factor=1.5, mode="linear", align_corners=True, inputs=X1),
        c(size=5, mode="bicubic", inputs=X2, tolerance=1e-4),
    ],
    "UpsamplingNearest2d": [c(scale_factor=2, inputs=X2)],
    "UpsamplingBilinear2d": [c(size=9, inputs=X2)],
    # tables and distances
    "Embedding": [
        c(7, 3, inputs=i(2, 5, high=7)),
        c(7, 3, padding_idx=2, scale_grad_by_freq=True, inputs=i(2, 5, high=7)),
    ],
    "EmbeddingBag": [c(7, 3, inputs=i(2, 5, high=7)), c(7, 3, mode="sum", inputs=i(2, 5, high=7))],
    "PairwiseDistance": [
        c(inputs=(V, f(3, 4, seed=1))),
        c(1.0, keepdim=True, inputs=(V, f(3, 4, seed=1))),
    ],
    "CosineSimilarity": [c(inputs=(V, f(3, 4, seed=1)))],
    # losses
    "L1Loss": [c(inputs=(V, t(3, 4))), c(reduction="none", inputs=(V, t(3, 4)))],
    "MSELoss": [c(inputs=(V, t(3, 4))), c(reduction="sum", inputs=(V, t(3, 4)))],
    "NLLLoss": [
        c(inputs=(V, i(3, high=4))),
        c(t(4), ignore_index=1, reduction="sum", inputs=(f(2, 4, 3), i(2, 3, high=4))),
    ],
    "CrossEntropyLoss": [
        c(inputs=(V, i(3, high=4))),
        c(t(4), label_smoothing=0.1, inputs=(f(2, 4, 3), i(2, 3, high=4))),
        c(inputs=(V, t(3, 4))),
    ],
    "LinearCrossEntropyLoss": [c(4, 5, bias=True, inputs=(V, i(3, high=5)))],
    "PoissonNLLLoss": [
        c(inputs=(V, t(3, 4))),
        c(log_input=False, full=True, inputs=(f(3, 4, low=0.1), t(3, 4, high=3.0))),
    ],
    "GaussianNLLLoss": [c(inputs=(V, t(3, 4), f(3, 4, low=0.1)))],
    "KLDivLoss": [
        c(reduction="batchmean", inputs=(V, t(3, 4))),
        c(log_target=True, reduction="sum", inputs=(V, t(3, 4))),
    ],
    "BCELoss": [c(inputs=(f(3, 4, low=0.1, high=0.9), t(3, 4)))],
    "BCEWithLogitsLoss": [c(inputs=(V, t(3, 4))), c(pos_weight=t(4), inputs=(V, t(3, 4)))],
    "HingeEmbeddingLoss": [c(inputs=(V, sign(3, 4)))],
    "MultiLabelMarginLoss": [c(inputs=(V, np.array([[0, 2, -1, 1], [3, -1, 0, 0], [1, 0, 2, 3]])))],
    "MultiLabelSoftMarginLoss": [c(inputs=(V, t(3, 4)))],
    "SmoothL1Loss": [c(inputs=(V, t(3, 4))), c(beta=0.5, inputs=(V, t(3, 4)))],
    "HuberLoss": [c(delta=0.7, inputs=(V, t(3, 4)))],
    "SoftMarginLoss": [c(inputs=(V, sign(3, 4)))],
    "CosineEmbeddingLoss": [c(0.1, inputs=(V, f(3, 4, seed=1), sign(3)))],
    "MarginRankingLoss": [c(0.2, inputs=(f(3), f(3, seed=1), sign(3)))],
    "MultiMarginLoss": [c(2, 0.8, inputs=(V, i(3, high=4)))],
    "TripletMarginLoss": [c(swap=True, inputs=(V, f(3, 4, seed=1), f(3, 4, seed=2)))],
    "TripletMarginWithDistanceLoss": [c(inputs=(V, f(3, 4, seed=1), f(3, 4, seed=2)))],
    "CTCLoss": [
        c(
            inputs=(
                f(6, 2, 4),
                np.array([[1, 2, 1], [3, 1, 2]]),
                np.array([6, 5]),
                np.array([3, 2]),
            ),
            tolerance=1e-4,
        )
    ],
    "AdaptiveLogSoftmaxWithLoss": [
        c(4, 10, [3, 6], div_value=2.0, inputs=(V, np.array([1, 4, 9])))
    ],
    # recurrent
    "RNN": [
        c(4, 3, 2, inputs=f(5, 2, 4)),
        c(4, 3, nonlinearity="relu", batch_first=True, inputs=f(2, 5, 4)),
    ],
    "LSTM": [
        c(4, 3, inputs=f(5, 2, 4)),
        c(4, 3, 2, bidirectional=True, bias=False, inputs=f(5, 2, 4)),
        c(4, 5, proj_size=3, inputs=f(5, 4)),
    ],
    "GRU": [c(4, 3, inputs=f(5, 2, 4)), c(4, 3, bidirectional=True, inputs=f(5, 2, 4))],
    "RNNCell": [c(4, 3, inputs=V), c(4, 3, nonlinearity="relu", inputs=(V, f(3, 3)))],
    "LSTMCell": [c(4, 3, inputs=V)],
    "GRUCell": [c(4, 3, inputs=(V, f(3, 3)))],
    # transformer
    "Transformer": [
        c(4, 2, 1, 1, 6, dropout=0.0, batch_first=True, inputs=(f(2, 3, 4), f(2, 5, 4)))
    ],
    "TransformerEncoderLayer": [
        c(4, 2, 6, 0.0, inputs=f(3, 2, 4)),
        c(4, 2, 6, 0.0, "gelu", norm_first=True, bias=False, inputs=f(3, 2, 4)),
    ],
    "TransformerDecoderLayer": [c(4, 2, 6, 0.0, batch_first=True, inputs=(f(2, 3, 4), f(2, 5, 4)))],
}

# Not layers with an input of their own; tested elsewhere.
ELSEWHERE = {
    "Module", "Container", "Sequential", "ModuleList", "ModuleDict", "ParameterList",
    "ParameterDict", "RNNBase", "RNNCellBase", "TransformerEncoder", "TransformerDecoder",
    "DataParallel", "NLLLoss2d",
}  # fmt: skip
