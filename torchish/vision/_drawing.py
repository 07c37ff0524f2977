"""Boxes, masks and points drawn on images, with Pillow where lines and letters are concerned."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._basics import dtypes
from ._scaling import scaled
from ._tensors import Tensor, array_of, tensor_of
from .transforms._convert import to_pil_image

Color = tuple[int, int, int]


def _check_image(image: Any, what: str, channels: tuple[int, ...], refusal: str) -> None:
    if not isinstance(image, Tensor):
        raise TypeError(what.format(type(image)))
    if not (image.dtype is dtypes.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3:
        raise ValueError("Pass individual images, not batches")
    if image.size(0) not in channels:
        raise ValueError(refusal)


_IMAGE = "The image must be a tensor, got {}"
_RGB_ONLY = "Pass an RGB image. Other Image formats are not supported"


def _palette(count: int) -> list[Color]:
    """Colours that differ from their neighbours in the list."""
    steps = (2**25 - 1, 2**15 - 1, 2**21 - 1)
    return [tuple(i * step % 255 for step in steps) for i in range(count)]  # type: ignore[misc]


def parse_colors(colors: Any, count: int) -> list[Any]:
    """One colour for each of `count` things, as bytes.

    Raises: ValueError for too few colours and for anything but names, triplets and lists of these.
    """
    from PIL import ImageColor

    if colors is None:
        return list(_palette(count))
    if isinstance(colors, list):
        if len(colors) < count:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, but got "
                f"{len(colors)} < {count}."
            )
    elif not isinstance(colors, (tuple, str)):
        raise ValueError(
            f"colors must be a tuple or a string, or a list thereof, but got {colors}."
        )
    elif isinstance(colors, tuple) and len(colors) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colors}.")
    else:
        colors = [colors] * count
    return [ImageColor.getrgb(c) if isinstance(c, str) else c for c in colors]


def _canvas(image: Tensor) -> Any:
    """A picture to draw on: bytes of the image."""
    return to_pil_image(tensor_of(scaled(array_of(image), np.dtype(np.uint8))))


def _as_image(picture: Any, image: Tensor) -> Tensor:
    pixels = np.array(picture).transpose(2, 0, 1)
    return tensor_of(scaled(pixels, np.dtype(image.dtype.np)), like=image)


# -- boxes -----------------------------------------------------------------------------------------


def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str] | None = None,
    colors: Any = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Any = None,
    label_background_colors: Any = None,
    fill_labels: bool = False,
) -> Tensor:
    """Draw boxes and their labels on an image.

    Args:
        image: (C, H, W) of bytes, or of floats in [0, 1]; gray or RGB.
        boxes: (N, 4) as xmin, ymin, xmax, ymax, or (N, 8) as four corners, the first side dashed.
        colors: a name or RGB triplet, or one for each box.
        fill: cover the boxes with their colour, thinly.
        width: of the lines, in pixels.
        font, font_size: a TrueType file and its size in points.
        label_colors, label_background_colors: as colors; fill_labels draws the background.
    Shape: (3, H, W), of the image's dtype.
    Raises: TypeError and ValueError for other images, boxes, and numbers of labels or colours.
    """
    from PIL import ImageDraw, ImageFont

    refusal = "Only grayscale and RGB images are supported"
    _check_image(image, "Tensor expected, got {}", (1, 3), refusal)
    corners = array_of(boxes)
    if corners.shape[-1] == 4 and (corners[:, :2] > corners[:, 2:]).any():
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. "
            "Use torchvision.ops.box_convert to convert them"
        )
    count = len(corners)
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. "
            "Please specify labels for each box."
        )
    lines = parse_colors(colors, count)
    letters = papers = lines
    if label_colors or fill_labels:
        letters = parse_colors(label_colors or "black", count)
    if fill_labels and label_background_colors:
        papers = parse_colors(label_background_colors, count)
    if font is not None:
        typeface: Any = ImageFont.truetype(font=font, size=font_size or 10)
    else:
        if font_size is not None:
            warnings.warn(
                "Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=2
            )
        typeface = ImageFont.load_default()

    picture = _canvas(image).convert("RGB")
    draw = ImageDraw.Draw(picture, "RGBA" if fill else None)
    for k, box in enumerate(corners.astype(np.int64).tolist()):
        inside = (*lines[k], 100) if fill else None
        if len(box) > 4:
            _draw_turned(draw, box, lines[k], inside, width)
        else:
            draw.rectangle(box, width=width, outline=lines[k], fill=inside)
        if labels is not None and labels[k] is not None:
            at = (box[0] + width + 1, box[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = draw.textbbox(at, labels[k], font=typeface)
                draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=papers[k])
            draw.text(at, labels[k], fill=letters[k], font=typeface)
    return _as_image(picture, image)


def _draw_turned(draw: Any, box: Sequence[int], line: Any, inside: Any, width: int) -> None:
    """Four sides, the first of them dashed: it shows which way is up."""
    corners = [(box[k], box[k + 1]) for k in range(0, len(box), 2)]
    for dash in _dashes(corners[0], corners[1]):
        draw.line(dash, width=width, fill=line)
    for start, end in zip(corners[1:], [*corners[2:], corners[0]], strict=True):
        draw.line((start, end), width=width, fill=line)
    draw.polygon(corners, fill=inside, outline=None, width=0)


def _dashes(
    start: tuple[float, float], end: tuple[float, float], length: float = 5
) -> Iterator[list[tuple[float, float]]]:
    """Pieces of a line, `length` pixels drawn and as many left out."""
    x, y = start
    left = math.hypot(end[0] - x, end[1] - y)
    drawn = True
    while left > 0:
        step = min(left, length)
        angle = math.atan2(end[1] - y, end[0] - x)
        there = (x + math.cos(angle) * step, y + math.sin(angle) * step)
        if drawn:
            yield [(x, y), there]
        (x, y), left, drawn = there, left - step, not drawn


# -- masks -----------------------------------------------------------------------------------------


def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Any = None
) -> Tensor:
    """Cover the masked parts of an image with colours; where masks overlap, with black.

    Args:
        image: (3, H, W) of bytes, or of floats in [0, 1].
        masks: (N, H, W) or (H, W) of bools.
        alpha: 0 shows the image alone, 1 the colours alone.
        colors: a name or RGB triplet, or one for each mask.
    Raises: TypeError and ValueError for other images and masks.
    """
    _check_image(image, _IMAGE, (3,), _RGB_ONLY)
    if masks.ndim not in (2, 3):
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype is not dtypes.bool_:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    layers = array_of(masks)
    layers = layers[None] if layers.ndim == 2 else layers
    if len(layers) == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    pixels = array_of(image)
    is_float = image.is_floating_point()
    painted = pixels.copy()
    for layer, color in zip(layers, parse_colors(colors, len(layers)), strict=False):
        values = np.array([v / 255 for v in color] if is_float else color)
        painted[:, layer] = values.astype(pixels.dtype)[:, None]
    painted[:, layers.sum(0) > 1] = 0
    number = pixels.dtype.type if is_float else np.float32
    mixed = pixels * number(1 - alpha) + painted * number(alpha)
    return tensor_of(mixed.astype(pixels.dtype), like=image)


# -- points ----------------------------------------------------------------------------------------


def draw_keypoints(
    image: Tensor,
    keypoints: Tensor,
    connectivity: list[tuple[int, int]] | None = None,
    colors: Any = None,
    radius: int = 2,
    width: int = 3,
    visibility: Tensor | None = None,
) -> Tensor:
    """Draw points, and lines between some of them.

    Args:
        image: (3, H, W) of bytes, or of floats in [0, 1].
        keypoints: (N, K, 2) as x, y: K points of each of N things.
        connectivity: pairs of points to join.
        colors: a name or an RGB triplet.
        radius, width: of points and lines, in pixels.
        visibility: (N, K) or (N, K, 1) of bools: which points to draw.
    Raises: TypeError and ValueError for other images and points.
    """
    from PIL import ImageDraw

    _check_image(image, _IMAGE, (3,), _RGB_ONLY)
    if keypoints.ndim != 3:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    places = array_of(keypoints).astype(np.int64)
    seen: np.ndarray = np.ones(places.shape[:2], bool)
    if visibility is not None:
        seen = array_of(visibility)
        if seen.ndim == 3:
            seen = seen[..., 0] if seen.shape[-1] == 1 else seen
        if seen.ndim != 2:
            raise ValueError(
                f"visibility must be of shape (num_instances, K). Got ndim={seen.ndim}"
            )
        if seen.shape != places.shape[:2]:
            raise ValueError(
                "keypoints and visibility must have the same dimensionality for num_instances and "
                f"K. Got visibility.shape={visibility.shape} and keypoints.shape={keypoints.shape}"
            )
    picture = _canvas(image)
    draw = ImageDraw.Draw(picture)
    for points, shown in zip(places.tolist(), seen.astype(bool).tolist(), strict=True):
        for (x, y), visible in zip(points, shown, strict=True):
            if visible:
                around = [x - radius, y - radius, x + radius, y + radius]
                draw.ellipse(around, fill=colors, outline=None, width=0)
        for start, end in connectivity or ():
            if shown[start] and shown[end]:
                draw.line((tuple(points[start]), tuple(points[end])), width=width)
    return _as_image(picture, image)
