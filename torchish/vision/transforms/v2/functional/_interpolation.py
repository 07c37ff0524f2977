"""Names of filters, and what sizes they lead to."""

from __future__ import annotations

from typing import Any

from ..._modes import InterpolationMode, interpolation_mode
from ..._resample import size_by_edge

_BY_NAME = {mode.value: mode for mode in InterpolationMode}


def check_interpolation(interpolation: Any) -> InterpolationMode:
    """A mode from itself, from its name or from PIL's number.

    Raises: ValueError for anything else.
    """
    if isinstance(interpolation, str):
        if interpolation not in _BY_NAME:
            raise ValueError(
                f"Invalid interpolation mode: '{interpolation}'. "
                f"Supported string values are: {list(_BY_NAME)}."
            )
        return _BY_NAME[interpolation]
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if not isinstance(interpolation, int):
        raise ValueError(
            "Argument interpolation should be an `InterpolationMode` or a corresponding Pillow "
            f"integer constant, but got {interpolation}."
        )
    return interpolation_mode(interpolation)


def output_size(canvas_size: Any, size: Any, max_size: int | None) -> tuple[int, int]:
    """Height and width after resizing.

    Args:
        size: (h, w), one number for the shorter edge, or None to bring the longer one to max_size.
    Raises: ValueError for a max_size that does not go with `size`.
    """
    if isinstance(size, int):
        size = [size]
    elif max_size is not None and size is not None and len(size) != 1:
        raise ValueError(
            "max_size should only be passed if size is None or specifies the length of the "
            "smaller edge, i.e. size should be an int or a sequence of length 1 in torchscript "
            "mode."
        )
    height, width = canvas_size
    if size is not None:
        if len(size) != 1:
            return size[0], size[1]
        return size_by_edge(height, width, size, max_size)
    if not isinstance(max_size, int):
        raise ValueError(
            f"max_size must be an integer when size is None, but got {max_size} instead."
        )
    shorter = int(max_size * min(height, width) / max(height, width))
    return (max_size, shorter) if width <= height else (shorter, max_size)
