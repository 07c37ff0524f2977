"""Image files as arrays (C, H, W) and back, through Pillow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .._basics.errors import not_supported

# Pillow's modes for the names of ImageReadMode.
MODES = {"GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA"}
SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
}


def kind_of(content: bytes) -> str | None:
    """Which of JPEG, PNG, GIF and WEBP a file is, by its first bytes."""
    for kind, starts in SIGNATURES.items():
        if content.startswith(starts):
            return kind
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return "WEBP" if is_webp else None


def channels_first(image: Any) -> np.ndarray:
    """A Pillow image as an array (C, H, W)."""
    array = np.array(image)
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.ndim == 2:
        array = array[:, :, None]
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def decode_bytes(content: bytes, mode: str = "UNCHANGED", orient: bool = False) -> np.ndarray:
    """The picture in a file's bytes.

    Args:
        mode: name of an ImageReadMode.
        orient: turn the picture as its EXIF data asks.
    Raises: RuntimeError if the bytes are no image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    deep = _deep_rawmode(content)
    try:
        if deep is not None:
            return _in_deep_mode(_deep_colours(content, deep), mode)
        image: Any = Image.open(io.BytesIO(content))
        if mode == "GRAY":
            image.draft("L", image.size)  # JPEG keeps the luma: no detour over colours
        if orient:
            image = ImageOps.exif_transpose(image)
        return channels_first(_in_mode(image, mode))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RuntimeError(f"The image could not be decoded: {error}") from error


def _in_mode(image: Any, mode: str) -> Any:
    if mode == "UNCHANGED" or image.mode == MODES[mode]:
        return image
    if image.mode.startswith("I;16"):  # Pillow would clip to bytes
        deep = np.asarray(image).astype(np.uint16)
        return _deep_gray(deep, mode)
    return image.convert(MODES[mode])


def _deep_gray(deep: np.ndarray, mode: str) -> np.ndarray:
    """16 bits of gray in another mode, as an array (H, W, C)."""
    opaque = np.full_like(deep, 65535)
    planes = [deep] * (3 if mode.startswith("RGB") else 1)
    return np.stack([*planes, opaque] if mode.endswith("ALPHA") else planes, -1)


# PNG's types of colour with more than one sample a pixel, as Pillow calls them.
_DEEP = {2: "RGB", 4: "LA", 6: "RGBA"}


def _deep_rawmode(content: bytes) -> str | None:
    """Mode of a PNG with 16 bits a sample and several samples, else None.

    Raises: NotSupportedError for gray with alpha, of which Pillow gives the high bytes only.
    """
    if not content.startswith(SIGNATURES["PNG"]) or len(content) < 26 or content[24] != 16:
        return None
    mode = _DEEP.get(content[25])
    if mode == "LA":
        raise not_supported(
            "decoding PNG files of gray and alpha with 16 bits", "8 bits, or RGBA with 16"
        )
    return mode


def _deep_colours(content: bytes, mode: str) -> np.ndarray:
    """Samples (C, H, W) as uint16. Pillow keeps one byte of two: read with either order, both."""
    from PIL import Image

    halves = []
    for order in ("B", "L"):
        image: Any = Image.open(io.BytesIO(content))
        image.tile = [tile._replace(args=f"{mode};16{order}") for tile in image.tile]
        halves.append(np.asarray(image).astype(np.uint16))
    return np.ascontiguousarray((halves[0] << 8 | halves[1]).transpose(2, 0, 1))


def _in_deep_mode(samples: np.ndarray, mode: str) -> np.ndarray:
    wanted = {"UNCHANGED": len(samples), "RGB": 3, "RGB_ALPHA": 4}.get(mode)
    if wanted is None:
        raise not_supported("shades of gray from colours with 16 bits", "mode RGB, then a mean")
    if wanted == 4 and len(samples) == 3:
        return np.concatenate([samples, np.full_like(samples[:1], 65535)])
    return samples[:wanted]


def decode_frames(content: bytes) -> np.ndarray:
    """All frames (N, 3, H, W) of an animation."""
    from PIL import Image, ImageSequence

    try:
        image = Image.open(io.BytesIO(content))
        frames = [channels_first(f.convert("RGB")) for f in ImageSequence.Iterator(image)]
    except (OSError, SyntaxError, ValueError) as error:
        raise RuntimeError(f"The image could not be decoded: {error}") from error
    return np.stack(frames)


def encode_image(array: np.ndarray, format: str, **options: Any) -> bytes:
    """The file of an array (1 or 3, H, W) of bytes."""
    from PIL import Image

    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format=format, **options)
    return file.getvalue()
