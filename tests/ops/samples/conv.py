"""Samples of convolutions, transposed convolutions and sliding blocks."""

from __future__ import annotations

from tests.ops.sampling import S, c, f, i

_X = f(2, 4, 7, 6)

SAMPLES = {
    "nn.functional.conv1d": [
        S(f(2, 4, 9), f(6, 4, 3), f(6), stride=2, padding=1),
        S(f(4, 9), f(6, 2, 3), padding="same", dilation=2, groups=2),
        S(f(1, 3, 2), f(5, 3, 4)),
        S(f(1, 3, 2, 2, 2), f(5, 3, 4)),
    ],
    "nn.functional.conv2d": [
        S(_X, f(5, 4, 3, 3), f(5)),
        S(_X, f(5, 4, 4, 4), stride=2, padding=1),
        S(_X, f(4, 1, 3, 2), f(4), (1, 2), (1, 0), 2, 4),
        S(_X, f(3, 4, 1, 1)),
        S(_X, f(3, 4, 7, 6)),
        S(f(4, 7, 6), f(3, 4, 3, 3), padding="same"),
        S(_X, f(3, 4, 3, 3), padding="valid"),
        S(f(0, 4, 7, 6), f(3, 4, 3, 3)),
        S(i(1, 2, 4, 4), i(3, 2, 2, 2)),
        S(c(1, 2, 4, 4), c(3, 2, 2, 2)),
        S(f(1, 4, 10, 10), f(5, 3, 4, 4)),
        S(f(1, 3, 2, 2), f(5, 3, 4, 4)),
        S(f(1, 3, 9, 9), f(5, 3, 4, 4), f(4)),
        S(f(1, 3, 9, 9), f(5, 3, 4, 4), stride=0),
        S(f(1, 3, 9, 9), f(5, 3, 4, 4), padding=-1),
        S(f(1, 3, 9, 9), f(5, 3, 4, 4), padding="same", stride=2),
        S(f(1, 3, 9, 9), f(5, 3, 4, 4), groups=2),
        S(f(1, 3, 9, 9), i(5, 3, 4, 4)),
    ],
    "nn.functional.conv3d": [
        S(f(1, 2, 4, 5, 3), f(3, 2, 2, 3, 2), f(3), stride=(1, 2, 1), padding=1),
        S(f(2, 4, 5, 3), f(2, 1, 2, 2, 2), groups=2),
    ],
    "nn.functional.conv_transpose1d": [
        S(f(2, 4, 5), f(4, 3, 3), f(3), stride=2, padding=1, output_padding=1),
        S(f(4, 5), f(4, 2, 3), groups=2, dilation=2),
    ],
    "nn.functional.conv_transpose2d": [
        S(f(2, 3, 4, 4), f(3, 5, 4, 4), f(5), stride=2, padding=1),
        S(f(2, 3, 1, 1), f(3, 5, 4, 4)),
        S(f(2, 4, 3, 4), f(4, 2, 3, 3), f(4), 2, 1, (1, 0), 2),
        S(f(4, 3, 4), f(4, 2, 3, 3), stride=1, dilation=2, output_padding=1),
        S(f(1, 4, 9, 9), f(3, 5, 4, 4)),
        S(f(1, 4, 9, 9), f(4, 5, 4, 4), f(4)),
        S(f(1, 4, 9, 9), f(4, 5, 4, 4), output_padding=1),
        S(f(1, 4, 9, 9), f(4, 5, 4, 4), groups=3),
    ],
    "nn.functional.conv_transpose3d": [
        S(f(1, 2, 3, 2, 3), f(2, 3, 2, 3, 2), f(3), stride=(1, 2, 2), padding=1),
    ],
    "torch.conv_tbc": [S(f(5, 2, 3), f(3, 3, 4), f(4), 1).no_forms()],
    "nn.functional.unfold": [
        S(f(2, 3, 5, 6), 2),
        S(f(3, 5, 6), (2, 3), stride=2, padding=1),
        S(f(2, 3, 5, 6), 2, dilation=2, padding=(1, 0), stride=(1, 2)),
        S(f(1, 2, 2, 2), 3),
        S(i(1, 2, 4, 4), 2),
    ],
    "nn.functional.fold": [
        S(f(2, 12, 20), (5, 6), 2),
        S(f(18, 6), (5, 6), (2, 3), stride=2, padding=1),
        S(f(1, 7, 9), (4, 4), 2),
        S(f(1, 8, 8), (4, 4), 2),
    ],
}
