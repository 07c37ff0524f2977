"""Every public function of both APIs' `functional` over its arguments, and every kernel.

Entries are the arguments behind the first; test_options.py checks by introspection that each
parameter of each function is given. `python -m tests.vision.function_cases` records torchvision's
answers in `function_expected.npz`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.vision import answers, v2_cases
from tests.vision.answers import Case, Library
from tests.vision.v2_cases import CANVAS, HEIGHT, WIDTH, bytes_, floats, photo

EXPECTED = Path(__file__).with_name("function_expected.npz")
Options = dict[str, Any] | Callable[[Library], dict[str, Any]]

_QUAD = {
    "startpoints": [[0, 0], [13, 0], [13, 10], [0, 10]],
    "endpoints": [[1, 2], [11, 0], [12, 9], [3, 10]],
}
_CROP = {"top": 1, "left": 2, "height": 7, "width": 9}


def _shift(lib: Library) -> Any:
    return lib.tensor((floats(1, HEIGHT, WIDTH, 2) - 0.5) * np.float32(0.3))


BOTH: dict[str, list[Options]] = {
    "adjust_brightness": [{"brightness_factor": 0.4}],
    "adjust_contrast": [{"contrast_factor": 1.8}],
    "adjust_gamma": [{"gamma": 0.7, "gain": 1.2}],
    "adjust_hue": [{"hue_factor": -0.33}],
    "adjust_saturation": [{"saturation_factor": 0.0}],
    "adjust_sharpness": [{"sharpness_factor": 0.3}],
    "affine": [
        {"angle": 12.0, "translate": [1, 2], "scale": 0.8, "shear": [4.0, -6.0]},
        {"angle": -100.0, "translate": [0, 0], "scale": 1.5, "shear": [0.0, 0.0],
         "interpolation": "bilinear", "fill": [8.0], "center": [5.0, 1.0]},
    ],
    "autocontrast": [{}],
    "center_crop": [{"output_size": [4, 20]}, {"output_size": [5]}],
    "convert_image_dtype": [lambda lib: {"dtype": lib.torch.float32},
                            lambda lib: {"dtype": lib.torch.int32}],
    "crop": [_CROP],
    "elastic_transform": [
        lambda lib: {"displacement": _shift(lib), "interpolation": "nearest", "fill": 3.0},
        lambda lib: {"displacement": _shift(lib)},
    ],
    "equalize": [{}],
    "erase": [lambda lib: {"i": 2, "j": 3, "h": 4, "w": 5, "v": lib.torch.ones(1),
                           "inplace": False}],
    "five_crop": [{"size": [4, 9]}],
    "gaussian_blur": [{"kernel_size": [5, 3]}, {"kernel_size": [3, 3], "sigma": [0.4, 2.0]}],
    "get_dimensions": [{}],
    "get_image_num_channels": [{}],
    "get_image_size": [{}],
    "hflip": [{}],
    "invert": [{}],
    "normalize": [{"mean": [0.2, 0.3, 0.4], "std": [0.5, 0.6, 0.7], "inplace": True}],
    "pad": [{"padding": [3, 1], "fill": 4, "padding_mode": "constant"},
            {"padding": [1, 2, 3, 4], "padding_mode": "reflect"}],
    "perspective": [{**_QUAD, "interpolation": "nearest", "fill": [7]},
                    {**_QUAD, "interpolation": "bilinear"}],
    "pil_to_tensor": [{}],
    "posterize": [{"bits": 5}],
    "resize": [{"size": [5], "max_size": 6, "interpolation": "bicubic", "antialias": True},
               {"size": [20, 9], "interpolation": "nearest"},
               {"size": [6, 9], "antialias": False}],
    "resized_crop": [{**_CROP, "size": [5, 6], "interpolation": "bicubic", "antialias": False},
                     {**_CROP, "size": [9], "interpolation": "nearest"}],
    "rgb_to_grayscale": [{}, {"num_output_channels": 3}],
    "rotate": [{"angle": 20.0, "interpolation": "bilinear", "expand": True, "fill": [2]},
               {"angle": -75.0, "center": [3, 4]}],
    "solarize": [{"threshold": 0.3}],
    "ten_crop": [{"size": [4, 9], "vertical_flip": True}],
    "to_grayscale": [{}, {"num_output_channels": 3}],
    "to_pil_image": [{}, {"mode": "HSV"}],
    "to_tensor": [{}],
    "vflip": [{}],
}  # fmt: skip

SECOND: dict[str, list[Options]] = {
    "clamp_bounding_boxes": [lambda lib: {"format": lib.tv.BoundingBoxFormat.XYXY,
                                          "canvas_size": (6, 7), "clamping_mode": "hard"}],
    "clamp_keypoints": [{"canvas_size": (6, 7)}],
    "convert_bounding_box_format": [
        lambda lib: {"old_format": lib.tv.BoundingBoxFormat.XYXY, "new_format": "XYWH",
                     "inplace": True}],
    "elastic": [lambda lib: {"displacement": _shift(lib), "interpolation": "nearest", "fill": 3.0}],
    "gaussian_noise": [{"mean": 0.2, "sigma": 0.3, "clip": False}, {}],
    "get_num_channels": [{}],
    "get_num_frames": [{}],
    "get_size": [{}],
    "grayscale_to_rgb": [{}],
    "horizontal_flip": [{}],
    "permute_channels": [{"permutation": [2, 0, 1]}],
    "perspective": [{"startpoints": None, "endpoints": None,
                     "coefficients": [1.1, 0.1, -0.5, -0.05, 0.9, 0.4, 0.002, -0.001]}],
    "resize": [{"size": None, "max_size": 17}],
    "sanitize_bounding_boxes": [{"format": "XYXY", "canvas_size": CANVAS, "min_size": 4.0,
                                 "min_area": 20.0}],
    "sanitize_keypoints": [{"canvas_size": (6, 9)}],
    "to_dtype": [lambda lib: {"dtype": lib.torch.float64, "scale": True},
                 lambda lib: {"dtype": lib.torch.int16}],
    "to_image": [{}],
    "uniform_temporal_subsample": [{"num_samples": 3}],
    "vertical_flip": [{}],
}  # fmt: skip

_IMAGES: dict[str, Callable[[Library], Any]] = {
    "pil": lambda lib: photo(),
    "bytes": lambda lib: lib.tensor(bytes_(3, HEIGHT, WIDTH)),
    "floats": lambda lib: lib.tensor(floats(3, HEIGHT, WIDTH)),
}
_BOXES = {"boxes": lambda lib: lib.tensor(np.array(v2_cases.BOXES["XYXY"], np.float32))}
_POINTS = {"points": lambda lib: lib.tensor(np.array([[[1.0, 2], [9, 3]]], np.float32))}
_VIDEO = {"video": lambda lib: lib.tv.Video(lib.tensor(bytes_(5, 3, 4, 5)))}
_GIVEN = {
    "clamp_bounding_boxes": _BOXES,
    "convert_bounding_box_format": _BOXES,
    "sanitize_bounding_boxes": _BOXES,
    "clamp_keypoints": _POINTS,
    "sanitize_keypoints": _POINTS,
    "get_num_frames": _VIDEO,
    "uniform_temporal_subsample": _VIDEO,
}
# What a kernel is given by the end of its name: a plain tensor, and what a class would know.
_KERNELS: dict[str, Callable[[Library], tuple[Any, dict[str, Any]]]] = {
    "image": lambda lib: (lib.tensor(bytes_(3, HEIGHT, WIDTH)), {}),
    "video": lambda lib: (lib.tensor(bytes_(2, 3, HEIGHT, WIDTH)), {}),
    "mask": lambda lib: (lib.tensor((bytes_(2, HEIGHT, WIDTH) > 90).astype(np.uint8)), {}),
    "bounding_boxes": lambda lib: (
        lib.tensor(np.array(v2_cases.BOXES["CXCYWH"], np.float32)),
        {"format": lib.tv.BoundingBoxFormat.CXCYWH, "canvas_size": CANVAS},
    ),
    "keypoints": lambda lib: (
        lib.tensor(np.array([[[1.0, 2], [9, 3]]], np.float32)),
        {"canvas_size": CANVAS},
    ),
}


def functional(lib: Library, api: str) -> Any:
    return lib.F if api == "v2" else lib.v1.functional


def arguments(lib: Library, api: str, options: Options) -> dict[str, Any]:
    """An entry of the tables as arguments; names of interpolations become what the API takes."""
    given = dict(options) if isinstance(options, dict) else options(lib)
    if api == "v1" and "interpolation" in given:
        given["interpolation"] = lib.v1.InterpolationMode(given["interpolation"])
    return given


def tables() -> dict[str, dict[str, list[Options]]]:
    """By API and by name, the arguments of all cases."""
    second = {name: [*BOTH.get(name, []), *SECOND.get(name, [])] for name in {*BOTH, *SECOND}}
    return {"v1": BOTH, "v2": dict(sorted(second.items()))}


def kernels(names: list[str]) -> dict[str, tuple[str, str]]:
    """Of names in the second API, the kernels: the function each serves, and what it is given."""
    found = {}
    for name in names:
        for kind in _KERNELS:
            stem = name.removesuffix(f"_{kind}")
            if stem != name and stem in tables()["v2"]:
                found[name] = stem, kind
    return found


def _run(lib: Library, api: str, name: str, options: Options, of: Any) -> Any:
    lib.torch.manual_seed(3)
    return getattr(functional(lib, api), name)(of(lib), **arguments(lib, api, options))


def _run_kernel(lib: Library, name: str, kind: str, options: Options) -> Any:
    given, known = _KERNELS[kind](lib)
    kernel = getattr(lib.F, name)
    both = {**arguments(lib, "v2", options), **known}
    accepted = inspect.signature(kernel).parameters
    lib.torch.manual_seed(3)
    return kernel(given, **{key: value for key, value in both.items() if key in accepted})


def cases(names: list[str]) -> Iterator[Case]:
    """Cases of all functions, and of the kernels among the names of the second API."""
    for api, table in tables().items():
        for name, entries in table.items():
            for k, options in enumerate(entries):
                for kind, of in _GIVEN.get(name, _IMAGES).items():
                    yield Case(
                        f"F{api}.{name}.{k}.{kind}",
                        lambda lib, a=api, n=name, o=options, f=of: _run(lib, a, n, o, f),
                    )
    for name, (stem, kind) in sorted(kernels(names).items()):
        for k, options in enumerate(tables()["v2"][stem]):
            yield Case(
                f"kernel.{name}.{k}",
                lambda lib, n=name, s=kind, o=options: _run_kernel(lib, n, s, o),
            )


if __name__ == "__main__":
    import torchvision.transforms.v2.functional as F

    answers.record(list(cases(sorted(vars(F)))), EXPECTED)
