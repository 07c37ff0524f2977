"""Which packages load images and videos."""

from __future__ import annotations

_chosen = {"image": "PIL", "video": "pyav"}


def get_image_backend() -> str:
    """The package that loads images."""
    return _chosen["image"]


def set_image_backend(backend: str) -> None:
    """Choose the package that loads images: "PIL", or "accimage" where it is installed.

    Raises: ValueError for any other backend.
    """
    if backend not in ("PIL", "accimage"):
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL' and 'accimage'")
    _chosen["image"] = backend


def get_video_backend() -> str:
    """The package that reads videos: always PyAV."""
    return _chosen["video"]


def set_video_backend(backend: str) -> None:
    """Accepts any backend, as torchvision does since it has but one."""
