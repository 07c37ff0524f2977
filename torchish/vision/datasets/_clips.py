"""What data sets of videos share."""

from __future__ import annotations

from typing import Any

from .folder import find_classes, make_dataset
from .video_utils import VideoClips
from .vision import VisionDataset


class Folds(VisionDataset):
    """Clips of videos in one folder for each class, split by lists of files."""

    _folds_text = "fold should be between 1 and 3, got {}"

    def __init__(
        self,
        root: Any,
        annotation_path: str,
        frames_per_clip: int,
        step_between_clips: int = 1,
        frame_rate: int | None = None,
        fold: int = 1,
        train: bool = True,
        transform: Any = None,
        _precomputed_metadata: dict[str, Any] | None = None,
        num_workers: int = 1,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _audio_samples: int = 0,
        output_format: str = "THWC",
    ) -> None:
        super().__init__(root)
        if fold not in (1, 2, 3):
            raise ValueError(self._folds_text.format(fold))
        self.fold = fold
        self.train = train
        self.classes, numbers = find_classes(self.root)
        self.samples = make_dataset(self.root, numbers, ("avi",))
        paths = [path for path, _ in self.samples]
        self.full_video_clips = VideoClips(
            paths,
            frames_per_clip,
            step_between_clips,
            frame_rate,
            _precomputed_metadata,
            num_workers,
            output_format=output_format,
        )
        self.indices = self._select(paths, annotation_path)
        self.video_clips = self.full_video_clips.subset(self.indices)
        self.transform = transform

    def _select(self, paths: list[str], annotation_path: str) -> list[int]:
        """Which videos are in this part of the fold."""
        raise NotImplementedError

    @property
    def metadata(self) -> dict[str, Any]:
        """Times and rates of all videos, to be given as `_precomputed_metadata`."""
        return self.full_video_clips.metadata

    def __len__(self) -> int:
        return self.video_clips.num_clips()

    def __getitem__(self, idx: int) -> tuple[Any, Any, int]:
        video, audio, _, place = self.video_clips.get_clip(idx)
        label = self.samples[self.indices[place]][1]
        return video if self.transform is None else self.transform(video), audio, label
