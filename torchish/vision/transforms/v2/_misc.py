"""Normalisation, dtypes, formats, noise, and what to do with boxes and points that are no good."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from PIL.Image import Image as PILImage

from ...._basics import dtypes
from ...._tensor.tensor import Tensor
from ....utils._pytree import tree_flatten, tree_unflatten
from ... import transforms as first_api, tv_tensors
from ..._tensors import array_of, tensor_of, uniform
from . import functional as F
from ._geometry import setup_size
from ._transform import Transform
from ._utils import (
    get_bounding_boxes,
    get_keypoints,
    has_any,
    is_pure_tensor,
    labels_getter as parse_labels_getter,
    two_numbers,
)
from .functional._misc import select, valid_boxes, valid_points


class Identity(Transform):
    """Nothing changes."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt


class Lambda(Transform):
    """Any function as a transform, of inputs of the given types (default: all)."""

    _transformed_types = (object,)

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd = lambd
        self.types = types or self._transformed_types

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self.lambd(inpt) if isinstance(inpt, self.types) else inpt

    def extra_repr(self) -> str:
        name = getattr(self.lambd, "__name__", None)
        types = f"types={[type.__name__ for type in self.types]}"
        return f"{name}, {types}" if name else types


class _NotOnPIL(Transform):
    def check_inputs(self, sample: Any) -> Any:
        if has_any(sample, PILImage):
            raise TypeError(f"{type(self).__name__}() does not support PIL images.")


class LinearTransformation(_NotOnPIL):
    """(x - mean_vector) @ transformation_matrix on the flattened tensor, as for whitening.

    Shape: (..., C, H, W); the matrix is (D, D) and the vector (D,) with D = C H W.
    """

    _v1_transform_cls = first_api.LinearTransformation
    _transformed_types = (is_pure_tensor, tv_tensors.Image, tv_tensors.Video)

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        matrix, vector = transformation_matrix, mean_vector
        if matrix.size(0) != matrix.size(1):
            raise ValueError(
                "transformation_matrix should be square. "
                f"Got {tuple(matrix.size())} rectangular matrix."
            )
        if vector.size(0) != matrix.size(0):
            raise ValueError(
                f"mean_vector should have the same length {vector.size(0)} as any one of the "
                f"dimensions of the transformation_matrix [{tuple(matrix.size())}]"
            )
        if matrix.device != vector.device:
            raise ValueError(
                f"Input tensors should be on the same device. Got {matrix.device} and "
                f"{vector.device}"
            )
        if matrix.dtype != vector.dtype:
            raise ValueError(
                f"Input tensors should have the same dtype. Got {matrix.dtype} and {vector.dtype}"
            )
        self.transformation_matrix = matrix
        self.mean_vector = vector

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        shape = inpt.shape
        count = math.prod(shape[-3:])
        if count != self.transformation_matrix.shape[0]:
            raise ValueError(
                "Input tensor and transformation matrix have incompatible shape."
                f"[{shape[-3]} x {shape[-2]} x {shape[-1]}] != "
                f"{self.transformation_matrix.shape[0]}"
            )
        if inpt.device.type != self.mean_vector.device.type:
            raise ValueError(
                "Input tensor should be on the same device as transformation matrix and mean "
                f"vector. Got {inpt.device} vs {self.mean_vector.device}"
            )
        flat = array_of(inpt).reshape(-1, count) - array_of(self.mean_vector)
        matrix = array_of(self.transformation_matrix).astype(flat.dtype)
        output = tensor_of((flat @ matrix).reshape(shape), like=inpt)
        return output if is_pure_tensor(inpt) else tv_tensors.wrap(output, like=inpt)


class Normalize(_NotOnPIL):
    """(x - mean) / std for each channel of float images (..., C, H, W)."""

    _v1_transform_cls = first_api.Normalize

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean = list(mean)
        self.std = list(std)
        self.inplace = inplace

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.normalize, inpt, mean=self.mean, std=self.std, inplace=self.inplace
        )


class GaussianBlur(Transform):
    """Blur with odd kernel sizes and a sigma drawn from a range.

    Raises: ValueError for even sizes and for sigmas that are not positive.
    """

    _v1_transform_cls = first_api.GaussianBlur

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = setup_size(
            kernel_size, "Kernel size should be a tuple/list of two integers"
        )
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = two_numbers(sigma, "sigma")
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(
                f"sigma values should be positive and of the form (min, max). Got {self.sigma}"
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        sigma = uniform(self.sigma[0], self.sigma[1])
        return {"sigma": [sigma, sigma]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.gaussian_blur, inpt, self.kernel_size, **params)


class GaussianNoise(Transform):
    """Add normal noise; for bytes, mean and sigma count in shares of 255."""

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(
            F.gaussian_noise, inpt, mean=self.mean, sigma=self.sigma, clip=self.clip
        )


class ToDtype(Transform):
    """Another dtype, with white staying white if `scale`.

    Args:
        dtype: for images and videos; or a dictionary from types of inputs (or "others") to dtypes,
            where None leaves inputs as they are.
    Raises: ValueError for other dtypes, and for inputs that the dictionary does not name.
    """

    _transformed_types = (Tensor,)

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, (dict, dtypes.dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        both = (tv_tensors.Image, tv_tensors.Video)
        if isinstance(dtype, dict) and Tensor in dtype and any(cls in dtype for cls in both):
            warnings.warn(
                "Got `dtype` values for `torch.Tensor` and either `tv_tensors.Image` or "
                "`tv_tensors.Video`. Note that a plain `torch.Tensor` will *not* be transformed "
                "by this (or any other transformation) in case a `tv_tensors.Image` or "
                "`tv_tensors.Video` is present in the input.",
                stacklevel=2,
            )
        self.dtype = dtype
        self.scale = scale

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        scales = is_pure_tensor(inpt) or isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))
        if not isinstance(self.dtype, dict):
            if not scales:
                return inpt
            dtype = self.dtype
        elif type(inpt) in self.dtype:
            dtype = self.dtype[type(inpt)]
        elif "others" in self.dtype:
            dtype = self.dtype["others"]
        else:
            raise ValueError(
                f"No dtype was specified for type {type(inpt)}. If you only need to convert the "
                "dtype of images or videos, you can just pass e.g. dtype=torch.float32. If you're "
                'passing a dict as dtype, you can use "others" as a catch-all key e.g. '
                'dtype={tv_tensors.Mask: torch.int64, "others": None} to pass-through the rest of '
                "the inputs."
            )
        if dtype is None:
            if self.scale and scales:
                warnings.warn(
                    "scale was set to True but no dtype was specified for images or videos: no "
                    "scaling will be done.",
                    stacklevel=2,
                )
            return inpt
        return self._call_kernel(F.to_dtype, inpt, dtype=dtype, scale=self.scale)


