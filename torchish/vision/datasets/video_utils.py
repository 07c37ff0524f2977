"""Clips of videos: which frames they have, and reading them (through PyAV)."""

from __future__ import annotations

import bisect
import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .._tensors import Tensor, array_of, tensor_of
from ..io.video import read_video, read_video_timestamps


def unfold(tensor: Tensor, size: int, step: int, dilation: int = 1) -> Tensor:
    """Windows (n, size) of a tensor (N,), `step` apart, taking every `dilation`-th element.

    Raises: ValueError for other ranks.
    """
    if tensor.dim() != 1:
        raise ValueError(f"tensor should have 1 dimension instead of {tensor.dim()}")
    count = (tensor.numel() - (dilation * (size - 1) + 1)) // step + 1
    if count < 1:
        return tensor_of(np.empty((0, size), tensor.dtype.np))
    index = np.arange(count)[:, None] * step + np.arange(size) * dilation
    return tensor_of(array_of(tensor)[index])


def _timestamps(paths: list[str], workers: int) -> list[tuple[list[Any], float | None]]:
    """Times and rate of each video; decoders work outside of Python's lock."""
    if workers < 1:
        return [read_video_timestamps(path) for path in paths]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(read_video_timestamps, paths))


class VideoClips:
    """All clips of equal length of a list of videos.

    Args:
        clip_length_in_frames: frames in a clip.
        frames_between_clips: from the start of one to that of the next.
        frame_rate: frames a second to resample to; default: as they are.
        num_workers: threads that read the times of the frames; 0: one video after another.
        output_format: "THWC" or "TCHW".
    Raises: ValueError for other formats, NotSupportedError without PyAV.
    """

    def __init__(
        self,
        video_paths: list[str],
        clip_length_in_frames: int = 16,
        frames_between_clips: int = 1,
        frame_rate: float | None = None,
        _precomputed_metadata: dict[str, Any] | None = None,
        num_workers: int = 0,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _video_max_dimension: int = 0,
        _audio_samples: int = 0,
        _audio_channels: int = 0,
        output_format: str = "THWC",
    ) -> None:
        self.video_paths = video_paths
        self.num_workers = num_workers
        self.output_format = output_format.upper()
        if self.output_format not in ("THWC", "TCHW"):
            raise ValueError(
                f"output_format should be either 'THWC' or 'TCHW', got {output_format}."
            )
        if _precomputed_metadata is None:
            times = _timestamps(video_paths, num_workers)
            self.video_pts = [tensor_of(np.array(t, np.int64)) for t, _ in times]
            self.video_fps = [rate for _, rate in times]
        else:
            self.video_paths = _precomputed_metadata["video_paths"]
            self.video_pts = _precomputed_metadata["video_pts"]
            self.video_fps = _precomputed_metadata["video_fps"]
        self.compute_clips(clip_length_in_frames, frames_between_clips, frame_rate)

    @property
    def metadata(self) -> dict[str, Any]:
        """Paths, times and rates, to be given as `_precomputed_metadata`."""
        return {
            "video_paths": self.video_paths,
            "video_pts": self.video_pts,
            "video_fps": self.video_fps,
        }

    def subset(self, indices: list[int]) -> VideoClips:
        """The clips of some of the videos."""
        chosen = {name: [values[k] for k in indices] for name, values in self.metadata.items()}
        return type(self)(
            chosen["video_paths"],
            self.num_frames,
            self.step,
            self.frame_rate,
            chosen,
            self.num_workers,
            output_format=self.output_format,
        )

    @staticmethod
    def compute_clips_for_video(
        video_pts: Tensor,
        num_frames: int,
        step: int,
        fps: float | None,
        frame_rate: float | None = None,
    ) -> tuple[Tensor, Any]:
        """Times (n, num_frames) of the clips of one video, and which frames those are."""
        fps = 1 if fps is None else fps
        rate = fps if frame_rate is None else frame_rate
        count = math.floor(len(video_pts) * rate / fps)
        picked = VideoClips._resample_video_idx(count, fps, rate)
        index = picked if isinstance(picked, slice) else array_of(picked)
        clips = unfold(tensor_of(array_of(video_pts)[index]), num_frames, step)
        if not clips.numel():
            warnings.warn(
                "There aren't enough frames in the current video to get a clip for the given clip "
                "length and frames between clips. The video (and potentially others) will be "
                "skipped.",
                stacklevel=2,
            )
        if isinstance(picked, slice):
            return clips, [picked] * len(clips)
        return clips, unfold(picked, num_frames, step)

    def compute_clips(self, num_frames: int, step: int, frame_rate: float | None = None) -> None:
        """List the clips anew, with another length, step or rate."""
        self.num_frames = num_frames
        self.step = step
        self.frame_rate = frame_rate
        self.clips: list[Tensor] = []
        self.resampling_idxs: list[Any] = []
        for times, fps in zip(self.video_pts, self.video_fps, strict=True):
            clips, picked = self.compute_clips_for_video(times, num_frames, step, fps, frame_rate)
            self.clips.append(clips)
            self.resampling_idxs.append(picked)
        self.cumulative_sizes = np.cumsum([len(c) for c in self.clips]).tolist()

    def __len__(self) -> int:
        return self.num_clips()

    def num_videos(self) -> int:
        """Number of videos."""
        return len(self.video_paths)

    def num_clips(self) -> int:
        """Number of clips in all videos."""
        return self.cumulative_sizes[-1]

    def get_clip_location(self, idx: int) -> tuple[int, int]:
        """Which video a clip is from, and which of its clips it is."""
        video = bisect.bisect_right(self.cumulative_sizes, idx)
        return video, idx if video == 0 else idx - self.cumulative_sizes[video - 1]

    @staticmethod
    def _resample_video_idx(num_frames: int, original_fps: float, new_fps: float) -> Any:
        step = original_fps / new_fps
        if float(step).is_integer():
            return slice(None, None, int(step))
        places = np.arange(num_frames, dtype=np.float32) * np.float32(step)
        return tensor_of(np.floor(places).astype(np.int64))

    def get_clip(self, idx: int) -> tuple[Tensor, Tensor, dict[str, Any], int]:
        """Frames, sound, facts, and the number of the video.

        Raises: IndexError past the end.
        """
        if idx >= self.num_clips():
            raise IndexError(f"Index {idx} out of range ({self.num_clips()} number of clips)")
        video_idx, clip_idx = self.get_clip_location(idx)
        times = array_of(self.clips[video_idx])[clip_idx]
        video, audio, info = read_video(
            self.video_paths[video_idx],
            int(times[0]),
            int(times[-1]),
            output_format=self.output_format,
        )
        if self.frame_rate is not None:
            picked = self.resampling_idxs[video_idx][clip_idx]
            if isinstance(picked, Tensor):
                numbers = array_of(picked)
                video = tensor_of(array_of(video)[numbers - numbers[0]])
            else:
                video = video[picked]
            info["video_fps"] = self.frame_rate
        return video, audio, info, video_idx
