"""Samples of interpolation and grid sampling."""

from __future__ import annotations

from tests.ops.sampling import S, f

_X = f(2, 3, 5, 4)
_GRID = f(2, 3, 4, 2, low=-1.3, high=1.3)

SAMPLES = {
    "nn.functional.interpolate": [
        S(_X, scale_factor=2),
        S(_X, size=(7, 3)),
        S(_X, scale_factor=1.7, mode="nearest-exact"),
        S(_X, scale_factor=2, mode="bilinear", align_corners=False).no_half(),
        S(_X, scale_factor=2, mode="bilinear", align_corners=True).no_half(),
        S(_X, scale_factor=0.6, mode="bilinear").no_half(),
        S(_X, size=(7, 9), mode="bilinear").no_half(),
        S(_X, scale_factor=1.3, recompute_scale_factor=True, mode="bilinear").no_half(),
        S(_X, size=(10, 8), mode="bicubic").no_half(),
        S(_X, size=3, mode="bicubic", align_corners=True).no_half(),
        S(_X, size=3, mode="bilinear", antialias=True).no_half(),
        S(_X, size=3, mode="bicubic", antialias=True).no_half(),
        S(_X, size=3, mode="area"),
        S(f(2, 3, 5), size=8, mode="linear").no_half(),
        S(f(1, 2, 3, 4, 2), scale_factor=2, mode="trilinear").no_half(),
        S(_X),
        S(_X, size=3, scale_factor=2),
        S(_X, size=(3, 3, 3)),
        S(_X, size=3, mode="linear"),
        S(_X, size=0),
    ],
    "nn.functional.upsample": [S(_X, scale_factor=2).warns()],
    "nn.functional.upsample_nearest": [S(_X, scale_factor=2).warns()],
    "nn.functional.upsample_bilinear": [S(_X, scale_factor=2).warns().no_half()],
    "nn.functional.grid_sample": [
        S(_X, _GRID, align_corners=False).no_half(),
        S(_X, _GRID, padding_mode="border", align_corners=True).no_half(),
        S(_X, _GRID, padding_mode="reflection", align_corners=False).no_half(),
        S(_X, _GRID, mode="nearest", align_corners=True).no_half(),
        S(_X, _GRID, mode="bicubic", align_corners=True).no_half(),
        S(f(1, 2, 3, 4, 2), f(1, 2, 2, 2, 3, low=-1.2, high=1.2), align_corners=True).no_half(),
        S(_X, _GRID).warns().no_half(),
        S(_X, f(1, 3, 4, 2), align_corners=True),
    ],
    "nn.functional.affine_grid": [
        S(f(2, 2, 3), (2, 3, 4, 5), align_corners=False).no_half(),
        S(f(1, 3, 4), (1, 2, 3, 4, 2), align_corners=True).no_half(),
        S(f(1, 3, 4), (1, 2, 3, 4), align_corners=True),
    ],
    "torch.grid_sampler": [S(_X, _GRID, 0, 1, True).no_forms().no_half()],
    "torch.affine_grid_generator": [S(f(2, 2, 3), (2, 3, 4, 5), True).no_forms().no_half()],
}
