"""torchvision's API: transforms, datasets, models, operators, image files and grids."""

from __future__ import annotations

import importlib
from typing import Any

from torchish._alias import VERSIONS

from . import datasets as datasets, transforms as transforms, utils as utils

__version__ = VERSIONS["torchvision"]

_LATER = ("io", "models", "ops", "tv_tensors")  # loaded at first use
_backends = {"image": "PIL", "video": "pyav"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_image_backend() -> str:
    """The package that loads images."""
    return _backends["image"]


def set_image_backend(backend: str) -> None:
    """Choose the package that loads images: "PIL", or "accimage" where it is installed.

    Raises: ValueError for any other backend.
    """
    if backend not in ("PIL", "accimage"):
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL' and 'accimage'")
    _backends["image"] = backend


def get_video_backend() -> str:
    """The package that reads videos: always PyAV."""
    return _backends["video"]


def set_video_backend(backend: str) -> None:
    """Accepts any backend, as torchvision does since it has but one."""


def disable_beta_transforms_warning() -> None:
    """Nothing to silence: the second API is no longer a beta."""
