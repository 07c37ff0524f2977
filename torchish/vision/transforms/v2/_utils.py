"""What transforms ask of samples, and how they read their arguments."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL.Image import Image as PILImage

from ... import tv_tensors
from .functional import get_dimensions, get_size, is_pure_tensor as is_pure_tensor

IMAGES = (is_pure_tensor, tv_tensors.Image, PILImage, tv_tensors.Video)
ON_CANVAS = (*IMAGES, tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints)

# -- samples ---------------------------------------------------------------------------------------


def check_type(obj: Any, types_or_checks: tuple[Any, ...]) -> bool:
    """Whether `obj` is of one of the types, or one of the checks holds."""
    return any(isinstance(obj, t) if isinstance(t, type) else t(obj) for t in types_or_checks)


def has_any(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Whether one of the inputs is of one of the types."""
    return any(check_type(inpt, types_or_checks) for inpt in flat_inputs)


def has_all(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Whether there is an input of each of the types."""
    return all(has_any(flat_inputs, t) for t in types_or_checks)


def _only(flat_inputs: list[Any], kind: type, name: str) -> Any:
    for inpt in flat_inputs:
        if isinstance(inpt, kind):
            return inpt
    raise ValueError(f"No {name} were found in the sample")


def get_bounding_boxes(flat_inputs: list[Any]) -> tv_tensors.BoundingBoxes:
    """The first BoundingBoxes of a sample.

    Raises: ValueError if there are none.
    """
    return _only(flat_inputs, tv_tensors.BoundingBoxes, "bounding boxes")


def get_keypoints(flat_inputs: list[Any]) -> tv_tensors.KeyPoints:
    """The first KeyPoints of a sample.

    Raises: ValueError if there are none.
    """
    return _only(flat_inputs, tv_tensors.KeyPoints, "keypoints")


def _common(found: set[tuple[int, ...]], shape: str, kinds: str) -> tuple[int, ...]:
    if not found:
        raise TypeError(f"No {kinds} was found in the sample")
    if len(found) > 1:
        listed = "', '".join(str(item) for item in sorted(found))
        raise ValueError(f"Found multiple {shape} dimensions in the sample: '{listed}'")
    return found.pop()


def query_chw(flat_inputs: list[Any]) -> tuple[int, int, int]:
    """Channels, height and width of the images of a sample.

    Raises: TypeError if there is none, ValueError if they differ.
    """
    found = {tuple(get_dimensions(i)) for i in flat_inputs if check_type(i, IMAGES)}
    return _common(found, "CxHxW", "image or video")  # type: ignore[return-value]


def query_size(flat_inputs: list[Any]) -> tuple[int, int]:
    """Height and width of a sample's images, masks, boxes and points.

    Raises: TypeError if there is none, ValueError if they differ.
    """
    found = {tuple(get_size(i)) for i in flat_inputs if check_type(i, ON_CANVAS)}
    kinds = "image, video, mask, bounding box of keypoint"
    return _common(found, "HxW", kinds)  # type: ignore[return-value]


# -- labels ----------------------------------------------------------------------------------------


def _guess_labels(inputs: Any) -> Any:
    """A tensor in second place, or what a dictionary has under a key like "labels"."""
    if isinstance(inputs, (tuple, list)):
        inputs = inputs[1]
    if is_pure_tensor(inputs):
        return inputs
    if not isinstance(inputs, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a "
            "dictionary or a two-tuple whose second item is a dictionary or a tensor, but got "
            f"{inputs} instead."
        )
    exact = [key for key in inputs if key.lower() == "labels"]
    close = [key for key in inputs if "label" in key.lower()]
    for key in (*exact, *close):
        return inputs[key]
    raise ValueError(
        "Could not infer where the labels are in the sample. Try passing a callable as the "
        "labels_getter parameter?If there are no labels in the sample by design, pass "
        "labels_getter=None."
    )


def labels_getter(value: Any) -> Callable[[Any], Any]:
    """A function from samples to labels, from "default", a function or None.

    Raises: ValueError for anything else.
    """
    if value == "default":
        return _guess_labels
    if callable(value):
        return value
    if value is None:
        return lambda _: None
    raise ValueError(
        f"labels_getter should either be 'default', a callable, or None, but got {value}."
    )


# -- arguments -------------------------------------------------------------------------------------


def check_sequence(value: Any, name: str, lengths: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError unless `value` is a sequence of one of the lengths."""
    wanted = " or ".join(str(n) for n in lengths)
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a sequence of length {wanted}.")
    if len(value) not in lengths:
        raise ValueError(f"{name} should be a sequence of length {wanted}.")


def two_numbers(value: Any, name: str) -> list[float]:
    """A number twice, or one or two of them from a sequence."""
    if not isinstance(value, (int, float, Sequence)):
        raise TypeError(f"{name} should be a number or a sequence of numbers. Got {type(value)}")
    if isinstance(value, (int, float)):
        return [float(value)] * 2
    if len(value) not in (1, 2):
        raise ValueError(f"If {name} is a sequence its length should be 1 or 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, (int, float)):
            raise ValueError(f"{name} should be a sequence of numbers. Got {type(element)}")
    return [float(value[0]), float(value[-1])]


def _check_fill(fill: Any) -> None:
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError(
            "Got inappropriate fill arg, only Numbers, tuples, lists and dicts are allowed."
        )


def _plain_fill(fill: Any) -> Any:
    _check_fill(fill)
    if fill is None or isinstance(fill, (int, float)):
        return fill
    return [float(v) for v in fill]


def fills(fill: Any) -> dict[Any, Any]:
    """Fills by type of input, from a dictionary or from one fill for all.

    Raises: TypeError for anything but numbers, sequences and dictionaries.
    """
    if isinstance(fill, dict):
        return {kind: _plain_fill(value) for kind, value in fill.items()}
    return {"others": _plain_fill(fill)}


def fill_for(by_type: dict[Any, Any], kind: type) -> Any:
    """The fill for inputs of one type."""
    return by_type.get(kind, by_type.get("others"))


def check_padding(padding: Any) -> None:
    """Raise ValueError unless it is one integer, or one, two or four of them."""
    ok = isinstance(padding, int)
    if isinstance(padding, (tuple, list)):
        ok = len(padding) in (1, 2, 4) and all(isinstance(p, int) for p in padding)
    if not ok:
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element of tuple or list, got {padding}."
        )


def check_padding_mode(mode: Any) -> None:
    """Raise ValueError for unknown modes."""
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
