"""PhotoTour: patches of photographs of the same places."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...serialization import load, save
from .._tensors import Tensor, tensor_of
from .utils import download_url, extract_archive
from .vision import Transform, VisionDataset

_HARRIS = "http://matthewalunbrown.com/patchdata/"
_PLAIN = "http://icvl.ee.ic.ac.uk/vbalnt/"
# name: address, MD5, mean, standard deviation, number of patches
_FACTS: dict[str, tuple[str, str, float, float, int]] = {
    "notredame_harris": (_HARRIS, "69f8c90f78e171349abdf0307afefe4d", 0.4854, 0.1864, 325295),
    "yosemite_harris": (_HARRIS, "a73253d1c6fbd3ba2613c45065c00d46", 0.4844, 0.1818, 450912),
    "liberty_harris": (_HARRIS, "c731fcfb3abb4091110d0ae8c7ba182c", 0.4437, 0.2019, 379587),
    "notredame": (_PLAIN, "509eda8535847b8c0a90bbb210c83484", 0.4854, 0.1864, 468159),
    "yosemite": (_PLAIN, "533b2e8eb7ede31be40abc317b2fd4f0", 0.4844, 0.1818, 633587),
    "liberty": (_PLAIN, "fdd9152f138ea5ef2091746689176414", 0.4437, 0.2019, 450092),
}


class PhotoTour(VisionDataset):
    """Patches of 64 x 64 pixels: `liberty/patches0000.bmp`, `liberty/info.txt` ….

    Args:
        name: one of the six places, such as "liberty" or "yosemite_harris".
        train: patches rather than pairs of them and whether they match.
    """

    urls = {  # noqa: RUF012
        name: [f"{base}{name}.zip", f"{name}.zip", md5] for name, (base, md5, *_) in _FACTS.items()
    }
    means = {name: facts[2] for name, facts in _FACTS.items()}  # noqa: RUF012
    stds = {name: facts[3] for name, facts in _FACTS.items()}  # noqa: RUF012
    lens = {name: facts[4] for name, facts in _FACTS.items()}  # noqa: RUF012
    image_ext = "bmp"
    info_file = "info.txt"
    matches_files = "m50_100000_100000_0.txt"

    def __init__(
        self,
        root: Any,
        name: str,
        train: bool = True,
        transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform)
        self.name, self.train = name, train
        self.mean, self.std = self.means[name], self.stds[name]
        self.data_dir, self.data_down, self.data_file = (
            os.path.join(self.root, name + ending) for ending in ("", ".zip", ".pt")
        )
        if download:
            self.download()
        if not os.path.exists(self.data_file):
            self.cache()
        self.data, self.labels, self.matches = load(self.data_file, weights_only=True)

    def __getitem__(self, index: int) -> Any:
        if self.train:
            return self._changed(self.data[index])
        first, second, same = self.matches[index]
        return self._changed(self.data[first]), self._changed(self.data[second]), same

    def _changed(self, patch: Tensor) -> Any:
        return patch if self.transform is None else self.transform(patch)

    def __len__(self) -> int:
        return len(self.data if self.train else self.matches)

    def download(self) -> None:
        """Fetch what is missing."""
        if os.path.exists(self.data_file) or os.path.exists(self.data_dir):
            return
        url, name, md5 = self.urls[self.name]
        download_url(url, self.root, name, md5)
        extract_archive(self.data_down, self.data_dir, remove_finished=True)

    def cache(self) -> None:
        """Write all patches to one file."""
        patches = read_image_file(self.data_dir, self.image_ext, self.lens[self.name])
        labels = read_info_file(self.data_dir, self.info_file)
        matches = read_matches_files(self.data_dir, self.matches_files)
        partial = f"{self.data_file}.part"
        save((patches, labels, matches), partial)
        os.replace(partial, self.data_file)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


def read_image_file(data_dir: str, image_ext: str, n: int) -> Tensor:
    """The first n patches (n, 64, 64) of all pictures in a folder, row by row."""
    from PIL import Image

    patches = []
    for name in sorted(os.listdir(data_dir)):
        if name.endswith(image_ext):
            pixels = np.asarray(Image.open(os.path.join(data_dir, name)).convert("L"))
            rows, columns = pixels.shape[0] // 64, pixels.shape[1] // 64
            tiles = pixels[: rows * 64, : columns * 64].reshape(rows, 64, columns, 64)
            patches.append(tiles.swapaxes(1, 2).reshape(-1, 64, 64))
    return tensor_of(np.concatenate(patches)[:n])


def read_info_file(data_dir: str, info_file: str) -> Tensor:
    """The first number of every line."""
    with open(os.path.join(data_dir, info_file)) as file:
        return tensor_of(np.array([int(line.split()[0]) for line in file], np.int64))


def read_matches_files(data_dir: str, matches_file: str) -> Tensor:
    """Two patches, and whether they show one point, of every line."""
    with open(os.path.join(data_dir, matches_file)) as file:
        rows = [line.split() for line in file]
    found = [[int(row[0]), int(row[3]), int(row[1] == row[4])] for row in rows]
    return tensor_of(np.array(found, np.int64))
