"""Omniglot."""

from __future__ import annotations

from os.path import join
from typing import Any

from ._listed import CORRUPTED, Listed, need_files
from .utils import check_integrity, download_and_extract_archive, list_dir, list_files
from .vision import Transform


def _gray(path: str) -> Any:
    from PIL import Image

    return Image.open(path).convert("L")


class Omniglot(Listed):
    """Characters of 50 alphabets: `omniglot-py/images_background/Greek/character01/NAME.png`.

    Args:
        background: the 30 alphabets to learn from rather than the 20 to be judged by.
        loader: reads a file; shades of gray by default.
    """

    folder = "omniglot-py"
    download_url_prefix = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
    zips_md5 = {  # noqa: RUF012
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(
        self,
        root: Any,
        background: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = None,
    ) -> None:
        super().__init__(join(root, self.folder), transform, target_transform, loader or _gray)
        self.background = background
        self._name = "images_background" if background else "images_evaluation"
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        self.target_folder = join(self.root, self._name)
        characters = [
            join(self.target_folder, alphabet, character)
            for alphabet in list_dir(self.target_folder)
            for character in list_dir(join(self.target_folder, alphabet))
        ]
        for k, character in enumerate(characters):
            images = list_files(character, ".png", prefix=True)
            self._image_files += images
            self._labels += [k] * len(images)

    def _check_integrity(self) -> bool:
        return check_integrity(join(self.root, f"{self._name}.zip"), self.zips_md5[self._name])

    def download(self) -> None:
        """Fetch what is missing."""
        if not self._check_integrity():
            url, name = f"{self.download_url_prefix}/{self._name}.zip", f"{self._name}.zip"
            md5 = self.zips_md5[self._name]
            download_and_extract_archive(url, self.root, filename=name, md5=md5)