class ConvertImageDtype(Transform):
    """Another dtype for images and videos, with white staying white."""

    _v1_transform_cls = first_api.ConvertImageDtype

    def __init__(self, dtype: Any = dtypes.float32) -> None:
        super().__init__()
        self.dtype = dtype

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.to_dtype, inpt, dtype=self.dtype, scale=True)


class _Sanitize(Transform):
    """Base of transforms that drop rows, and with them those of the labels."""

    labels_getter: Any
    _labels_getter: Callable[[Any], Any]
    _with_rows: tuple[type, ...]
    _mismatch: str

    def _set_labels_getter(self, value: Any) -> None:
        self.labels_getter = value
        self._labels_getter = parse_labels_getter(value)

    def _rows(self, flat_inputs: list[Any]) -> tuple[Any, Tensor]:
        """What has the rows, and which of them are to be kept."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        labels = _as_labels(self._labels_getter(sample))
        flat_inputs, shape = tree_flatten(sample)
        rows, valid = self._rows(flat_inputs)
        for label in labels or ():
            if rows.shape[0] != label.shape[0]:
                raise ValueError(
                    f"{self._mismatch.format(rows.shape)}Found labels with shape={label.shape})."
                )
        params = {"valid": valid, "labels": labels}
        return tree_unflatten([self.transform(inpt, params) for inpt in flat_inputs], shape)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        is_label = any(inpt is label for label in params["labels"] or ())
        if not (is_label or isinstance(inpt, self._with_rows)):
            return inpt
        if isinstance(inpt, tv_tensors.Mask) and inpt.shape[0] != params["valid"].shape[0]:
            return inpt  # one mask for the whole image rather than one for each box
        output = select(inpt.as_subclass(Tensor), params["valid"])
        return output if is_label else tv_tensors.wrap(output, like=inpt)


def _as_labels(labels: Any) -> tuple[Tensor, ...] | None:
    if labels is None:
        return None
    if isinstance(labels, Tensor):
        return (labels,)
    entries = labels if isinstance(labels, (tuple, list)) else [labels]
    for entry in entries:
        if not isinstance(entry, Tensor):
            raise ValueError(
                "The labels in the input to forward() must be a tensor or None, got "
                f"{type(entry)} instead."
            )
    return tuple(entries)


class SanitizeBoundingBoxes(_Sanitize):
    """Drop boxes that are too small or off the canvas, and their labels and masks.

    Args:
        min_size: smallest width and height, in pixels.
        min_area: smallest width * height.
        labels_getter: "default" looks for a tensor in second place or under a key like "labels"; a
            function from samples to labels; or None for none.
    """

    _with_rows = (tv_tensors.BoundingBoxes, tv_tensors.Mask)
    _mismatch = "Number of boxes (shape={}) and must match the number of labels."

    def __init__(
        self, min_size: float = 1.0, min_area: float = 1.0, labels_getter: Any = "default"
    ) -> None:
        super().__init__()
        if min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {min_size}.")
        self.min_size = min_size
        if min_area < 1:
            raise ValueError(f"min_area must be >= 1, got {min_area}.")
        self.min_area = min_area
        self._set_labels_getter(labels_getter)

    def _rows(self, flat_inputs: list[Any]) -> tuple[Any, Tensor]:
        boxes = get_bounding_boxes(flat_inputs)
        plain = boxes.as_subclass(Tensor)
        limits = (boxes.format, boxes.canvas_size, self.min_size, self.min_area)
        return boxes, valid_boxes(plain, *limits)


class SanitizeKeyPoints(_Sanitize):
    """Drop points (or groups of them) off the canvas, and their labels.

    Args:
        labels_getter: as for SanitizeBoundingBoxes; None for no labels.
    """

    _with_rows = (tv_tensors.KeyPoints,)
    _mismatch = "Number of kepyoints (shape={}) must match the number of labels."

    def __init__(self, labels_getter: Any = None) -> None:
        super().__init__()
        self._set_labels_getter(labels_getter)

    def _rows(self, flat_inputs: list[Any]) -> tuple[Any, Tensor]:
        points = get_keypoints(flat_inputs)
        return points, valid_points(points.as_subclass(Tensor), points.canvas_size)
