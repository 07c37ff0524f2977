"""torchvision's API: transforms, datasets, models, operators, image files and grids."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._alias import VERSIONS
from . import datasets as datasets, transforms as transforms, utils as utils
from ._backends import (
    get_image_backend as get_image_backend,
    get_video_backend as get_video_backend,
    set_image_backend as set_image_backend,
    set_video_backend as set_video_backend,
)

__version__ = VERSIONS["torchvision"]

_LATER = ("io", "models", "ops", "tv_tensors")  # loaded at first use


if TYPE_CHECKING:
    from . import io as io, models as models, ops as ops, tv_tensors as tv_tensors

if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name in _LATER:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def disable_beta_transforms_warning() -> None:
    """Nothing to silence: the second API is no longer a beta."""
