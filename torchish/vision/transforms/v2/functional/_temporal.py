"""Frames of videos."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....._tensor.tensor import Tensor
from ...._tensors import apply
from ....tv_tensors import Video
from ..._policies import linspace
from ._utils import functional, kernel


@functional
def uniform_temporal_subsample(inpt: Any, num_samples: int) -> Any:
    """`num_samples` frames at even distances, the first and the last among them."""


@kernel(uniform_temporal_subsample, Tensor, Video)
def uniform_temporal_subsample_video(video: Tensor, num_samples: int) -> Tensor:
    """`uniform_temporal_subsample` for videos (..., T, C, H, W)."""
    frames = linspace(0, video.shape[-4] - 1, num_samples).astype(np.int64)
    return apply(video, lambda a: np.take(a, frames, axis=-4))
