"""Image files to tensors (C, H, W) of bytes and back."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

import numpy as np

from ..._basics import dtypes
from ..._basics.errors import not_supported
from .._codecs import decode_bytes, decode_frames, encode_image, kind_of
from .._tensors import Tensor, array_of, tensor_of


class ImageReadMode(Enum):
    """Channels to decode to: those of the file, or one, two, three or four."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


def _mode(mode: Any) -> ImageReadMode:
    return ImageReadMode[mode.upper()] if isinstance(mode, str) else mode


# -- files -----------------------------------------------------------------------------------------


def read_file(path: str) -> Tensor:
    """The bytes of a file as a tensor (N,).

    Raises: RuntimeError if it cannot be read.
    """
    try:
        content = np.fromfile(os.fspath(path), np.uint8)
    except OSError as error:
        raise RuntimeError(f"[Errno {error.errno}] {error.strerror}: '{path}'") from error
    return tensor_of(content)


def write_file(filename: str, data: Tensor) -> None:
    """Write a tensor (N,) of bytes to a file.

    Raises: RuntimeError for other tensors, and if the file cannot be written.
    """
    if data.dtype is not dtypes.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if data.ndim != 1:
        raise RuntimeError("Input data should be a 1-dimensional tensor")
    try:
        with open(filename, "wb") as file:
            file.write(array_of(data).tobytes())
    except OSError as error:
        raise RuntimeError(f"[Errno {error.errno}] {error.strerror}: '{filename}'") from error


# -- decoding --------------------------------------------------------------------------------------


def _content(data: Any) -> bytes:
    """The bytes of an encoded image, after looking at the tensor."""
    if data.dtype is not dtypes.uint8:
        raise RuntimeError(f"Input tensor must have uint8 data type, got {data.dtype}")
    if data.ndim != 1 or data.numel() == 0:
        raise RuntimeError(
            f"Input tensor must be 1-dimensional and non-empty, got {data.ndim} dims and "
            f"{data.numel()} numels."
        )
    return array_of(data).tobytes()


def _decoded(data: Tensor, kind: str, mode: Any, orient: bool = False) -> Tensor:
    content = _content(data)
    found = kind_of(content)
    if kind in ("JPEG", "PNG", "WEBP") and found != kind:
        raise RuntimeError(f"Content is not {kind.lower()}.")
    mode = _mode(mode)
    gray = mode in (ImageReadMode.GRAY, ImageReadMode.GRAY_ALPHA)
    if kind == "JPEG" and mode in (ImageReadMode.GRAY_ALPHA, ImageReadMode.RGB_ALPHA):
        raise RuntimeError("The provided mode is not supported for JPEG files")
    if kind not in ("JPEG", "PNG") and gray:
        mode = ImageReadMode.UNCHANGED  # as torchvision: these formats have no gray
    return tensor_of(decode_bytes(content, mode.name, orient))


