"""torchvision.io: image files (through Pillow) and video files (through PyAV)."""

from __future__ import annotations

from .image import (
    ImageReadMode as ImageReadMode,
    decode_avif as decode_avif,
    decode_gif as decode_gif,
    decode_heic as decode_heic,
    decode_image as decode_image,
    decode_jpeg as decode_jpeg,
    decode_png as decode_png,
    decode_webp as decode_webp,
    encode_jpeg as encode_jpeg,
    encode_png as encode_png,
    read_file as read_file,
    read_image as read_image,
    write_file as write_file,
    write_jpeg as write_jpeg,
    write_png as write_png,
)
from .video import (
    read_video as read_video,
    read_video_timestamps as read_video_timestamps,
    write_video as write_video,
)

__all__ = [n for n in dir() if n.startswith(("Image", "decode", "encode", "read", "write"))]
