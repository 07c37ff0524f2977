"""Oxford 102 Flower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed import CORRUPTED, Listed, need_files
from .folder import default_loader
from .utils import (
    check_integrity,
    download_and_extract_archive,
    download_url,
    scipy_io,
    verify_str_arg,
)
from .vision import Transform

_NAMES = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily,
moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea,
spear thistle, yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower,
giant white arum lily, fire lily, pincushion flower, fritillary, red ginger, grape hyacinth,
corn poppy, prince of wales feathers, stemless gentian, artichoke, sweet william, carnation,
garden phlox, love in the mist, mexican aster, alpine sea holly, ruby-lipped cattleya, cape flower,
great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia,
bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia,
wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia,
pink-yellow dahlia?, cautleya spicata, japanese anemone, black-eyed susan, silverbush,
californian poppy, osteospermum, spring crocus, bearded iris, windflower, tree poppy, gazania,
azalea, water lily, rose, thorn apple, morning glory, passion flower, lotus, toad lily, anthurium,
frangipani, clematis, hibiscus, columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress,
canna lily, hippeastrum, bee balm, ball moss, foxglove, bougainvillea, camellia, mallow,
mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
"""


class Flowers102(Listed):
    """Flowers in 102 classes: `flowers-102/setid.mat`, `imagelabels.mat`, `jpg/image_00001.jpg`.

    Args:
        split: "train", "val" or "test".
    """

    _download_url_prefix = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    _file_dict = {  # noqa: RUF012
        "image": ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
        "label": ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        "setid": ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
    }
    _splits_map = {"train": "trnid", "val": "valid", "test": "tstid"}  # noqa: RUF012
    classes = [name.strip() for name in _NAMES.replace("\n", " ").split(",")]  # noqa: RUF012

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._base_folder = Path(self.root) / "flowers-102"
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        mat = scipy_io()
        sets = mat.loadmat(self._base_folder / self._file_dict["setid"][0], squeeze_me=True)
        labels = mat.loadmat(self._base_folder / self._file_dict["label"][0], squeeze_me=True)
        for number in sets[self._splits_map[self._split]].tolist():
            self._labels.append(int(labels["labels"][number - 1]) - 1)
            self._image_files.append(self._base_folder / "jpg" / f"image_{number:05d}.jpg")

    def _check_integrity(self) -> bool:
        if not (self._base_folder / "jpg").is_dir():
            return False
        files = [self._file_dict[kind] for kind in ("label", "setid")]
        return all(check_integrity(str(self._base_folder / name), md5) for name, md5 in files)

    def download(self) -> None:
        """Fetch what is missing."""
        if self._check_integrity():
            return
        base, prefix = str(self._base_folder), self._download_url_prefix
        name, md5 = self._file_dict["image"]
        download_and_extract_archive(f"{prefix}{name}", base, md5=md5)
        for kind in ("label", "setid"):
            name, md5 = self._file_dict[kind]
            download_url(f"{prefix}{name}", base, md5=md5)

    def extra_repr(self) -> str:
        return f"split={self._split}"
