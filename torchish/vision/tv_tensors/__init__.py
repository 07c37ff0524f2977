"""torchvision.tv_tensors: tensors that know whether they are images, boxes, masks or points."""

from __future__ import annotations

from typing import Any

from ._base import TVTensor as TVTensor
from ._kinds import (
    BoundingBoxes as BoundingBoxes,
    BoundingBoxFormat as BoundingBoxFormat,
    Image as Image,
    KeyPoints as KeyPoints,
    Mask as Mask,
    Video as Video,
    is_rotated_bounding_format as is_rotated_bounding_format,
)
from ._return_type import set_return_type as set_return_type


def wrap(wrappee: Any, *, like: Any, **kwargs: Any) -> Any:
    """A tensor as the TVTensor class of `like`, with the facts it carries (format, canvas_size …).

    Args:
        wrappee: a tensor.
        like: a TVTensor.
        kwargs: facts that replace those of `like`.
    """
    method = getattr(type(like), "wrap", None)
    if method is not None:
        return method(wrappee, like, **kwargs)
    return wrappee.as_subclass(type(like))
