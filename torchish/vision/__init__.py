"""torchvision's API: transforms, datasets and image grids."""

from __future__ import annotations

from torchish._alias import VERSIONS

from . import datasets as datasets, models as models, transforms as transforms, utils as utils

__version__ = VERSIONS["torchvision"]


def get_image_backend() -> str:
    """The package that loads images: always PIL."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Accepts "PIL".

    Raises: ValueError for any other backend.
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL'")
