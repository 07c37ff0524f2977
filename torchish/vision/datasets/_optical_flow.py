"""Pairs of images with optical flow."""

from __future__ import annotations

import itertools
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np

from ...utils.data import ConcatDataset
from .._codecs import decode_bytes
from .folder import default_loader
from .utils import _read_pfm, verify_str_arg
from .vision import VisionDataset


def _read_flo(file_name: str) -> np.ndarray:
    """Flow (2, H, W) in Middlebury's format: PIEH, width, height, then pairs of floats."""
    with open(file_name, "rb") as file:
        if file.read(4) != b"PIEH":
            raise ValueError("Magic number incorrect. Invalid .flo file")
        width, height = np.fromfile(file, "<i4", count=2).tolist()
        data = np.fromfile(file, "<f4", count=2 * width * height)
    return data.reshape(height, width, 2).transpose(2, 0, 1)


def _read_png_flow(file_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Flow (2, H, W) and where it is valid, from colours with 16 bits."""
    with open(file_name, "rb") as file:
        samples = decode_bytes(file.read())
    return (samples[:2].astype(np.float32) - 2**15) / 64, samples[2] != 0


class FlowDataset(VisionDataset):
    """Samples (image, image, flow (2, H, W)[, where it is valid (H, W)]); None where unknown."""

    _has_builtin_flow_mask = False

    def __init__(self, root: Any, transforms: Any = None, loader: Any = default_loader) -> None:
        super().__init__(root)
        self.transforms: Any = transforms
        self._flow_list: list[Any] = []
        self._image_list: list[list[Any]] = []
        self._loader = loader

    def _read_flow(self, file_name: str) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        first, second = (self._loader(path) for path in self._image_list[index])
        flow = valid = None
        if self._flow_list:
            flow = self._read_flow(self._flow_list[index])
            if self._has_builtin_flow_mask:
                flow, valid = flow
        if self.transforms is not None:
            first, second, flow, valid = self.transforms(first, second, flow, valid)
        if self._has_builtin_flow_mask or valid is not None:
            return first, second, flow, valid
        return first, second, flow

    def __len__(self) -> int:
        return len(self._image_list)

    def __rmul__(self, v: int) -> ConcatDataset:
        return ConcatDataset([self] * v)


def _found(folder: Path, pattern: str) -> list[str]:
    return sorted(glob(str(folder / pattern)))


def _missing(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"Could not find the {name} images. Please make sure the directory structure is correct."
    )


class Sintel(FlowDataset):
    """A film: `Sintel/training/clean/alley_1/frame_0001.png`, `training/flow/alley_1/NAME.flo`.

    Args:
        split: "train" or "test" (without flow).
        pass_name: "clean", "final" or "both".
    """

    def __init__(
        self,
        root: Any,
        split: str = "train",
        pass_name: str = "clean",
        transforms: Any = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        base = Path(self.root) / "Sintel"
        for name in ["clean", "final"] if pass_name == "both" else [pass_name]:
            folder = base / ("training" if split == "train" else "test") / name
            for scene in folder.iterdir():
                images = _found(scene, "*.png")
                self._image_list += [list(pair) for pair in itertools.pairwise(images)]
                if split == "train":
                    self._flow_list += _found(base / "training" / "flow" / scene.name, "*.flo")

    _read_flow = staticmethod(_read_flo)


class KittiFlow(FlowDataset):
    """Streets: `KittiFlow/training/image_2/000000_10.png`, `training/flow_occ/000000_10.png`.

    Args:
        split: "train" or "test" (without flow).
    """

    _has_builtin_flow_mask = True

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transforms: Any = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / "KittiFlow" / f"{split}ing"
        first, second = (_found(base / "image_2", f"*_{k}.png") for k in (10, 11))
        if not first or not second:
            raise _missing("Kitti flow")
        self._image_list = [list(pair) for pair in zip(first, second, strict=False)]
        if split == "train":
            self._flow_list = _found(base / "flow_occ", "*_10.png")

    _read_flow = staticmethod(_read_png_flow)


class FlyingChairs(FlowDataset):
    """Chairs on photographs: `FlyingChairs/data/00001_img1.ppm`, `FlyingChairs_train_val.txt`.

    Args:
        split: "train" or "val".
    """

    def __init__(self, root: Any, split: str = "train", transforms: Any = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "val"))
        base = Path(self.root) / "FlyingChairs"
        images, flows = (_found(base / "data", f"*.{ending}") for ending in ("ppm", "flo"))
        listed = base / "FlyingChairs_train_val.txt"
        if not listed.exists():
            raise FileNotFoundError(
                "The FlyingChairs_train_val.txt file was not found - please download it from the "
                "dataset page (see docstring)."
            )
        wanted = 1 if split == "train" else 2
        parts = np.loadtxt(str(listed), dtype=np.int32, ndmin=1)
        for k, flow in enumerate(flows):
            if parts[k] == wanted:
                self._flow_list.append(flow)
                self._image_list.append([images[2 * k], images[2 * k + 1]])

    _read_flow = staticmethod(_read_flo)


class FlyingThings3D(FlowDataset):
    """Rendered things: `FlyingThings3D/frames_cleanpass/TRAIN/A/0000/left/0006.png` ….

    Args:
        split: "train" or "test".
        pass_name: "clean", "final" or "both".
        camera: "left", "right" or "both".
    """

    def __init__(
        self,
        root: Any,
        split: str = "train",
        pass_name: str = "clean",
        camera: str = "left",
        transforms: Any = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        verify_str_arg(camera, "camera", ("left", "right", "both"))
        names = ["clean", "final"] if pass_name == "both" else [pass_name]
        cameras = ["left", "right"] if camera == "both" else [camera]
        base = Path(self.root) / "FlyingThings3D"
        directions = ("into_future", "into_past")
        for name, side, direction in itertools.product(names, cameras, directions):
            scenes = _found(base / f"frames_{name}pass" / split.upper(), "*/*")
            motions = _found(base / "optical_flow" / split.upper(), "*/*")
            if not scenes or not motions:
                raise _missing("FlyingThings3D flow")
            for scene, motion in zip(scenes, motions, strict=False):
                images = _found(Path(scene) / side, "*.png")
                flows = _found(Path(motion) / direction / side, "*.pfm")
                for k in range(len(flows) - 1):
                    pair = images[k : k + 2]
                    past = direction == "into_past"
                    self._image_list.append(pair[::-1] if past else pair)
                    self._flow_list.append(flows[k + past])

    _read_flow = staticmethod(_read_pfm)


class HD1K(FlowDataset):
    """Streets: `hd1k/hd1k_input/image_2/000000_0000.png`, `hd1k/hd1k_flow_gt/flow_occ/NAME.png`.

    Args:
        split: "train" or "test" (without flow).
    """

    _has_builtin_flow_mask = True

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transforms: Any = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / "hd1k"
        if split == "train":
            for k in range(36):
                flows = _found(base / "hd1k_flow_gt" / "flow_occ", f"{k:06d}_*.png")
                images = _found(base / "hd1k_input" / "image_2", f"{k:06d}_*.png")
                count = max(len(flows) - 1, 0)
                self._flow_list += flows[:count]
                self._image_list += [images[i : i + 2] for i in range(count)]
        else:
            pairs = (_found(base / "hd1k_challenge" / "image_2", f"*{k}.png") for k in (10, 11))
            self._image_list = [list(pair) for pair in zip(*pairs, strict=False)]
        if not self._image_list:
            raise _missing("HD1K")

    _read_flow = staticmethod(_read_png_flow)
