"""The base of all transforms of the second API."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from PIL.Image import Image as PILImage

from ...._tensor.tensor import Tensor
from ....nn import Module
from ....utils._pytree import tree_flatten, tree_unflatten
from ... import tv_tensors
from ..._tensors import random
from ._utils import check_type, has_any, is_pure_tensor
from .functional._utils import _get_kernel


class Transform(Module):
    """Takes samples of any structure and transforms the images, boxes, masks and points in them.

    Override `make_params` to draw what all inputs of a sample share, and `transform` for what is
    done to each. A plain tensor counts as an image only where a sample has neither an Image, a
    Video nor a PIL image, and then only the first.
    """

    _transformed_types: tuple[Any, ...] = (Tensor, PILImage)
    _v1_transform_cls: type[Module] | None = None

    def __init_subclass__(cls) -> None:
        # Users of the first API call `RandomCrop.get_params` and the like.
        if hasattr(cls._v1_transform_cls, "get_params"):
            cls.get_params = staticmethod(cls._v1_transform_cls.get_params)  # type: ignore

    def __init__(self) -> None:
        super().__init__()

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Override to raise for samples that cannot be transformed."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Override to draw what all inputs of a sample share."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Override with what is done to each input."""
        raise NotImplementedError

    def _call_kernel(
        self, functional: Callable[..., Any], inpt: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Apply a function of `v2.functional`, or nothing where it has no kernel for the input."""
        kernel = _get_kernel(functional, type(inpt), allow_passthrough=True)
        return kernel(inpt, *args, **kwargs)

    def forward(self, *inputs: Any) -> Any:
        """Transform a sample; override `transform` rather than this."""
        flat_inputs, shape = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        self.check_inputs(flat_inputs)
        return tree_unflatten(self._transformed(flat_inputs), shape)

    def _transformed(self, flat_inputs: list[Any]) -> list[Any]:
        needed = self._needs_transform_list(flat_inputs)
        pairs = list(zip(flat_inputs, needed, strict=True))
        params = self.make_params([inpt for inpt, wanted in pairs if wanted])
        return [self.transform(inpt, params) if wanted else inpt for inpt, wanted in pairs]

    def _needs_transform_list(self, flat_inputs: list[Any]) -> list[bool]:
        pure_too = not has_any(flat_inputs, tv_tensors.Image, tv_tensors.Video, PILImage)
        needed = []
        for inpt in flat_inputs:
            wanted = check_type(inpt, self._transformed_types)
            if wanted and is_pure_tensor(inpt):
                wanted, pure_too = pure_too, False
            needed.append(wanted)
        return needed

    def extra_repr(self) -> str:
        shown = (bool, int, float, str, tuple, list, enum.Enum)
        return ", ".join(
            f"{name}={value}"
            for name, value in self.__dict__.items()
            if not name.startswith("_") and name != "training" and isinstance(value, shown)
        )


class RandomlyApplied(Transform):
    """Base of transforms that happen with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__()
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        """Transform a sample, or not."""
        sample = inputs if len(inputs) > 1 else inputs[0]
        flat_inputs, shape = tree_flatten(sample)
        self.check_inputs(flat_inputs)
        if random() >= self.p:
            return sample
        return tree_unflatten(self._transformed(flat_inputs), shape)
