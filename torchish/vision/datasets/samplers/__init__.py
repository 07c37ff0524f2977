"""Samplers of clips."""

from __future__ import annotations

from .clip_sampler import (
    DistributedSampler as DistributedSampler,
    RandomClipSampler as RandomClipSampler,
    UniformClipSampler as UniformClipSampler,
)

__all__ = ["DistributedSampler", "RandomClipSampler", "UniformClipSampler"]
