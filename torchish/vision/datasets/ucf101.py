"""UCF101."""

from __future__ import annotations

import os

from ._clips import Folds


class UCF101(Folds):
    """Human action in 101 classes: `ApplyEyeMakeup/NAME.avi`; needs PyAV.

    Args:
        annotation_path: folder of the lists `trainlist01.txt`, `testlist01.txt` ….
        frames_per_clip, step_between_clips, frame_rate: as for VideoClips.
        fold: 1, 2 or 3.
    """

    def _select(self, paths: list[str], annotation_path: str) -> list[int]:
        name = f"{'train' if self.train else 'test'}list{self.fold:02d}.txt"
        with open(os.path.join(annotation_path, name)) as file:
            names = [line.strip().split(" ")[0] for line in file]
        chosen = {os.path.join(self.root, *name.split("/")) for name in names}
        return [k for k, path in enumerate(paths) if path in chosen]
