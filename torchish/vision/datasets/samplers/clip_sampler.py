"""Which clips of each video to take, and how to share samples among processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .... import distributed as dist
from ...._random import draws
from ...._random.generator import Generator
from ....utils.data import Sampler
from ..._tensors import randperm
from ...transforms._policies import linspace
from ..video_utils import VideoClips


class DistributedSampler(Sampler):
    """Shares groups of consecutive samples among processes.

    Args:
        dataset: anything with a length, or a Sampler, whose choice is shared.
        num_replicas, rank: default: those of torch.distributed.
        shuffle: another order every epoch (`set_epoch`).
        group_size: samples that stay together.
    Raises: ValueError if the length is no multiple of `group_size`.
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = False,
        group_size: int = 1,
    ) -> None:
        if len(dataset) % group_size != 0:
            raise ValueError(
                "dataset length must be a multiplier of group size "
                f"dataset length: {len(dataset)}, group size: {group_size}"
            )
        self.dataset = dataset
        self.group_size = group_size
        self.num_replicas = dist.get_world_size() if num_replicas is None else num_replicas
        self.rank = dist.get_rank() if rank is None else rank
        self.epoch = 0
        groups = len(dataset) // group_size
        self.num_group_samples = math.ceil(groups / self.num_replicas)
        self.num_samples = self.num_group_samples * group_size
        self.total_size = self.num_samples * self.num_replicas
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self.dataset)))
        if self.shuffle:
            generator = Generator()
            generator.manual_seed(self.epoch)
            order = draws.permutation(generator, len(order)).tolist()
        order += order[: self.total_size - len(order)]  # so that all get as many
        groups = np.array(order).reshape(-1, self.group_size)
        mine = groups[self.rank :: self.num_replicas].ravel().tolist()
        if isinstance(self.dataset, Sampler):
            chosen = list(self.dataset)
            mine = [chosen[k] for k in mine]
        return iter(mine)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Seed of the next order."""
        self.epoch = epoch


class _ClipSampler(Sampler):
    def __init__(self, video_clips: VideoClips) -> None:
        if not isinstance(video_clips, VideoClips):
            raise TypeError(
                f"Expected video_clips to be an instance of VideoClips, got {type(video_clips)}"
            )
        self.video_clips = video_clips

    def _lengths(self) -> Iterator[tuple[int, int]]:
        """First clip and number of clips of every video."""
        start = 0
        for clips in self.video_clips.clips:
            yield start, len(clips)
            start += len(clips)


class UniformClipSampler(_ClipSampler):
    """`num_clips_per_video` clips of every video at even distances."""

    def __init__(self, video_clips: VideoClips, num_clips_per_video: int) -> None:
        super().__init__(video_clips)
        self.num_clips_per_video = num_clips_per_video

    def __iter__(self) -> Iterator[int]:
        picked: list[int] = []
        for start, length in self._lengths():
            if length:
                places = linspace(start, start + length - 1, self.num_clips_per_video)
                picked += np.floor(places).astype(np.int64).tolist()
        return iter(picked)

    def __len__(self) -> int:
        return self.num_clips_per_video * sum(length > 0 for _, length in self._lengths())


class RandomClipSampler(_ClipSampler):
    """At most `max_clips_per_video` random clips of every video, in random order."""

    def __init__(self, video_clips: VideoClips, max_clips_per_video: int) -> None:
        super().__init__(video_clips)
        self.max_clips_per_video = max_clips_per_video

    def __iter__(self) -> Iterator[int]:
        picked: list[int] = []
        for start, length in self._lengths():
            chosen = randperm(length)[: min(length, self.max_clips_per_video)]
            picked += [start + k for k in chosen]
        return iter([picked[k] for k in randperm(len(picked))])

    def __len__(self) -> int:
        return sum(min(length, self.max_clips_per_video) for _, length in self._lengths())
