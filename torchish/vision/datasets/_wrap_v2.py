"""Data sets whose samples tell the second API what is an image, a mask or a box."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from .. import tv_tensors
from .._tensors import array_of, tensor_of
from ..transforms.v2 import functional as F
from . import _HOMES, __getattr__ as _dataset
from .utils import need
from .vision import VisionDataset

Wrapper = Callable[[int, Any], Any]
Factory = Callable[[Any, Any], Wrapper]


def wrap_dataset_for_transforms_v2(dataset: Any, target_keys: Any = None) -> Any:
    """A data set like `dataset` whose masks, boxes and videos are TVTensors.

    Args:
        dataset: one of this package; classification passes samples as they are, segmentation gives
            masks, detection a dictionary with "boxes" (XYXY), "labels" and more.
        target_keys: which keys of such a dictionary to give: a collection of names, "all", or None
            for the usual ones.
    Raises: TypeError for other data sets, ValueError for other keys, RuntimeError for options of a
    data set that the second API cannot use.
    """
    is_names = isinstance(target_keys, Collection) and all(isinstance(k, str) for k in target_keys)
    if not (target_keys is None or target_keys == "all" or is_names):
        raise ValueError(
            "`target_keys` can be None, 'all', or a collection of strings denoting the keys to be "
            f"returned, but got {target_keys}"
        )
    # `isinstance(wrapped, ImageNet)` goes on to hold.
    made = type(f"Wrapped{type(dataset).__name__}", (_Wrapped, type(dataset)), {})
    return made(dataset, target_keys)


class _Wrapped:
    def __init__(self, dataset: Any, target_keys: Any) -> None:
        kind = type(dataset)
        if not isinstance(dataset, VisionDataset):
            raise TypeError(
                "This wrapper is meant for subclasses of `torchvision.datasets.VisionDataset`, "
                f"but got a '{kind.__name__}' instead.\n"
            )
        names = [cls.__name__ for cls in kind.__mro__ if cls.__name__ in _FACTORIES]
        known = [name for name in names if isinstance(dataset, _dataset(name))]
        if not known:
            raise TypeError(f"No wrapper exists for dataset class {kind.__name__}")
        self._dataset = dataset
        self._target_keys = target_keys
        self._wrapper = _FACTORIES[known[0]](dataset, target_keys)
        # Transforms are for wrapped samples: the data set itself must not apply them.
        self.transform, dataset.transform = dataset.transform, None
        self.target_transform, dataset.target_transform = dataset.target_transform, None
        self.transforms, dataset.transforms = dataset.transforms, None

    def __getattr__(self, name: str) -> Any:
        if name == "_dataset":
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, idx: int) -> Any:
        sample = self._wrapper(idx, self._dataset[idx])
        return sample if self.transforms is None else self.transforms(*sample)

    def __len__(self) -> int:
        return len(self._dataset)

    def __reduce__(self) -> Any:
        dataset = copy.copy(self._dataset)
        for name in ("transform", "target_transform", "transforms"):
            setattr(dataset, name, getattr(self, name))
        return wrap_dataset_for_transforms_v2, (dataset, self._target_keys)


# -- pieces ----------------------------------------------------------------------------------------


def _refuse(what: str) -> None:
    raise RuntimeError(f"{what} is currently not supported by this wrapper.")


def _keys(given: Any, available: set[str], default: Any) -> set[str]:
    wanted = default if given is None else given
    if wanted == "all":
        return available
    extra = set(wanted) - available
    if extra:
        raise ValueError(f"Target keys {sorted(extra)} are not available")
    return set(wanted)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Dictionaries as one of lists."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def _boxes(numbers: Any, size: Any, format: str = "XYXY") -> Any:
    boxes = tv_tensors.BoundingBoxes(numbers, format=format, canvas_size=tuple(size))  # type: ignore
    return boxes if format == "XYXY" else F.convert_bounding_box_format(boxes, new_format="XYXY")


def _by_type(target: Any, types: list[str], wrappers: dict[str, Callable[[Any], Any]]) -> Any:
    """Each item of a target wrapped by what kind it is."""
    items = target if isinstance(target, (tuple, list)) else [target]
    made = [wrappers.get(kind, lambda x: x)(i) for kind, i in zip(types, items, strict=False)]
    return made[0] if len(made) == 1 else tuple(made)


# -- what is done for each data set ----------------------------------------------------------------


def _as_it_is(dataset: Any, keys: Any) -> Wrapper:
    return lambda idx, sample: sample


def _segmentation(dataset: Any, keys: Any) -> Wrapper:
    return lambda idx, sample: (sample[0], tv_tensors.Mask(sample[1]))


def _video(dataset: Any, keys: Any) -> Wrapper:
    if dataset.video_clips.output_format == "THWC":
        raise RuntimeError(
            f"{type(dataset).__name__} with `output_format='THWC'` is not supported by this "
            "wrapper, since it is not compatible with the transformations. Please use "
            "`output_format='TCHW'` instead."
        )
    return lambda idx, sample: (tv_tensors.Video(sample[0]), *sample[1:])


def _caltech101(dataset: Any, keys: Any) -> Wrapper:
    if "annotation" in dataset.target_type:
        _refuse("Caltech101 dataset with `target_type=['annotation', ...]`")
    return _as_it_is(dataset, keys)


def _sbd(dataset: Any, keys: Any) -> Wrapper:
    if dataset.mode == "boundaries":
        _refuse("SBDataset with mode='boundaries'")
    return _segmentation(dataset, keys)


def _coco(dataset: Any, keys: Any) -> Wrapper:
    native = {"segmentation", "area", "iscrowd", "image_id", "bbox", "category_id"}
    own = {"boxes", "masks", "labels"}
    wanted = _keys(keys, native | own, {"image_id", "boxes", "labels"})

    def mask(segmentation: Any, size: Any) -> np.ndarray:
        tools = need("pycocotools.mask", "pycocotools", "reading COCO's masks")
        if isinstance(segmentation, list):
            segmentation = tools.merge(tools.frPyObjects(segmentation, *size))
        elif not isinstance(segmentation, dict):
            raise ValueError(
                f"COCO segmentation expected to be a dict or a list, but got {type(segmentation)}"
            )
        elif not isinstance(segmentation["counts"], str):
            segmentation = tools.frPyObjects(segmentation, *size)
        return tools.decode(segmentation)

    def wrap(idx: int, sample: Any) -> Any:
        image, rows = sample
        number = dataset.ids[idx]
        if not rows:
            return image, {"image_id": number}
        size, found = F.get_size(image), _columns(rows)
        target: dict[str, Any] = {key: found[key] for key in wanted & native - {"image_id"}}
        if "image_id" in wanted:
            target["image_id"] = number
        if "boxes" in wanted:
            target["boxes"] = _boxes(found["bbox"], size, "XYWH")
        if "masks" in wanted:
            masks = np.stack([mask(s, size) for s in found["segmentation"]])
            target["masks"] = tv_tensors.Mask(tensor_of(masks))
        if "labels" in wanted:
            target["labels"] = tensor_of(np.array(found["category_id"]))
        return image, target

    return wrap


_VOC = (
    "__background__ aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
).split()
_KITTI = "Car Van Truck Pedestrian Person_sitting Cyclist Tram Misc DontCare".split()


def _numbers(names: list[str], known: list[str]) -> Any:
    return tensor_of(np.array([known.index(name) for name in names], np.int64))


def _voc(dataset: Any, keys: Any) -> Wrapper:
    wanted = _keys(keys, {"annotation", "boxes", "labels"}, {"boxes", "labels"})

    def wrap(idx: int, sample: Any) -> Any:
        image, target = sample
        found = _columns(target["annotation"]["object"])
        target = target if "annotation" in wanted else {}
        if "boxes" in wanted:
            sides = ("xmin", "ymin", "xmax", "ymax")
            corners = [[int(box[side]) for side in sides] for box in found["bndbox"]]
            target["boxes"] = _boxes(corners, (image.height, image.width))
        if "labels" in wanted:
            target["labels"] = _numbers(found["name"], _VOC)
        return image, target

    return wrap


def _celeba(dataset: Any, keys: Any) -> Wrapper:
    if any(kind in dataset.target_type for kind in ("attr", "landmarks")):
        _refuse("`CelebA` dataset with `target_type=['attr', 'landmarks', ...]`")

    def wrap(idx: int, sample: Any) -> Any:
        image, target = sample
        size = (image.height, image.width)
        kinds = {"bbox": lambda item: _boxes(item, size, "XYWH")}
        return image, _by_type(target, dataset.target_type, kinds)

    return wrap


def _kitti(dataset: Any, keys: Any) -> Wrapper:
    native = {
        "type",
        "truncated",
        "occluded",
        "alpha",
        "bbox",
        "dimensions",
        "location",
        "rotation_y",
    }
    wanted = _keys(keys, native | {"boxes", "labels"}, {"boxes", "labels"})

    def wrap(idx: int, sample: Any) -> Any:
        image, rows = sample
        if rows is None:
            return image, rows
        found = _columns(rows)
        target: dict[str, Any] = {key: found[key] for key in wanted & native}
        if "boxes" in wanted:
            target["boxes"] = _boxes(found["bbox"], (image.height, image.width))
        if "labels" in wanted:
            target["labels"] = _numbers(found["type"], _KITTI)
        return image, target

    return wrap


def _pet(dataset: Any, keys: Any) -> Wrapper:
    kinds: dict[str, Any] = {"segmentation": tv_tensors.Mask}

    def wrap(idx: int, sample: Any) -> Any:
        image, target = sample
        if target is None:
            return image, None
        return image, _by_type(target, dataset._target_types, kinds)

    return wrap


def _instances(picture: Any) -> dict[str, Any]:
    """A mask for each value of Cityscapes' instance images, and its class."""
    data = array_of(tv_tensors.Mask(picture))
    values = np.unique(data)
    wide = values.astype(np.int64)
    labels = np.where(wide >= 1000, wide // 1000, wide).astype(data.dtype)
    masks = tv_tensors.Mask(tensor_of(np.stack([data == value for value in values])))
    return {"masks": masks, "labels": tensor_of(labels)}


def _cityscapes(dataset: Any, keys: Any) -> Wrapper:
    if any(kind in dataset.target_type for kind in ("polygon", "color")):
        _refuse("`Cityscapes` dataset with `target_type=['polygon', 'color', ...]`")
    kinds: dict[str, Any] = {"instance": _instances, "semantic": tv_tensors.Mask}
    return lambda idx, sample: (sample[0], _by_type(sample[1], dataset.target_type, kinds))


def _wider_face(dataset: Any, keys: Any) -> Wrapper:
    available = {"bbox", "blur", "expression", "illumination", "occlusion", "pose", "invalid"}
    wanted = _keys(keys, available, "all")

    def wrap(idx: int, sample: Any) -> Any:
        image, target = sample
        if target is None:
            return image, None
        target = {key: target[key] for key in wanted}
        if "bbox" in wanted:
            target["bbox"] = _boxes(target["bbox"], (image.height, image.width), "XYWH")
        return image, target

    return wrap


_CLASSIFICATION = (
    "Caltech256 CIFAR10 CIFAR100 ImageNet MNIST FashionMNIST GTSRB DatasetFolder ImageFolder "
    "Imagenette CocoCaptions"
)
_FACTORIES: dict[str, Factory] = {
    **dict.fromkeys(_CLASSIFICATION.split(), _as_it_is),
    **dict.fromkeys(("HMDB51", "Kinetics", "UCF101"), _video),
    "Caltech101": _caltech101,
    "CelebA": _celeba,
    "Cityscapes": _cityscapes,
    "CocoDetection": _coco,
    "Kitti": _kitti,
    "OxfordIIITPet": _pet,
    "SBDataset": _sbd,
    "VOCDetection": _voc,
    "VOCSegmentation": _segmentation,
    "WIDERFace": _wider_face,
}
assert set(_FACTORIES) <= set(_HOMES)