def decode_png(
    input: Tensor,
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Decode a PNG: bytes (C, H, W), or uint16 for gray with 16 bits.

    Raises: RuntimeError if it is none, NotSupportedError for colours with 16 bits.
    """
    return _decoded(input, "PNG", mode, apply_exif_orientation)


def decode_jpeg(
    input: Tensor | list[Tensor],
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    device: Any = "cpu",
    apply_exif_orientation: bool = False,
) -> Tensor | list[Tensor]:
    """Decode a JPEG, or a list of them, on the CPU; results go to `device`.

    Raises: RuntimeError if it is none, ValueError for an empty list and for tensors elsewhere.
    """
    if isinstance(input, list):
        if not input:
            raise ValueError("Input list must contain at least one element")
        if not all(isinstance(t, Tensor) for t in input):
            raise ValueError("All elements of the input list must be tensors.")
        if not all(t.device.type == "cpu" for t in input):
            raise ValueError("Input list must contain tensors on CPU.")
        return [decode_jpeg(t, mode, device, apply_exif_orientation) for t in input]  # type: ignore
    if input.device.type != "cpu":
        raise ValueError("Input tensor must be a CPU tensor")
    return _decoded(input, "JPEG", mode, apply_exif_orientation).to(device)


def decode_webp(input: Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> Tensor:
    """Decode a WebP to RGB or RGBA.

    Raises: RuntimeError if it is none.
    """
    return _decoded(input, "WEBP", mode)


def decode_avif(input: Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> Tensor:
    """Decode an AVIF to RGB or RGBA.

    Raises: RuntimeError if it is none, or if Pillow was built without AVIF.
    """
    return _decoded(input, "AVIF", mode)


def decode_heic(input: Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> Tensor:
    """Decode a HEIC, where a plugin for Pillow is installed.

    Raises: NotSupportedError without `pillow-heif`.
    """
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise not_supported("decoding HEIC", "`pip install pillow-heif`, which reads it") from None
    register_heif_opener()
    return _decoded(input, "HEIC", mode)


def decode_gif(input: Tensor) -> Tensor:
    """Decode a GIF to RGB: (3, H, W), or (N, 3, H, W) for an animation.

    Raises: RuntimeError if it is none.
    """
    content = _content(input)
    if kind_of(content) != "GIF":
        raise RuntimeError("Content is not gif.")
    frames = decode_frames(content)
    return tensor_of(frames[0] if len(frames) == 1 else frames)


def decode_image(
    input: Tensor | str,
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Decode a JPEG, PNG, GIF or WebP, found out by its first bytes.

    Args:
        input: the bytes of a file, or its path.
        mode: channels to decode to; JPEG has no alpha, GIF is RGB, WebP RGB or RGBA.
        apply_exif_orientation: turn JPEG and PNG as their EXIF data ask.
    Raises: RuntimeError for other contents.
    """
    data = input if isinstance(input, Tensor) else read_file(str(input))
    kind = kind_of(_content(data))
    if kind == "GIF":
        return decode_gif(data)
    if kind is None:
        raise RuntimeError(
            "Unsupported image file. Only jpeg, png, webp and gif are currently supported. For "
            "avif and heic format, please rely on `decode_avif` and `decode_heic` directly."
        )
    return _decoded(data, kind, mode, apply_exif_orientation and kind != "WEBP")


def read_image(
    path: str,
    mode: ImageReadMode = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """`decode_image` of a file.

    Raises: RuntimeError if it cannot be read or decoded.
    """
    return decode_image(read_file(path), mode, apply_exif_orientation=apply_exif_orientation)


# -- encoding --------------------------------------------------------------------------------------


def _pixels(image: Tensor) -> np.ndarray:
    if image.dtype is not dtypes.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if image.ndim != 3:
        raise RuntimeError("Input data should be a 3-dimensional tensor")
    if image.shape[0] not in (1, 3):
        raise RuntimeError(f"The number of channels should be 1 or 3, got: {image.shape[0]}")
    return array_of(image)


def _file(content: bytes) -> Tensor:
    return tensor_of(np.frombuffer(content, np.uint8).copy())


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """The PNG file of an image (1 or 3, H, W) of bytes.

    Args:
        compression_level: 0 (none) to 9.
    Raises: RuntimeError for other images and levels.
    """
    pixels = _pixels(input)
    if not 0 <= compression_level <= 9:
        raise RuntimeError("Compression level should be between 0 and 9")
    return _file(encode_image(pixels, "PNG", compress_level=compression_level))


def write_png(input: Tensor, filename: str, compression_level: int = 6) -> None:
    """`encode_png`, then `write_file`."""
    write_file(filename, encode_png(input, compression_level))


def encode_jpeg(input: Tensor | list[Tensor], quality: int = 75) -> Tensor | list[Tensor]:
    """The JPEG file of an image (1 or 3, H, W) of bytes, or of each of a list.

    Args:
        quality: 1 to 100.
    Raises: RuntimeError for other images, ValueError for other qualities and an empty list.
    """
    if quality < 1 or quality > 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    if isinstance(input, list):
        if not input:
            raise ValueError("encode_jpeg requires at least one input tensor when a list is passed")
        return [encode_jpeg(image, quality) for image in input]  # type: ignore[misc]
    return _file(encode_image(_pixels(input), "JPEG", quality=quality))


def write_jpeg(input: Tensor, filename: str, quality: int = 75) -> None:
    """`encode_jpeg`, then `write_file`."""
    encoded = encode_jpeg(input, quality)
    assert isinstance(encoded, Tensor)
    write_file(filename, encoded)
