"""Pairs of images from two cameras, with disparities."""

from __future__ import annotations

import json
import os
import random
import shutil
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from .utils import _read_pfm, download_and_extract_archive, verify_str_arg
from .vision import VisionDataset


class StereoMatchingDataset(VisionDataset):
    """Samples (left, right, disparity (1, H, W)[, where valid (H, W)]); None where unknown."""

    _has_built_in_disparity_mask = False

    def __init__(self, root: Any, transforms: Any = None) -> None:
        super().__init__(root)
        self.transforms: Any = transforms
        self._images: list[tuple[Any, Any]] = []
        self._disparities: list[tuple[Any, Any]] = []

    def _read_img(self, file_path: Any) -> Any:
        from PIL import Image

        image = Image.open(file_path)
        return image if image.mode == "RGB" else image.convert("RGB")

    def _scan_pairs(self, left: Any, right: Any = None) -> list[tuple[Any, Any]]:
        """Files that match the patterns, side by side; None on the right without a pattern."""
        lefts = sorted(glob(str(left)))
        rights: list[Any] = sorted(glob(str(right))) if right else [None] * len(lefts)
        for found, pattern in ((lefts, left), (rights, right)):
            if not found:
                raise FileNotFoundError(
                    f"Could not find any files matching the patterns: {pattern}"
                )
        if len(lefts) != len(rights):
            raise ValueError(
                f"Found {len(lefts)} left files but {len(rights)} right files using:\n left "
                f"pattern: {left}\nright pattern: {right}\n"
            )
        return list(zip(lefts, rights, strict=True))

    def _unknown(self) -> list[tuple[Any, Any]]:
        return [(None, None) for _ in self._images]

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        images = tuple(self._read_img(path) for path in self._images[index])
        read = [self._read_disparity(path) for path in self._disparities[index]]
        maps, masks = (tuple(part) for part in zip(*read, strict=True))
        if self.transforms is not None:
            images, maps, masks = self.transforms(images, maps, masks)
        if self._has_built_in_disparity_mask or masks[0] is not None:
            return images[0], images[1], maps[0], masks[0]
        return images[0], images[1], maps[0]

    def __len__(self) -> int:
        return len(self._images)


def _pfm(path: Any) -> np.ndarray:
    return np.abs(_read_pfm(path, slice_channels=1))


def _scaled_png(path: Any, scale: float, dtype: Any = np.float32) -> np.ndarray:
    """Shades of gray (1, H, W) divided by `scale`."""
    from PIL import Image

    return np.asarray(Image.open(path)).astype(dtype)[None] / dtype(scale)


class CarlaStereo(StereoMatchingDataset):
    """Rendered streets: `carla-highres/trainingF/SCENE/im0.png`, `disp0GT.pfm` …."""

    def __init__(self, root: Any, transforms: Any = None) -> None:
        super().__init__(root, transforms)
        base = Path(self.root) / "carla-highres" / "trainingF" / "*"
        self._images = self._scan_pairs(base / "im0.png", base / "im1.png")
        self._disparities = self._scan_pairs(base / "disp0GT.pfm", base / "disp1GT.pfm")

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        return _pfm(file_path), None


