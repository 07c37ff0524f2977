"""Calls of the second API that torchish and torchvision must answer alike (see answers.py).

`python -m tests.vision.v2_cases` records torchvision's results in `v2_expected.npz`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.vision import answers
from tests.vision.answers import Case, Library

EXPECTED = Path(__file__).with_name("v2_expected.npz")
HEIGHT, WIDTH = 11, 14
CANVAS = (HEIGHT, WIDTH)


# -- inputs ----------------------------------------------------------------------------------------


def bytes_(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 200, int(np.prod(shape))).reshape(shape)
    return (ramp + rng.integers(0, 56, shape)).astype(np.uint8)


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(2).random(shape).astype(dtype)


def photo(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(bytes_(HEIGHT, WIDTH, 3)).convert(mode)


BOXES = {
    "XYXY": [[2, 1, 9, 6], [0, 0, 3, 4], [5, 3, 13, 10]],
    "XYWH": [[2, 1, 7, 5], [0, 0, 3, 4], [5, 3, 8, 7]],
    "CXCYWH": [[6, 4, 7, 5], [2, 3, 3, 4], [9, 6, 8, 7]],
    "XYWHR": [[4.0, 4.0, 5.0, 3.0, 20.0], [1.0, 2.0, 4.0, 2.0, -35.0], [9.0, 8.0, 6.0, 4.0, 60.0]],
    "CXCYWHR": [
        [6.0, 5.0, 5.0, 3.0, 20.0],
        [2.0, 2.0, 4.0, 2.0, -35.0],
        [10.0, 6.0, 6.0, 4.0, 60.0],
    ],
    "XYXYXYXY": [
        [2.0, 2.0, 7.0, 1.0, 7.8, 5.0, 2.8, 6.0],
        [5.0, 4.0, 10.0, 5.0, 9.2, 9.0, 4.2, 8.0],
        [-1.0, 3.0, 3.0, 1.0, 5.0, 5.0, 1.0, 7.0],
    ],
}


def boxes(lib: Library, format: str, dtype: Any = np.float32, mode: str | None = "soft") -> Any:
    array = np.array(BOXES[format], dtype)
    return lib.tv.BoundingBoxes(
        lib.tensor(array), format=format, canvas_size=CANVAS, clamping_mode=mode
    )


def points(lib: Library, dtype: Any = np.float32) -> Any:
    array = np.array([[[1, 2], [9, 3]], [[13, 10], [4, 7]]], dtype)
    return lib.tv.KeyPoints(lib.tensor(array), canvas_size=CANVAS)


def mask(lib: Library) -> Any:
    return lib.tv.Mask(lib.tensor((bytes_(2, HEIGHT, WIDTH) > 90).astype(np.uint8)))


def inputs() -> dict[str, Callable[[Library], Any]]:
    """One input of every kind."""
    made: dict[str, Callable[[Library], Any]] = {
        "bytes": lambda lib: lib.tensor(bytes_(3, HEIGHT, WIDTH)),
        "floats": lambda lib: lib.tensor(floats(3, HEIGHT, WIDTH)),
        "gray": lambda lib: lib.tv.Image(lib.tensor(bytes_(1, HEIGHT, WIDTH))),
        "video": lambda lib: lib.tv.Video(lib.tensor(bytes_(2, 3, HEIGHT, WIDTH))),
        "pil": lambda lib: photo(),
        "mask": mask,
        "points": points,
        "int_points": lambda lib: points(lib, np.int64),
    }
    for format in BOXES:
        made[format] = lambda lib, format=format: boxes(lib, format)
    made["int_boxes"] = lambda lib: boxes(lib, "CXCYWH", np.int64)
    made["hard"] = lambda lib: boxes(lib, "XYWHR", mode="hard")
    return made


# -- functions -------------------------------------------------------------------------------------

GEOMETRY: list[tuple[str, str, dict[str, Any]]] = [
    ("hflip", "horizontal_flip", {}),
    ("vflip", "vertical_flip", {}),
    ("resize", "resize", {"size": [7, 9]}),
    ("resize_up", "resize", {"size": [19, 30], "antialias": False}),
    ("resize_bicubic", "resize", {"size": [6, 21], "interpolation": "bicubic"}),
    ("resize_lanczos", "resize", {"size": [6, 21], "interpolation": "lanczos"}),
    ("resize_nearest", "resize", {"size": [6, 21], "interpolation": "nearest-exact"}),
    ("resize_short", "resize", {"size": [9], "max_size": 11}),
    ("resize_long", "resize", {"size": None, "max_size": 20}),
    (
        "affine",
        "affine",
        {"angle": 25.0, "translate": [2, -1], "scale": 1.2, "shear": [8.0, 3.0], "fill": 0.5},
    ),
    (
        "affine_linear",
        "affine",
        {
            "angle": -70.0,
            "translate": [1, 2],
            "scale": 0.7,
            "shear": [0.0, 0.0],
            "center": [3, 4],
            "interpolation": "bilinear",
            "fill": [40.0],
        },
    ),
    ("rotate", "rotate", {"angle": 33.0}),
    ("rotate_expand", "rotate", {"angle": 33.0, "expand": True, "interpolation": "bilinear"}),
    ("rotate_quarter", "rotate", {"angle": 90, "expand": True}),
    ("rotate_center", "rotate", {"angle": -120.0, "center": [2, 9], "fill": 7}),
    ("pad", "pad", {"padding": [1, 2, 3, 4], "fill": 9}),
    ("pad_zero", "pad", {"padding": [2]}),
    ("crop", "crop", {"top": 2, "left": 3, "height": 6, "width": 7}),
    ("crop_outside", "crop", {"top": -2, "left": 5, "height": 8, "width": 12}),
    ("center_crop", "center_crop", {"output_size": [6, 8]}),
    ("center_crop_large", "center_crop", {"output_size": [20, 9]}),
    (
        "resized_crop",
        "resized_crop",
        {"top": 1, "left": 2, "height": 8, "width": 9, "size": [6, 12]},
    ),
    (
        "perspective",
        "perspective",
        {
            "startpoints": [[0, 0], [13, 0], [13, 10], [0, 10]],
            "endpoints": [[1, 1], [11, 2], [12, 9], [2, 10]],
        },
    ),
]
COLOR: list[tuple[str, str, dict[str, Any]]] = [
    ("brightness", "adjust_brightness", {"brightness_factor": 1.3}),
    ("contrast", "adjust_contrast", {"contrast_factor": 0.6}),
    ("saturation", "adjust_saturation", {"saturation_factor": 1.7}),
    ("sharpness", "adjust_sharpness", {"sharpness_factor": 2.5}),
    ("hue", "adjust_hue", {"hue_factor": 0.21}),
    ("gamma", "adjust_gamma", {"gamma": 1.4, "gain": 0.9}),
    ("posterize", "posterize", {"bits": 3}),
    ("solarize", "solarize", {"threshold": 0.4}),
    ("autocontrast", "autocontrast", {}),
    ("equalize", "equalize", {}),
    ("invert", "invert", {}),
    ("grayscale", "rgb_to_grayscale", {"num_output_channels": 3}),
    ("to_rgb", "grayscale_to_rgb", {}),
    ("blur", "gaussian_blur", {"kernel_size": [3, 5], "sigma": [0.8, 1.5]}),
    ("five_crop", "five_crop", {"size": [5, 6]}),
    ("ten_crop", "ten_crop", {"size": [5, 6], "vertical_flip": True}),
]
IMAGES = ("bytes", "floats", "gray", "video", "pil")


def displacement(lib: Library) -> Any:
    return lib.tensor((floats(1, HEIGHT, WIDTH, 2) - 0.5) * np.float32(0.4))


def function_cases() -> Iterator[Case]:
    made = inputs()
    for (kind, build), (label, name, arguments) in itertools.product(made.items(), GEOMETRY):
        yield Case(
            f"F.{label}.{kind}",
            lambda lib, b=build, n=name, a=arguments: getattr(lib.F, n)(b(lib), **a),
        )
    for kind, (label, name, arguments) in itertools.product(IMAGES, COLOR):
        yield Case(
            f"F.{label}.{kind}",
            lambda lib, b=made[kind], n=name, a=arguments: getattr(lib.F, n)(b(lib), **a),
        )
    for kind, build in made.items():
        yield Case(
            f"F.elastic.{kind}", lambda lib, b=build: lib.F.elastic(b(lib), displacement(lib))
        )
    wide = {"float64": floats(2, 3, HEIGHT, WIDTH, dtype=np.float64)}
    wide["int16"] = (floats(3, HEIGHT, WIDTH) * 32000).astype(np.int16)
    for dtype, (label, name, arguments) in itertools.product(wide, [*COLOR[:11], *GEOMETRY[2:8]]):
        if dtype == "int16" and label in ("solarize", "hue"):
            continue
        yield Case(
            f"F.{label}.{dtype}",
            lambda lib, d=dtype, n=name, a=arguments: getattr(lib.F, n)(lib.tensor(wide[d]), **a),
        )
    for old, new in itertools.permutations(BOXES, 2):
        if (len(BOXES[old][0]) == 4) == (len(BOXES[new][0]) == 4):
            for dtype in (np.float32, np.int64) if len(BOXES[old][0]) == 4 else (np.float32,):
                yield Case(
                    f"F.convert.{old}.{new}.{np.dtype(dtype).name}",
                    lambda lib, o=old, n=new, d=dtype: lib.F.convert_bounding_box_format(
                        boxes(lib, o, d), new_format=n
                    ),
                )
    outside = {
        format: np.array(rows, np.float32) * 1.6 - 4.0 * (np.arange(len(rows[0])) % 9 < 2)
        for format, rows in BOXES.items()
    }
    for format, mode in itertools.product(BOXES, ("soft", "hard", None)):
        yield Case(
            f"F.clamp.{format}.{mode}",
            lambda lib, f=format, m=mode: lib.F.clamp_bounding_boxes(
                lib.tv.BoundingBoxes(lib.tensor(outside[f]), format=f, canvas_size=CANVAS),
                clamping_mode=m,
            ),
        )
        yield Case(
            f"F.sanitize.{format}.{mode}",
            lambda lib, f=format: lib.F.sanitize_bounding_boxes(
                lib.tensor(outside[f]), format=f, canvas_size=CANVAS, min_size=3
            ),
        )
    yield Case("F.clamp_keypoints", lambda lib: lib.F.clamp_keypoints(points(lib) * 2.0, CANVAS))
    yield Case("F.sanitize_keypoints", lambda lib: lib.F.sanitize_keypoints(points(lib)))
    yield Case("F.subsample", lambda lib: lib.F.uniform_temporal_subsample(
        lib.tv.Video(lib.tensor(bytes_(7, 1, 2, 3))), 4))  # fmt: skip
    kinds = ("uint8", "int32", "int64", "float32", "float64")
    for old, new in itertools.product(kinds, kinds):
        if (old, new) in (("float32", "int32"), ("float32", "int64"), ("float64", "int64")):
            continue
        array = floats(3, 4, 5, dtype=np.float64)
        array = (array * np.iinfo(old).max).astype(old) if "int" in old else array.astype(old)
        yield Case(
            f"F.to_dtype.{old}.{new}",
            lambda lib, a=array, n=new: lib.F.to_dtype(
                lib.tensor(a), getattr(lib.torch, n), scale=True
            ),
        )
    yield Case("F.normalize", lambda lib: lib.F.normalize(
        lib.tensor(floats(2, 3, 4, 5)), [0.1, 0.2, 0.3], [0.5, 0.4, 0.3]))  # fmt: skip
    yield Case("F.permute", lambda lib: lib.F.permute_channels(
        lib.tensor(bytes_(2, 3, 4, 5)), [2, 0, 1]))  # fmt: skip
    yield Case("F.pad_colors", lambda lib: lib.F.pad(
        lib.tensor(bytes_(3, 4, 5)), [1, 2], fill=[1, 2, 3]))  # fmt: skip
    for mode in ("edge", "reflect", "symmetric"):
        yield Case(f"F.pad_{mode}", lambda lib, m=mode: lib.F.pad(
            lib.tensor(bytes_(3, 6, 7)), [1, 2, 3, 4], padding_mode=m))  # fmt: skip
    yield Case("F.to_image", lambda lib: lib.F.to_image(bytes_(4, 5, 3)))
    for kind in IMAGES:
        yield Case(
            f"F.get_dimensions.{kind}", lambda lib, b=made[kind]: lib.F.get_dimensions(b(lib))
        )
    for kind, build in made.items():
        yield Case(f"F.get_size.{kind}", lambda lib, b=build: lib.F.get_size(b(lib)))


# -- transforms ------------------------------------------------------------------------------------


def sample(lib: Library) -> dict[str, Any]:
    """Everything at once."""
    return {
        "image": lib.tv.Image(lib.tensor(bytes_(3, HEIGHT, WIDTH))),
        "boxes": boxes(lib, "XYXY"),
        "mask": mask(lib),
        "points": points(lib),
        "labels": lib.tensor(np.array([4, 5, 6])),
        "name": "cat",
    }


def image_only(lib: Library) -> Any:
    return (lib.tv.Image(lib.tensor(bytes_(3, HEIGHT, WIDTH))), 3)


def pil(lib: Library) -> Any:
    return (photo(), 3)


def batch(lib: Library) -> Any:
    labels = lib.tensor(np.array([1, 0, 3, 2]))
    return lib.tensor(floats(4, 3, HEIGHT, WIDTH)), labels


ALL = (sample, pil)
ONE = (image_only, pil)
TRANSFORMS: list[tuple[str, Callable[[Library], Any], tuple[Any, ...]]] = [
    ("RandomHorizontalFlip", lambda lib: lib.v2.RandomHorizontalFlip(), ALL),
    ("RandomVerticalFlip", lambda lib: lib.v2.RandomVerticalFlip(), ALL),
    ("Resize", lambda lib: lib.v2.Resize(8), ALL),
    ("CenterCrop", lambda lib: lib.v2.CenterCrop(7), ALL),
    ("RandomResizedCrop", lambda lib: lib.v2.RandomResizedCrop((6, 7)), ALL),
    ("FiveCrop", lambda lib: lib.v2.FiveCrop(5), ONE),
    ("TenCrop", lambda lib: lib.v2.TenCrop(5), ONE),
    ("Pad", lambda lib: lib.v2.Pad([2, 3], fill={lib.tv.Mask: 1, "others": 7}), ALL),
    ("RandomZoomOut", lambda lib: lib.v2.RandomZoomOut(p=0.8), ALL),
    ("RandomRotation", lambda lib: lib.v2.RandomRotation(40), ALL),
    (
        "RandomAffine",
        lambda lib: lib.v2.RandomAffine(30, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3)),
        ALL,
    ),
    ("RandomCrop", lambda lib: lib.v2.RandomCrop((9, 18), padding=1, pad_if_needed=True), ALL),
    ("RandomPerspective", lambda lib: lib.v2.RandomPerspective(p=0.8), ALL),
    ("ElasticTransform", lambda lib: lib.v2.ElasticTransform(8.0, 1.0), ALL),
    ("RandomIoUCrop", lambda lib: lib.v2.RandomIoUCrop(), (sample,)),
    ("ScaleJitter", lambda lib: lib.v2.ScaleJitter((12, 12), (0.5, 1.5)), ALL),
    ("RandomShortestSize", lambda lib: lib.v2.RandomShortestSize([6, 8, 12], 14), ALL),
    ("RandomResize", lambda lib: lib.v2.RandomResize(6, 14), ALL),
    ("Grayscale", lambda lib: lib.v2.Grayscale(3), ALL),
    ("RandomGrayscale", lambda lib: lib.v2.RandomGrayscale(0.7), ALL),
    ("RGB", lambda lib: lib.v2.RGB(), ALL),
    ("ColorJitter", lambda lib: lib.v2.ColorJitter(0.4, 0.4, 0.4, 0.1), ALL),
    ("RandomChannelPermutation", lambda lib: lib.v2.RandomChannelPermutation(), ALL),
    ("RandomPhotometricDistort", lambda lib: lib.v2.RandomPhotometricDistort(), ALL),
    ("RandomEqualize", lambda lib: lib.v2.RandomEqualize(), ALL),
    ("RandomInvert", lambda lib: lib.v2.RandomInvert(), ALL),
    ("RandomPosterize", lambda lib: lib.v2.RandomPosterize(4), ALL),
    ("RandomSolarize", lambda lib: lib.v2.RandomSolarize(100), ALL),
    ("RandomAutocontrast", lambda lib: lib.v2.RandomAutocontrast(), ALL),
    ("RandomAdjustSharpness", lambda lib: lib.v2.RandomAdjustSharpness(1.8), ALL),
    ("GaussianBlur", lambda lib: lib.v2.GaussianBlur(5), ALL),
    ("GaussianNoise", lambda lib: lib.v2.GaussianNoise(0.05, 0.2), (image_only,)),
    ("RandomErasing", lambda lib: lib.v2.RandomErasing(0.9, value="random"), (image_only,)),
    ("ClampBoundingBoxes", lambda lib: lib.v2.ClampBoundingBoxes(), (sample,)),
    ("ClampKeyPoints", lambda lib: lib.v2.ClampKeyPoints(), (sample,)),
    ("ConvertBoundingBoxFormat", lambda lib: lib.v2.ConvertBoundingBoxFormat("CXCYWH"), (sample,)),
    ("SetClampingMode", lambda lib: lib.v2.SetClampingMode("hard"), (sample,)),
    ("SanitizeBoundingBoxes", lambda lib: lib.v2.SanitizeBoundingBoxes(4), (sample,)),
    ("SanitizeKeyPoints", lambda lib: lib.v2.SanitizeKeyPoints(), (sample,)),
    ("ToDtype", lambda lib: lib.v2.ToDtype(lib.torch.float32, scale=True), (sample,)),
    (
        "ToDtypeByType",
        lambda lib: lib.v2.ToDtype({lib.tv.Mask: lib.torch.int64, "others": None}),
        (sample,),
    ),
    ("ConvertImageDtype", lambda lib: lib.v2.ConvertImageDtype(), (sample,)),
    ("Identity", lambda lib: lib.v2.Identity(), ALL),
    ("Lambda", lambda lib: lib.v2.Lambda(lambda x: str(x) + "!", str), (sample,)),
    ("ToImage", lambda lib: lib.v2.ToImage(), ALL),
    ("ToPILImage", lambda lib: lib.v2.ToPILImage(), (image_only,)),
    ("PILToTensor", lambda lib: lib.v2.PILToTensor(), (pil,)),
    ("ToPureTensor", lambda lib: lib.v2.ToPureTensor(), (sample,)),
    ("AutoAugment", lambda lib: lib.v2.AutoAugment(), ONE),
    (
        "AutoAugmentSVHN",
        lambda lib: lib.v2.AutoAugment(lib.v2.AutoAugmentPolicy.SVHN, "bilinear", 30),
        ONE,
    ),
    ("AutoAugmentCIFAR", lambda lib: lib.v2.AutoAugment(lib.v2.AutoAugmentPolicy.CIFAR10), ONE),
    ("RandAugment", lambda lib: lib.v2.RandAugment(3), ONE),
    ("TrivialAugmentWide", lambda lib: lib.v2.TrivialAugmentWide(), ONE),
    ("AugMix", lambda lib: lib.v2.AugMix(), ONE),
    ("MixUp", lambda lib: lib.v2.MixUp(num_classes=5), (batch,)),
    ("CutMix", lambda lib: lib.v2.CutMix(num_classes=5), (batch,)),
    (
        "Compose",
        lambda lib: lib.v2.Compose([lib.v2.RandomHorizontalFlip(), lib.v2.RandomCrop(8)]),
        ALL,
    ),
    ("RandomApply", lambda lib: lib.v2.RandomApply([lib.v2.RandomCrop(8)], 0.6), ALL),
    (
        "RandomChoice",
        lambda lib: lib.v2.RandomChoice([lib.v2.CenterCrop(5), lib.v2.RandomCrop(8)], [1, 3]),
        ALL,
    ),
    (
        "RandomOrder",
        lambda lib: lib.v2.RandomOrder([lib.v2.Pad(2), lib.v2.CenterCrop(9), lib.v2.Resize(7)]),
        ALL,
    ),
    ("v1.AutoAugment", lambda lib: lib.v1.AutoAugment(), (0,)),
    ("v1.RandAugment", lambda lib: lib.v1.RandAugment(3), (0,)),
    ("v1.TrivialAugmentWide", lambda lib: lib.v1.TrivialAugmentWide(), (0,)),
    ("v1.AugMix", lambda lib: lib.v1.AugMix(), (0,)),
    ("v1.ElasticTransform", lambda lib: lib.v1.ElasticTransform(8.0, 1.0), (0,)),
]


def _first_api(lib: Library, make: Callable[[Library], Any], seed: int, kind: str) -> Any:
    transform = make(lib)
    lib.torch.manual_seed(seed)
    return transform(photo() if kind == "pil" else lib.tensor(bytes_(3, HEIGHT, WIDTH)))


def _transformed(lib: Library, make: Callable[[Library], Any], of: Any, seed: int) -> Any:
    transform = make(lib)
    given = of(lib)
    lib.torch.manual_seed(seed)
    return transform(*given) if isinstance(given, tuple) else transform(given)


def transform_cases() -> Iterator[Case]:
    for name, make, samples in TRANSFORMS:
        for seed, of in itertools.product((0, 1), samples):
            if of == 0:
                for kind in ("pil", "bytes"):
                    yield Case(
                        f"{name}.{kind}.{seed}",
                        lambda lib, m=make, s=seed, k=kind: _first_api(lib, m, s, k),
                    )
            else:
                yield Case(
                    f"v2.{name}.{of.__name__}.{seed}",
                    lambda lib, m=make, o=of, s=seed: _transformed(lib, m, o, s),
                )
        yield Case(f"repr.{name}", lambda lib, m=make: repr(m(lib)))


def drawing_cases() -> Iterator[Case]:
    """`torchvision.utils` on bytes and floats."""
    images = {"bytes": bytes_(3, 24, 30), "floats": floats(3, 24, 30)}
    corners = np.array([[2, 3, 14, 12], [8, 8, 28, 21], [0, 0, 5, 5]])
    turned = np.array([[10.0, 2, 25, 6, 22, 15, 7, 11]])
    shapes = np.zeros((3, 24, 30), bool)
    shapes[0, 2:9, 3:12] = shapes[1, 6:20, 8:22] = shapes[2, 15:, 20:] = True
    places = np.array([[[4, 5], [12, 9], [20, 18]], [[25, 3], [15, 15], [2, 20]]])
    seen = np.array([[1, 1, 0], [1, 1, 1]], bool)
    flow = (floats(2, 2, 9, 8) - 0.5) * np.float32(7)
    boxes_options: list[dict[str, Any]] = [
        {},
        {"colors": "red", "width": 2, "labels": ["a", None, "bc"]},
        {"colors": [(1, 2, 3), "blue", "#00ff00"], "fill": True},
        {"labels": ["x", "y", "z"], "fill_labels": True, "label_background_colors": "green"},
        {"labels": ["x", "y", "z"], "label_colors": "white"},
    ]
    for kind, image in images.items():
        for k, options in enumerate(boxes_options):
            yield Case(
                f"utils.boxes.{kind}.{k}",
                lambda lib, i=image, o=options: lib.utils.draw_bounding_boxes(
                    lib.tensor(i), lib.tensor(corners), **o
                ),
            )
        yield Case(
            f"utils.boxes.{kind}.turned",
            lambda lib, i=image: lib.utils.draw_bounding_boxes(
                lib.tensor(i), lib.tensor(turned), colors="red", width=2
            ),
        )
        for k, options in enumerate(({}, {"alpha": 0.3, "colors": ["red", "blue", "lime"]})):
            yield Case(
                f"utils.masks.{kind}.{k}",
                lambda lib, i=image, o=options: lib.utils.draw_segmentation_masks(
                    lib.tensor(i), lib.tensor(shapes), **o
                ),
            )
        for k, options in enumerate(({}, {"connectivity": [(0, 1), (1, 2)], "colors": "red"})):
            yield Case(
                f"utils.keypoints.{kind}.{k}",
                lambda lib, i=image, o=options: lib.utils.draw_keypoints(
                    lib.tensor(i), lib.tensor(places), visibility=lib.tensor(seen), **o
                ),
            )
        yield Case(
            f"utils.refused.{kind}",
            lambda lib, i=image: lib.utils.draw_bounding_boxes(
                lib.tensor(i), lib.tensor(corners[:, ::-1].copy())
            ),
        )
    yield Case("utils.flow.batch", lambda lib: lib.utils.flow_to_image(lib.tensor(flow)))
    yield Case("utils.flow.one", lambda lib: lib.utils.flow_to_image(lib.tensor(flow[0])))


PRESETS: list[tuple[str, dict[str, Any]]] = [
    ("ObjectDetection", {}),
    ("ImageClassification", {"crop_size": 9, "resize_size": 12}),
    ("SemanticSegmentation", {"resize_size": 8}),
    ("SemanticSegmentation", {"resize_size": None}),
    ("OpticalFlow", {}),
    ("VideoClassification", {"crop_size": (6, 7), "resize_size": (8, 9)}),
]


def preset_cases() -> Iterator[Case]:
    """What weights bring along as `transforms`."""
    for k, (name, options) in enumerate(PRESETS):

        def make(lib: Library, name: str = name, options: dict[str, Any] = options) -> Any:
            return getattr(lib.presets, name)(**options)

        yield Case(f"preset.{name}.{k}.repr", lambda lib, m=make: repr(m(lib)))
        if name == "VideoClassification":
            clip = bytes_(2, 3, HEIGHT, WIDTH)
            yield Case(f"preset.{name}.{k}", lambda lib, m=make, c=clip: m(lib)(lib.tensor(c)))
            continue
        for kind, build in (("pil", lambda lib: photo()), ("bytes", inputs()["bytes"])):
            twice = 2 if name == "OpticalFlow" else 1
            yield Case(
                f"preset.{name}.{k}.{kind}",
                lambda lib, m=make, b=build, t=twice: m(lib)(*[b(lib)] * t),
            )


def cases() -> list[Case]:
    return [*preset_cases(), *function_cases(), *transform_cases(), *drawing_cases()]


if __name__ == "__main__":
    answers.record(cases(), EXPECTED)
