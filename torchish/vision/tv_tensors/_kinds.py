"""The kinds of tensors that transforms tell apart."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ..._tensor.tensor import Tensor
from ..transforms._convert import is_pil_image, pil_to_tensor
from ._base import TVTensor


class Image(TVTensor):
    """Images (..., C, H, W), or one (H, W), which becomes (1, H, W).

    Args:
        data: a PIL image, or anything that `torch.as_tensor` takes.
        dtype, device, requires_grad: as in `torch.as_tensor`; taken from `data` if omitted.
    Raises: ValueError for fewer than two dimensions.
    """

    __module__ = "torchish.vision.tv_tensors"

    def __new__(
        cls,
        data: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        if is_pil_image(data):
            data = pil_to_tensor(data)
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        if tensor.ndim < 2:
            raise ValueError(f"Tensor must be 2D or higher, got {tensor.ndim}D tensor.")
        if tensor.ndim == 2:
            tensor = tensor.unsqueeze(0)
        return tensor.as_subclass(cls)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._make_repr()


class Video(TVTensor):
    """Videos (..., T, C, H, W).

    Raises: ValueError for fewer than four dimensions.
    """

    __module__ = "torchish.vision.tv_tensors"

    def __new__(
        cls,
        data: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        if tensor.ndim < 4:
            raise ValueError
        return tensor.as_subclass(cls)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._make_repr()


class Mask(TVTensor):
    """Masks of segmentation or detection (..., H, W)."""

    __module__ = "torchish.vision.tv_tensors"

    def __new__(
        cls,
        data: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        if is_pil_image(data):
            data = pil_to_tensor(data)
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        return tensor.as_subclass(cls)


class BoundingBoxFormat(Enum):
    """What the numbers of a box are.

    Corners x, y; centres cx, cy; width w and height h; r a rotation in degrees. XYXYXYXY lists the
    four corners from the top left, clockwise.
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


_ROTATED = ("XYWHR", "CXCYWHR", "XYXYXYXY")


def is_rotated_bounding_format(format: BoundingBoxFormat | str) -> bool:
    """Whether boxes of this format may be turned.

    Raises: ValueError for anything but a format or its name.
    """
    if isinstance(format, BoundingBoxFormat):
        return format.value in _ROTATED
    if isinstance(format, str):
        return format in _ROTATED
    raise ValueError(f"format should be str or BoundingBoxFormat, got {type(format)}")


class BoundingBoxes(TVTensor):
    """Boxes (N, 4), or turned ones (N, 5) or (N, 8); a single one becomes (1, K).

    Args:
        format: a BoundingBoxFormat or its name.
        canvas_size: height and width of the image, in pixels.
        clamping_mode: what transforms do with boxes that stick out: "soft" (turned boxes keep
            their angle and may reach past the edge), "hard" or None for nothing.
    Raises: ValueError for other ranks, modes, and turned boxes of integers.
    """

    __module__ = "torchish.vision.tv_tensors"

    format: BoundingBoxFormat
    canvas_size: tuple[int, int]
    clamping_mode: str | None

    @classmethod
    def _wrap(
        cls,
        tensor: Tensor,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: tuple[int, int],
        clamping_mode: str | None = "soft",
        check_dims: bool = True,
    ) -> Any:
        if check_dims:
            if tensor.ndim == 1:
                tensor = tensor.unsqueeze(0)
            elif tensor.ndim != 2:
                raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        if clamping_mode is not None and clamping_mode not in ("hard", "soft"):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {clamping_mode}.")
        if isinstance(format, str):
            format = BoundingBoxFormat[format.upper()]
        boxes = tensor.as_subclass(cls)
        boxes.format = format
        boxes.canvas_size = canvas_size
        boxes.clamping_mode = clamping_mode
        return boxes

    @classmethod
    def wrap(cls, tensor: Tensor, like: Any, **kwargs: Any) -> Any:
        """`tensor` as boxes; format, canvas_size and clamping_mode are those of `like` or given."""
        return cls._wrap(tensor, **{**_facts(like), **kwargs})

    @classmethod
    def _like(cls, tensor: Tensor, like: Any) -> Any:
        return BoundingBoxes._wrap(tensor, **_facts(like), check_dims=False)

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: tuple[int, int],
        clamping_mode: str | None = "soft",
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        if not tensor.is_floating_point() and is_rotated_bounding_format(format):
            raise ValueError(
                f"Rotated bounding boxes should be floating point tensors, got {tensor.dtype}."
            )
        return cls._wrap(
            tensor, format=format, canvas_size=canvas_size, clamping_mode=clamping_mode
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._make_repr(**_facts(self))


def _facts(boxes: Any) -> dict[str, Any]:
    return {name: getattr(boxes, name) for name in ("format", "canvas_size", "clamping_mode")}


class KeyPoints(TVTensor):
    """Points (..., 2) as x and y; a single one becomes (1, 2).

    Args:
        canvas_size: height and width of the image, in pixels.
    Raises: ValueError if the last dimension is not 2.
    """

    __module__ = "torchish.vision.tv_tensors"

    canvas_size: tuple[int, int]

    @classmethod
    def _wrap(cls, tensor: Tensor, *, canvas_size: tuple[int, int], check_dims: bool = True) -> Any:
        if check_dims:
            if tensor.ndim == 1:
                tensor = tensor.unsqueeze(0)
            elif tensor.shape[-1] != 2:
                raise ValueError(f"Expected a tensor of shape (..., 2), not {tensor.shape}")
        points = tensor.as_subclass(cls)
        points.canvas_size = canvas_size
        return points

    @classmethod
    def wrap(cls, tensor: Tensor, like: Any, **kwargs: Any) -> Any:
        """`tensor` as points; canvas_size is that of `like` or given."""
        return cls._wrap(tensor, canvas_size=kwargs.get("canvas_size", like.canvas_size))

    @classmethod
    def _like(cls, tensor: Tensor, like: Any) -> Any:
        return KeyPoints._wrap(tensor, canvas_size=like.canvas_size, check_dims=False)

    def __new__(
        cls,
        data: Any,
        *,
        canvas_size: tuple[int, int],
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        tensor = cls._to_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
        return cls._wrap(tensor, canvas_size=canvas_size)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._make_repr(canvas_size=self.canvas_size)
