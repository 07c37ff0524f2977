"""Kinetics 400, 600 and 700."""

from __future__ import annotations

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from os import path
from typing import Any
from urllib.parse import quote

from .folder import find_classes, make_dataset
from .utils import check_integrity, download_and_extract_archive, download_url, verify_str_arg
from .video_utils import VideoClips
from .vision import VisionDataset

_BASE = "https://s3.amazonaws.com/kinetics/"


class Kinetics(VisionDataset):
    """Human action: `train/abseiling/NAME.mp4`; needs PyAV.

    Args:
        frames_per_clip, step_between_clips, frame_rate: as for VideoClips.
        num_classes: "400", "600" or "700".
        split: "train", "val" or "test".
        num_download_workers: archives fetched at a time.
    """

    _TAR_URLS = {  # noqa: RUF012
        "400": f"{_BASE}400/{{split}}/k400_{{split}}_path.txt",
        "600": f"{_BASE}600/{{split}}/k600_{{split}}_path.txt",
        "700": f"{_BASE}700_2020/{{split}}/k700_2020_{{split}}_path.txt",
    }
    _ANNOTATION_URLS = {  # noqa: RUF012
        "400": f"{_BASE}400/annotations/{{split}}.csv",
        "600": f"{_BASE}600/annotations/{{split}}.csv",
        "700": f"{_BASE}700_2020/annotations/{{split}}.csv",
    }

    def __init__(
        self,
        root: Any,
        frames_per_clip: int,
        num_classes: str = "400",
        split: str = "train",
        frame_rate: int | None = None,
        step_between_clips: int = 1,
        transform: Any = None,
        extensions: tuple[str, ...] = ("avi", "mp4"),
        download: bool = False,
        num_download_workers: int = 1,
        num_workers: int = 1,
        _precomputed_metadata: dict[str, Any] | None = None,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _audio_samples: int = 0,
        _audio_channels: int = 0,
        _legacy: bool = False,
        output_format: str = "TCHW",
    ) -> None:
        super().__init__(root)
        self.num_classes = verify_str_arg(num_classes, "num_classes", ["400", "600", "700"])
        self.extensions = extensions
        self.num_download_workers = num_download_workers
        self._legacy = _legacy
        if _legacy:
            self.split_folder, self.split, output_format = self.root, "unknown", "THWC"
            if download:
                raise ValueError("Cannot download the videos using legacy_structure.")
        else:
            self.split_folder = path.join(self.root, split)
            self.split = verify_str_arg(split, "split", ["train", "val", "test"])
        if download:
            self.download_and_process_videos()
        self.classes, numbers = find_classes(self.split_folder)
        self.samples = make_dataset(self.split_folder, numbers, extensions)
        self.video_clips = VideoClips(
            [name for name, _ in self.samples],
            frames_per_clip,
            step_between_clips,
            frame_rate,
            _precomputed_metadata,
            num_workers,
            output_format=output_format,
        )
        self.transform = transform

    def download_and_process_videos(self) -> None:
        """Fetch the videos and sort them into folders by class."""
        self._download_videos()
        self._make_ds_structure()

    def _download_videos(self) -> None:
        if path.exists(self.split_folder):
            return
        url = self._TAR_URLS[self.num_classes].format(split=self.split)
        listed = path.join(self.root, "files", path.basename(url))
        if not check_integrity(listed):
            download_url(url, path.dirname(listed))
        with open(listed) as file:
            urls = [quote(line, safe="/,:") for line in file.read().splitlines()]

        def fetch(url: str) -> None:
            download_and_extract_archive(url, path.join(self.root, "tars"), self.split_folder)

        with ThreadPoolExecutor(self.num_download_workers) as pool:
            list(pool.map(fetch, urls))

    def _make_ds_structure(self) -> None:
        listed = path.join(self.root, "annotations", f"{self.split}.csv")
        if not check_integrity(listed):
            url = self._ANNOTATION_URLS[self.num_classes].format(split=self.split)
            download_url(url, path.dirname(listed))
        with open(listed) as file:
            for row in csv.DictReader(file):
                times = int(row["time_start"]), int(row["time_end"])
                name = f"{row['youtube_id']}_{times[0]:06}_{times[1]:06}.mp4"
                label = row["label"].replace(" ", "_").translate(str.maketrans("", "", "'()"))
                os.makedirs(path.join(self.split_folder, label), exist_ok=True)
                video = path.join(self.split_folder, name)
                if path.isfile(video):
                    os.replace(video, path.join(self.split_folder, label, name))

    @property
    def metadata(self) -> dict[str, Any]:
        """Times and rates of all videos, to be given as `_precomputed_metadata`."""
        return self.video_clips.metadata

    def __len__(self) -> int:
        return self.video_clips.num_clips()

    def __getitem__(self, idx: int) -> tuple[Any, Any, int]:
        video, audio, _, place = self.video_clips.get_clip(idx)
        label = self.samples[place][1]
        return video if self.transform is None else self.transform(video), audio, label
