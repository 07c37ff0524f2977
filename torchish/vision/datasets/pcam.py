"""PatchCamelyon."""

from __future__ import annotations

import pathlib
from typing import Any

from ._listed import need_files
from .utils import download_file_from_google_drive, extract_archive, verify_str_arg
from .vision import Transform, VisionDataset

_NAME = "camelyonpatch_level_2_split_{}_{}.h5"


class PCAM(VisionDataset):
    """Tissue with tumour or not: `pcam/camelyonpatch_level_2_split_train_x.h5` …; needs `h5py`.

    Args:
        split: "train", "test" or "val".
    """

    _FILES = {  # noqa: RUF012
        "train": {
            "images": (
                _NAME.format("train", "x"),
                "1Ka0XfEMiwgCYPdTI-vv6eUElOBnKFKQ2",
                "1571f514728f59376b705fc836ff4b63",
            ),
            "targets": (
                _NAME.format("train", "y"),
                "1269yhu3pZDP8UYFQs-NYs3FPwuK-nGSG",
                "35c2d7259d906cfc8143347bb8e05be7",
            ),
        },
        "test": {
            "images": (
                _NAME.format("test", "x"),
                "1qV65ZqZvWzuIVthK8eVDhIwrbnsJdbg_",
                "d8c2d60d490dbd479f8199bdfa0cf6ec",
            ),
            "targets": (
                _NAME.format("test", "y"),
                "17BHrSrwWKjYsOgTMmoqrIjDy6Fa2o_gP",
                "60a7035772fbdb7f34eb86d4420cf66a",
            ),
        },
        "val": {
            "images": (
                _NAME.format("valid", "x"),
                "1hgshYGWK8V-eGRy8LToWJJgDU_rXWVJ3",
                "d5b63470df7cfa627aeec8b9dc0c066e",
            ),
            "targets": (
                _NAME.format("valid", "y"),
                "1bH8ZRbhSVAhScTS0p9-ZzGnX91cHT3uO",
                "2b85f58b927af9964a4c15b8f7e8f179",
            ),
        },
    }

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        try:
            import h5py
        except ImportError:
            raise RuntimeError(
                "h5py is not found. This dataset needs to have h5py installed: please run "
                "pip install h5py"
            ) from None
        self.h5py = h5py
        self._split = verify_str_arg(split, "split", ("train", "test", "val"))
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._base_folder = pathlib.Path(self.root) / "pcam"
        if download:
            self._download()
        need_files(self._check_exists())

    def _path(self, kind: str) -> pathlib.Path:
        return self._base_folder / self._FILES[self._split][kind][0]

    def __len__(self) -> int:
        with self.h5py.File(self._path("images")) as file:
            return file["x"].shape[0]

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        from PIL import Image

        with self.h5py.File(self._path("images")) as file:
            image = Image.fromarray(file["x"][idx]).convert("RGB")
        with self.h5py.File(self._path("targets")) as file:
            target = int(file["y"][idx, 0, 0, 0])
        return self._transformed(image, target)

    def _check_exists(self) -> bool:
        return all(self._path(kind).exists() for kind in ("images", "targets"))

    def _download(self) -> None:
        if self._check_exists():
            return
        for name, file_id, md5 in self._FILES[self._split].values():
            folder = str(self._base_folder)
            download_file_from_google_drive(file_id, folder, filename=f"{name}.gz", md5=md5)
            extract_archive(str(self._base_folder / f"{name}.gz"))