class _KittiStereo(StereoMatchingDataset):
    _has_built_in_disparity_mask = True
    _folder: str
    _image_patterns: tuple[str, str]
    _disparity_patterns: tuple[str, ...]

    def __init__(self, root: Any, split: str = "train", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / self._folder / f"{split}ing"
        self._images = self._scan_pairs(*(base / p for p in self._image_patterns))
        self._disparities = self._unknown()
        if split == "train":
            self._disparities = self._scan_pairs(*(base / p for p in self._disparity_patterns))

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        if file_path is None:
            return None, None
        return _scaled_png(file_path, 256.0, np.float64), None


class Kitti2012Stereo(_KittiStereo):
    """Streets: `Kitti2012/training/colored_0/1_10.png`, `disp_noc/1.png` ….

    Args:
        split: "train" or "test" (without disparities).
    """

    _folder = "Kitti2012"
    _image_patterns = ("colored_0/*_10.png", "colored_1/*_10.png")
    _disparity_patterns = ("disp_noc/*.png",)


class Kitti2015Stereo(_KittiStereo):
    """Streets: `Kitti2015/training/image_2/img1.png`, `disp_occ_0/img1.png` ….

    Args:
        split: "train" or "test" (without disparities).
    """

    _folder = "Kitti2015"
    _image_patterns = ("image_2/*.png", "image_3/*.png")
    _disparity_patterns = ("disp_occ_0/*.png", "disp_occ_1/*.png")


_MIDDLEBURY = "https://vision.middlebury.edu/stereo/"


class Middlebury2014Stereo(StereoMatchingDataset):
    """Rooms: `Middlebury2014/train/SCENE-perfect/im0.png`, `disp0.pfm` ….

    Args:
        split: "train", "test" (without disparities) or "additional".
        calibration: "perfect", "imperfect", "both", and None for the test set.
        use_ambient_views: sometimes take the right image under other light.
    """

    splits = {  # noqa: RUF012
        "train": (
            "Adirondack Jadeplant Motorcycle Piano Pipes Playroom Playtable Recycle Shelves Vintage"
        ).split(),
        "additional": (
            "Backpack Bicycle1 Cable Classroom1 Couch Flowers Mask Shopvac Sticks Storage Sword1 "
            "Sword2 Umbrella"
        ).split(),
        "test": (
            "Plants Classroom2E Classroom2 Australia DjembeL CrusadeP Crusade Hoops Bicycle2 "
            "Staircase Newkuba AustraliaP Djembe Livingroom Computer"
        ).split(),
    }
    _has_built_in_disparity_mask = True

    def __init__(
        self,
        root: Any,
        split: str = "train",
        calibration: str | None = "perfect",
        use_ambient_views: bool = False,
        transforms: Any = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test", "additional"))
        self.split = split
        if calibration:
            verify_str_arg(calibration, "calibration", ("perfect", "imperfect", "both", None))
            if split == "test":
                raise ValueError(
                    "Split 'test' has only no calibration settings, please set `calibration=None`."
                )
        elif split != "test":
            raise ValueError(
                f"Split '{split}' has calibration settings, however None was provided as an "
                f"argument.\nSetting calibration to 'perfect' for split '{split}'. Available "
                "calibration settings are: 'perfect', 'imperfect', 'both'."
            )
        base = Path(self.root) / "Middlebury2014"
        if download:
            self._download(base)
        folder = base / split
        if not folder.exists():
            raise FileNotFoundError(
                f"The {split} directory was not found in the provided root directory"
            )
        names = tuple(self.splits[split])
        if not any(scene.startswith(names) for scene in os.listdir(folder)):
            raise FileNotFoundError(
                f"Provided root folder does not contain any scenes from the {split} split."
            )
        kinds = ["perfect", "imperfect"] if calibration == "both" else [calibration]
        for kind in kinds:
            scenes = folder / (f"*-{kind}" if kind else "*")
            self._images += self._scan_pairs(scenes / "im0.png", scenes / "im1.png")
            if split != "test":
                self._disparities += self._scan_pairs(scenes / "disp0.pfm", scenes / "disp1.pfm")
        if split == "test":
            self._disparities = self._unknown()
        self.use_ambient_views = use_ambient_views

    def _read_img(self, file_path: Any) -> Any:
        path = Path(file_path)
        if path.name == "im1.png" and self.use_ambient_views:
            others = [path.parent / name for name in ("im1E.png", "im1L.png")]
            path = random.choice([*(p for p in others if p.exists()), path])
        return super()._read_img(path)

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        if file_path is None:
            return None, None
        map_ = _pfm(file_path)
        map_[map_ == np.inf] = 0
        return map_, (map_ > 0)[0]

    def _download(self, base: Path) -> None:
        if self.split != "test":
            for scene in self.splits[self.split]:
                for kind in ("perfect", "imperfect"):
                    name, folder = f"{scene}-{kind}", base / self.split
                    if not (folder / name).exists():
                        url = f"{_MIDDLEBURY}data/scenes2014/zip/{name}.zip"
                        download_and_extract_archive(url, str(folder), remove_finished=True)
            return
        target = base / "test"
        target.mkdir(parents=True, exist_ok=True)
        if set(self.splits["test"]) - set(os.listdir(target)):
            url = f"{_MIDDLEBURY}submit3/zip/MiddEval3-data-F.zip"
            download_and_extract_archive(url, str(base), remove_finished=True)
            for folder_ in (base / "MiddEval3" / "testF").iterdir():
                shutil.move(str(folder_), str(target))
            shutil.rmtree(str(base / "MiddEval3"))


class CREStereo(StereoMatchingDataset):
    """Rendered things: `CREStereo/tree/NAME_left.jpg`, `NAME_left.disp.png` …."""

    _has_built_in_disparity_mask = True

    def __init__(self, root: Any, transforms: Any = None) -> None:
        super().__init__(root, transforms)
        for kind in ("shapenet", "reflective", "tree", "hole"):
            base = Path(self.root) / "CREStereo" / kind
            self._images += self._scan_pairs(base / "*_left.jpg", base / "*_right.jpg")
            maps = (base / "*_left.disp.png", base / "*_right.disp.png")
            self._disparities += self._scan_pairs(*maps)

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        return _scaled_png(file_path, 32.0), None


class FallingThingsStereo(StereoMatchingDataset):
    """Rendered things that fall: `FallingThings/single/OBJECT/SCENE/000000.left.jpg` ….

    Args:
        variant: "single", "mixed" or "both".
    """

    def __init__(self, root: Any, variant: str = "single", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(variant, "variant", ("single", "mixed", "both"))
        for kind in ["single", "mixed"] if variant == "both" else [variant]:
            base = Path(self.root) / "FallingThings" / kind / ("*/*" if kind == "single" else "*")
            self._images += self._scan_pairs(base / "*.left.jpg", base / "*.right.jpg")
            maps = (base / "*.left.depth.png", base / "*.right.depth.png")
            self._disparities += self._scan_pairs(*maps)

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        with open(Path(file_path).parent / "_camera_settings.json") as file:
            settings = json.load(file)["camera_settings"][0]["intrinsic_settings"]
        # The cameras are 6 cm apart; depths count in tenths of millimetres.
        return 6 * settings["fx"] * 100 / _scaled_png(file_path, 1.0), None


class SceneFlowStereo(StereoMatchingDataset):
    """Rendered scenes: `SceneFlow/Monkaa/frames_cleanpass/SCENE/left/0000.png` ….

    Args:
        variant: "FlyingThings3D", "Driving" or "Monkaa".
        pass_name: "clean", "final" or "both".
    """

    def __init__(
        self,
        root: Any,
        variant: str = "FlyingThings3D",
        pass_name: str = "clean",
        transforms: Any = None,
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(variant, "variant", ("FlyingThings3D", "Driving", "Monkaa"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        base = Path(self.root) / "SceneFlow" / variant
        inside = "*" if variant == "Monkaa" else "*/*/*"
        for name in ["clean", "final"] if pass_name == "both" else [pass_name]:
            images, maps = base / f"frames_{name}pass" / inside, base / "disparity" / inside
            self._images += self._scan_pairs(images / "left" / "*.png", images / "right" / "*.png")
            self._disparities += self._scan_pairs(maps / "left" / "*.pfm", maps / "right" / "*.pfm")

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        return _pfm(file_path), None


class SintelStereo(StereoMatchingDataset):
    """A film: `Sintel/training/final_left/SCENE/frame_0001.png`, `disparities/SCENE/NAME.png` ….

    Args:
        pass_name: "final", "clean" or "both".
    """

    _has_built_in_disparity_mask = True

    def __init__(self, root: Any, pass_name: str = "final", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(pass_name, "pass_name", ("final", "clean", "both"))
        base = Path(self.root) / "Sintel" / "training"
        for name in ["final", "clean"] if pass_name == "both" else [pass_name]:
            sides = (base / f"{name}_{side}" / "*" / "*.png" for side in ("left", "right"))
            self._images += self._scan_pairs(*sides)
            self._disparities += self._scan_pairs(base / "disparities" / "*" / "*.png")

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        from PIL import Image

        if file_path is None:
            return None, None
        path = Path(file_path)
        pixels = np.asarray(Image.open(path), np.float32)
        red, green, blue = (pixels[..., k] for k in range(3))
        map_ = (red * 4 + green / 2**6 + blue / 2**14)[None]
        valid = np.ones(map_.shape[1:], bool)
        for kind, text in (("occlusions", "Occlusion"), ("outofframe", "Out of frame")):
            mask = path.parents[2] / kind / path.parent.name / path.name
            if not mask.exists():
                raise FileNotFoundError(f"{text} mask {mask} does not exist")
            valid &= np.asarray(Image.open(mask)) == 0
        return map_, valid


class InStereo2k(StereoMatchingDataset):
    """Rooms: `InStereo2k/train/SCENE/left.png`, `left_disp.png` ….

    Args:
        split: "train" or "test".
    """

    def __init__(self, root: Any, split: str = "train", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / "InStereo2k" / split / "*"
        self._images = self._scan_pairs(base / "left.png", base / "right.png")
        self._disparities = self._scan_pairs(base / "left_disp.png", base / "right_disp.png")

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        return _scaled_png(file_path, 1024.0), None


class ETH3DStereo(StereoMatchingDataset):
    """Places: `ETH3D/two_view_training/SCENE/im0.png`, `two_view_training_gt/SCENE/disp0GT.pfm` ….

    Args:
        split: "train" or "test" (without disparities).
    """

    _has_built_in_disparity_mask = True

    def __init__(self, root: Any, split: str = "train", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / "ETH3D"
        images = base / ("two_view_training" if split == "train" else "two_view_test") / "*"
        self._images = self._scan_pairs(images / "im0.png", images / "im1.png")
        self._disparities = self._unknown()
        if split == "train":
            self._disparities = self._scan_pairs(base / "two_view_training_gt/*/disp0GT.pfm")

    def _read_disparity(self, file_path: Any) -> tuple[Any, Any]:
        from PIL import Image

        if file_path is None:
            return None, None
        mask = Image.open(Path(file_path).parent / "mask0nocc.png")
        return _pfm(file_path), np.asarray(mask).astype(bool)
