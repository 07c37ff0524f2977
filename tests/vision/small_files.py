"""Small files in the formats that data sets use."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image


def img(path: Path, seed: int = 0, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> None:
    """A lossless picture of noise, whatever the ending says of its format."""
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    format = "PPM" if path.suffix == ".ppm" else "PNG"
    Image.fromarray(array).convert(mode).save(path, format=format)


def gray16(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(1, 60000, (6, 8)).astype(np.uint16)
    Image.fromarray(array).save(path)


def rgb16(path: Path, array: np.ndarray) -> None:
    """A PNG of colours with 16 bits, (H, W, 3), which PIL cannot write."""
    height, width, _ = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
            for name, content in chunks
        )
    )


def txt(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mat(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(str(path), content)


def idx(path: Path, array: np.ndarray, code: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(head + array.astype({8: ">u1", 12: ">i4"}[code]).tobytes())


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def flo(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).random((6, 8, 2)).astype("<f4")
    path.write_bytes(b"PIEH" + struct.pack("<ii", 8, 6) + data.tobytes())


def pfm(path: Path, seed: int = 0, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).random((6, 8, channels)).astype("<f4") - 0.5
    kind = b"PF" if channels == 3 else b"Pf"
    path.write_bytes(kind + b"\n8 6\n-1.0\n" + data.tobytes())
