"""torchvision.datasets: data sets of images and videos in the files that their authors give out."""

from __future__ import annotations

import importlib
from typing import Any

# Module: what it has for this package. All of it is loaded at first use.
_MODULES = {
    "_optical_flow": "FlyingChairs FlyingThings3D HD1K KittiFlow Sintel",
    "_stereo_matching": "CREStereo CarlaStereo ETH3DStereo FallingThingsStereo InStereo2k "
    "Kitti2012Stereo Kitti2015Stereo Middlebury2014Stereo SceneFlowStereo SintelStereo",
    "_wrap_v2": "wrap_dataset_for_transforms_v2",
    "caltech": "Caltech101 Caltech256",
    "celeba": "CelebA",
    "cifar": "CIFAR10 CIFAR100",
    "cityscapes": "Cityscapes",
    "clevr": "CLEVRClassification",
    "coco": "CocoCaptions CocoDetection",
    "country211": "Country211",
    "dtd": "DTD",
    "eurosat": "EuroSAT",
    "fakedata": "FakeData",
    "fer2013": "FER2013",
    "fgvc_aircraft": "FGVCAircraft",
    "flickr": "Flickr30k Flickr8k",
    "flowers102": "Flowers102",
    "folder": "DatasetFolder ImageFolder",
    "food101": "Food101",
    "gtsrb": "GTSRB",
    "hmdb51": "HMDB51",
    "imagenet": "ImageNet",
    "imagenette": "Imagenette",
    "inaturalist": "INaturalist",
    "kinetics": "Kinetics",
    "kitti": "Kitti",
    "lfw": "LFWPairs LFWPeople",
    "lsun": "LSUN LSUNClass",
    "mnist": "EMNIST FashionMNIST KMNIST MNIST QMNIST",
    "moving_mnist": "MovingMNIST",
    "omniglot": "Omniglot",
    "oxford_iiit_pet": "OxfordIIITPet",
    "pcam": "PCAM",
    "phototour": "PhotoTour",
    "places365": "Places365",
    "rendered_sst2": "RenderedSST2",
    "samplers": "",
    "sbd": "SBDataset",
    "sbu": "SBU",
    "semeion": "SEMEION",
    "stanford_cars": "StanfordCars",
    "stl10": "STL10",
    "sun397": "SUN397",
    "svhn": "SVHN",
    "ucf101": "UCF101",
    "usps": "USPS",
    "utils": "",
    "video_utils": "",
    "vision": "StandardTransform VisionDataset",
    "voc": "VOCDetection VOCSegmentation",
    "widerface": "WIDERFace",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(set(_HOMES) - {"StandardTransform"})


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *(m for m in _MODULES if not m.startswith("_"))})
