"""HMDB51."""

from __future__ import annotations

import glob
import os

from ._clips import Folds


class HMDB51(Folds):
    """Human motion in 51 classes: `brush_hair/NAME.avi`; needs PyAV.

    Args:
        annotation_path: folder of the lists `*test_split1.txt` ….
        frames_per_clip, step_between_clips, frame_rate: as for VideoClips.
        fold: 1, 2 or 3.
    """

    _URL = "https://serre-lab.clps.brown.edu/wp-content/uploads/2013/10/"
    data_url = f"{_URL}hmdb51_org.rar"
    splits = {  # noqa: RUF012
        "url": f"{_URL}test_train_splits.rar",
        "md5": "15e67781e70dcfbdce2d7dbb9b3344b5",
    }
    TRAIN_TAG = 1
    TEST_TAG = 2

    def _select(self, paths: list[str], annotation_path: str) -> list[int]:
        wanted = self.TRAIN_TAG if self.train else self.TEST_TAG
        chosen = set()
        for list_ in glob.glob(os.path.join(annotation_path, f"*test_split{self.fold}.txt")):
            with open(list_) as file:
                rows = [line.split() for line in file]
            chosen |= {name for name, tag in rows if int(tag) == wanted}
        return [k for k, path in enumerate(paths) if os.path.basename(path) in chosen]
