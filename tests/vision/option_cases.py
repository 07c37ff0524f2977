"""Every public transform of both APIs over its options.

`BOTH`, `FIRST` and `SECOND` say with which arguments a transform is made: for each parameter in a
class's signature some entry gives it (test_options.py checks that, by introspection). Each entry is
run on images of several kinds, and in the second API on a sample with boxes, masks and points.
`python -m tests.vision.option_cases` records torchvision's answers in `option_expected.npz`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.vision import answers, v2_cases
from tests.vision.answers import Case, Library
from tests.vision.v2_cases import HEIGHT, WIDTH, bytes_, floats, photo

EXPECTED = Path(__file__).with_name("option_expected.npz")
# Arguments, or a function of the library and its module of transforms that gives them.
Options = dict[str, Any] | Callable[[Library, Any], dict[str, Any]]


def _nested(*rest: Any, **more: Any) -> Options:
    """Arguments of a transform that is made of others."""

    def options(lib: Library, T: Any) -> dict[str, Any]:
        parts = [T.RandomHorizontalFlip(p=0.7), T.Pad(1), T.CenterCrop((9, 8))]
        return {"transforms": parts, **more}

    return options


def _policy(name: str, **more: Any) -> Options:
    return lambda lib, T: {"policy": T.AutoAugmentPolicy[name], **more}


def _linear(lib: Library, T: Any) -> dict[str, Any]:
    count = 3 * HEIGHT * WIDTH
    weights = (np.arange(count * count).reshape(count, count) % 7 == 0).astype(np.float32) / 64
    mean = np.linspace(0, 1, count, dtype=np.float32)
    return {"transformation_matrix": lib.tensor(weights), "mean_vector": lib.tensor(mean)}


def _labels(sample: Any) -> Any:
    return sample["labels"] if isinstance(sample, dict) else sample.new_zeros(3)


_FLIP: list[Options] = [{}, {"p": 0.9}, {"p": 0.0}]

BOTH: dict[str, list[Options]] = {
    "AugMix": [
        {"severity": 6, "mixture_width": 2, "chain_depth": 2, "alpha": 0.6},
        {"all_ops": False, "interpolation": "nearest", "fill": 40},
    ],
    "AutoAugment": [
        {"fill": 20},
        _policy("CIFAR10", interpolation="bilinear"),
        _policy("SVHN", fill=[1, 2, 3]),
    ],
    "CenterCrop": [{"size": 6}, {"size": (5, 9)}, {"size": [17, 8]}, {"size": [7]}],
    "ColorJitter": [
        {"brightness": 0.5},
        {"contrast": (0.3, 0.9)},
        {"saturation": 0.8},
        {"hue": 0.3},
        {"hue": (-0.2, 0.1), "brightness": (0.2, 1.9), "contrast": 0.2, "saturation": (0.0, 2.0)},
    ],
    "Compose": [_nested()],
    "ConvertImageDtype": [lambda lib, T: {"dtype": lib.torch.float64},
                          lambda lib, T: {"dtype": lib.torch.int16},
                          lambda lib, T: {"dtype": lib.torch.uint8}],
    "ElasticTransform": [
        {"alpha": 9.0, "sigma": 2.0},
        {"alpha": [4.0, 12.0], "sigma": [1.0, 0.7], "interpolation": "nearest", "fill": 5},
        {"alpha": 6.0, "sigma": 1.0, "fill": [7, 5, 0]},
        {"sigma": 3.0},  # smoothed over more than the image: refused
    ],
    "FiveCrop": [{"size": 4}, {"size": (3, 8)}],
    "GaussianBlur": [{"kernel_size": 3}, {"kernel_size": (5, 1), "sigma": 1.5},
                     {"kernel_size": [3, 7], "sigma": (0.5, 3.0)}],
    "Grayscale": [{}, {"num_output_channels": 3}],
    "LinearTransformation": [_linear],
    "Normalize": [{"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]},
                  {"mean": [0.5], "std": [2.0], "inplace": True}],
    "PILToTensor": [{}],
    "Pad": [
        {"padding": 2},
        {"padding": (1, 3), "fill": 7},
        {"padding": [1, 2, 3, 4], "fill": (9, 8, 7)},
        {"padding": 3, "padding_mode": "edge"},
        {"padding": (2, 1), "padding_mode": "reflect"},
        {"padding": [4, 3, 2, 1], "padding_mode": "symmetric"},
    ],
    "RandAugment": [{"num_ops": 3, "magnitude": 4}, {"num_magnitude_bins": 11, "fill": 12},
                    {"num_ops": 4, "interpolation": "bilinear"}],
    "RandomAdjustSharpness": [{"sharpness_factor": 3.0}, {"sharpness_factor": 0.2, "p": 0.9}],
    "RandomAffine": [
        {"degrees": 30},
        {"degrees": (10, 60), "translate": (0.2, 0.3), "scale": (0.6, 1.6)},
        {"degrees": 0, "shear": 20, "interpolation": "bilinear", "fill": 50},
        {"degrees": 5, "shear": (-9, 9, 3, 12), "center": (2, 3), "fill": [5, 6, 7]},
        {"degrees": 1, "shear": [0, 15]},
    ],
    "RandomApply": [_nested(), _nested(p=0.8)],
    "RandomAutocontrast": _FLIP,
    "RandomChoice": [_nested(), _nested(p=[0.2, 0.1, 0.7])],
    "RandomCrop": [
        {"size": 6},
        {"size": (9, 18), "pad_if_needed": True, "fill": 33},
        {"size": [10], "padding": (1, 2), "padding_mode": "reflect"},
        {"size": (13, 12), "padding": [2, 3, 1, 0], "padding_mode": "edge"},
        {"size": (20, 20), "padding": 3, "pad_if_needed": True, "padding_mode": "symmetric"},
        {"size": 40},
    ],
    "RandomEqualize": _FLIP,
    "RandomErasing": [
        {"p": 1.0},
        {"p": 0.9, "scale": (0.3, 0.5), "ratio": (0.5, 0.9), "value": 0.25},
        {"p": 1.0, "value": [1.0, 2.0, 3.0], "inplace": True},
        {"p": 1.0, "value": "random"},
    ],
    "RandomGrayscale": [{}, {"p": 0.9}],
    "RandomHorizontalFlip": _FLIP,
    "RandomInvert": _FLIP,
    "RandomOrder": [_nested()],
    "RandomPerspective": [
        {"p": 1.0},
        {"distortion_scale": 0.8, "p": 0.9, "interpolation": "nearest", "fill": 17},
        {"p": 1.0, "fill": (10, 20, 30)},
    ],
    "RandomPosterize": [{"bits": 2}, {"bits": 5, "p": 0.9}, {"bits": 0, "p": 1.0}],
    "RandomResizedCrop": [
        {"size": 7},
        {"size": (5, 9), "scale": (0.5, 0.6), "interpolation": "nearest"},
        {"size": [8, 6], "ratio": (2.0, 3.0), "interpolation": "bicubic"},
        {"size": 9, "antialias": False},
    ],
    "RandomRotation": [
        {"degrees": 45},
        {"degrees": (80, 100), "expand": True, "fill": 3},
        {"degrees": [-20, 10], "interpolation": "bilinear", "center": (4, 2)},
        {"degrees": 170, "expand": True, "interpolation": "bilinear", "fill": [2, 40, 90]},
    ],
    "RandomSolarize": [{"threshold": 0.5}, {"threshold": 0.3, "p": 0.9}, {"threshold": 120.0}],
    "RandomVerticalFlip": _FLIP,
    "Resize": [
        {"size": 7},
        {"size": (6, 17)},
        {"size": [9], "max_size": 10},
        {"size": 20, "interpolation": "nearest"},
        {"size": (5, 6), "interpolation": "nearest-exact"},
        {"size": (8, 21), "interpolation": "bicubic"},
        {"size": (6, 5), "antialias": False},
        {"size": 6, "interpolation": "lanczos"},
        {"size": (6, 8), "interpolation": "box"},
        {"size": (13, 8), "interpolation": "hamming"},
    ],
    "TenCrop": [{"size": 4}, {"size": (3, 8), "vertical_flip": True}],
    "ToPILImage": [{}, {"mode": "RGB"}, {"mode": "YCbCr"}, {"mode": "L"}],
    "ToTensor": [{}],
    "TrivialAugmentWide": [{"num_magnitude_bins": 7, "fill": 10}, {"interpolation": "bilinear"}],
}  # fmt: skip

FIRST: dict[str, list[Options]] = {
    "Lambda": [{"lambd": lambda x: str(type(x).__name__)}],
}

SECOND: dict[str, list[Options]] = {
    "ClampBoundingBoxes": [{}, {"clamping_mode": "hard"}, {"clamping_mode": None}],
    "ClampKeyPoints": [{}],
    "ConvertBoundingBoxFormat": [{"format": "XYWH"},
                                 lambda lib, T: {"format": lib.tv.BoundingBoxFormat.CXCYWH}],
    "CutMix": [{"alpha": 0.4, "num_classes": 5},
               {"labels_getter": lambda given: given[1]}],
    "GaussianNoise": [{"mean": 0.1, "sigma": 0.3}, {"clip": False}],
    "Identity": [{}],
    "Lambda": [{"lambd": lambda x: f"{x}!", "types": (str,)}],
    "MixUp": [{"alpha": 0.4, "num_classes": 5}, {"labels_getter": lambda given: given[1]}],
    "Pad": [lambda lib, T: {"padding": 2, "fill": {lib.tv.Mask: 1, "others": 9}},
            lambda lib, T: {"padding": 2, "fill": {lib.tv.Image: [3, 4, 5]}}],
    "RGB": [{}],
    "RandomChannelPermutation": [{}],
    "RandomIoUCrop": [
        {},
        {"min_scale": 0.5, "max_scale": 0.9, "min_aspect_ratio": 0.8, "max_aspect_ratio": 1.5},
        {"sampler_options": [0.2, 0.6], "trials": 5},
    ],
    "RandomPhotometricDistort": [
        {"p": 0.9},
        {"brightness": (0.5, 1.5), "contrast": (0.2, 0.4), "saturation": (1.5, 2.0),
         "hue": (-0.3, 0.3)},
    ],
    "RandomResize": [{"min_size": 5, "max_size": 12},
                     {"min_size": 6, "max_size": 9, "interpolation": "nearest"},
                     {"min_size": 6, "max_size": 9, "antialias": False}],
    "RandomShortestSize": [{"min_size": 8}, {"min_size": [5, 6, 7], "max_size": 9},
                           {"min_size": (12, 14), "interpolation": "nearest"},
                           {"min_size": 6, "antialias": False}],
    "RandomZoomOut": [{"p": 1.0}, {"side_range": (1.2, 2.0), "p": 0.9, "fill": 4},
                      {"p": 1.0, "fill": [1, 2, 3]}],
    "SanitizeBoundingBoxes": [{"min_size": 4.0}, {"min_area": 30.0},
                              {"labels_getter": None}, {"labels_getter": _labels}],
    "SanitizeKeyPoints": [{}, {"labels_getter": lambda s: _labels(s)[:2]}],
    "ScaleJitter": [{"target_size": (12, 16)},
                    {"target_size": (9, 9), "scale_range": (0.7, 0.9), "interpolation": "nearest"},
                    {"target_size": (9, 9), "antialias": False}],
    "SetClampingMode": [{"clamping_mode": "hard"}, {"clamping_mode": None}],
    "ToDtype": [
        lambda lib, T: {"dtype": lib.torch.float32, "scale": True},
        lambda lib, T: {"dtype": lib.torch.int32},
        lambda lib, T: {"dtype": {lib.tv.Image: lib.torch.float64, lib.tv.Mask: lib.torch.bool,
                                  "others": None}, "scale": True},
    ],
    "ToImage": [{}],
    "ToPureTensor": [{}],
    "UniformTemporalSubsample": [{"num_samples": 1}, {"num_samples": 5}],
}  # fmt: skip


def arguments(lib: Library, T: Any, options: Options) -> dict[str, Any]:
    """An entry of the tables as arguments; names of interpolations become what the API takes."""
    given = dict(options) if isinstance(options, dict) else options(lib, T)
    if T is lib.v1 and "interpolation" in given:
        given["interpolation"] = T.InterpolationMode(given["interpolation"])
    return given


def made(lib: Library, T: Any, name: str, options: Options) -> Any:
    given = arguments(lib, T, options)
    positional = [given.pop("lambd"), *given.pop("types", ())] if "lambd" in given else []
    return getattr(T, name)(*positional, **given)


def tables() -> dict[str, dict[str, list[Options]]]:
    """By API and by name, the arguments of all cases."""
    first = {name: [*BOTH.get(name, []), *FIRST.get(name, [])] for name in {*BOTH, *FIRST}}
    second = {name: [*BOTH.get(name, []), *SECOND.get(name, [])] for name in {*BOTH, *SECOND}}
    return {"v1": dict(sorted(first.items())), "v2": dict(sorted(second.items()))}


_PLAIN: dict[str, Callable[[Library], Any]] = {
    "pil": lambda lib: photo(),
    "bytes": lambda lib: lib.tensor(bytes_(3, HEIGHT, WIDTH)),
    "floats": lambda lib: lib.tensor(floats(3, HEIGHT, WIDTH)),
}
_SAMPLES = {**_PLAIN, "sample": v2_cases.sample}
_SPECIAL: dict[str, dict[str, Callable[[Library], Any]]] = {
    "UniformTemporalSubsample": {"video": lambda lib: lib.tv.Video(lib.tensor(bytes_(7, 1, 2, 3)))},
    "LinearTransformation": {"floats": _PLAIN["floats"]},
    "CutMix": {"batch": v2_cases.batch},
    "MixUp": {"batch": v2_cases.batch},
}


def _run(lib: Library, api: str, name: str, options: Options, of: Any, seed: int) -> Any:
    transform = made(lib, getattr(lib, api), name, options)
    given = of(lib)
    lib.torch.manual_seed(seed)
    random.seed(seed)
    found = transform(*given) if isinstance(given, tuple) else transform(given)
    return [found, str(float(lib.torch.rand(1)))]  # the same draws, to the last


def cases() -> Iterator[Case]:
    for api, table in tables().items():
        for name, entries in table.items():
            samples = _SPECIAL.get(name, _PLAIN if api == "v1" else _SAMPLES)
            for k, options in enumerate(entries):
                for kind, of in samples.items():
                    yield Case(
                        f"{api}.{name}.{k}.{kind}",
                        lambda lib, a=api, n=name, o=options, f=of, s=k: _run(lib, a, n, o, f, s),
                    )


if __name__ == "__main__":
    answers.record(list(cases()), EXPECTED)
