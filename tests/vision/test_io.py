"""Image files in and out; Pillow says what is in them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import torchish as torch
from tests.vision.images import photo
from torchish._basics.errors import NotSupportedError
from torchish.vision import io as vio
from torchish.vision.io import ImageReadMode


def encoded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return torch.tensor(list(file.getvalue()), dtype=torch.uint8)


def pixels(image):
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


MODES = [
    ("RGB", "RGB", ImageReadMode.UNCHANGED),
    ("L", "L", ImageReadMode.UNCHANGED),
    ("RGBA", "RGBA", ImageReadMode.UNCHANGED),
    ("LA", "LA", ImageReadMode.UNCHANGED),
    ("RGBA", "RGB", ImageReadMode.RGB),
    ("RGB", "RGBA", ImageReadMode.RGB_ALPHA),
    ("RGB", "L", ImageReadMode.GRAY),
    ("L", "RGB", "rgb"),
    ("L", "LA", "gray_alpha"),
]


@pytest.mark.parametrize(("source", "target", "mode"), MODES)
def test_png_modes(source, target, mode):
    image = photo(source)
    decoded = vio.decode_png(encoded(image, "PNG"), mode)
    assert decoded.dtype == torch.uint8
    assert np.array_equal(decoded.numpy(), pixels(image.convert(target)))
    again = vio.decode_image(encoded(image, "PNG"), mode)
    assert np.array_equal(again.numpy(), decoded.numpy())


def test_deep_png():
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    decoded = vio.decode_png(encoded(Image.fromarray(deep), "PNG"))
    assert decoded.dtype == torch.uint16
    assert np.array_equal(decoded.numpy()[0], deep)


def png16(samples, filters):
    """A PNG of colours (H, W, 3) with 16 bits, its rows filtered as told."""
    height, width, _ = samples.shape
    rows, before = [], np.zeros(width * 6, np.int64)
    for row, kind in zip(samples.astype(">u2"), filters, strict=True):
        raw = np.frombuffer(row.tobytes(), np.uint8).astype(np.int64)
        left = np.concatenate([np.zeros(6, np.int64), raw[:-6]])
        base = (np.zeros_like(raw), left, before)[kind]
        rows.append(bytes([kind]) + ((raw - base) % 256).astype(np.uint8).tobytes())
        before = raw

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    content += chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    return torch.tensor(list(content), dtype=torch.uint8)


def test_deep_colours():
    samples = np.random.default_rng(0).integers(0, 65536, (3, 5, 3)).astype(np.uint16)
    decoded = vio.decode_png(png16(samples, [0, 1, 2]))
    assert decoded.dtype == torch.uint16
    assert np.array_equal(decoded.numpy(), samples.transpose(2, 0, 1))
    assert tuple(vio.decode_image(png16(samples, [0, 0, 0]), "RGBA").shape) == (4, 3, 5)
    with pytest.raises(NotSupportedError, match="shades of gray from colours with 16 bits"):
        vio.decode_png(png16(samples, [0, 0, 0]), "GRAY")


def test_jpeg():
    data = encoded(photo(), "JPEG", quality=90)
    opened = Image.open(io.BytesIO(data.numpy().tobytes()))
    assert np.array_equal(vio.decode_jpeg(data).numpy(), pixels(opened))
    gray = vio.decode_jpeg(data, ImageReadMode.GRAY)
    opened = Image.open(io.BytesIO(data.numpy().tobytes()))
    opened.draft("L", opened.size)
    assert np.array_equal(gray.numpy(), pixels(opened))
    assert [tuple(t.shape) for t in vio.decode_jpeg([data, data])] == [(3, 23, 31)] * 2
    with pytest.raises(RuntimeError, match="not supported for JPEG"):
        vio.decode_jpeg(data, ImageReadMode.RGB_ALPHA)
    with pytest.raises(ValueError, match="at least one element"):
        vio.decode_jpeg([])


def test_exif_orientation():
    image = photo()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, "JPEG", exif=exif)
    assert tuple(vio.decode_image(data).shape) == (3, 23, 31)
    assert tuple(vio.decode_image(data, apply_exif_orientation=True).shape) == (3, 31, 23)


def test_webp_avif_gif():
    image = photo()
    exact = vio.decode_webp(encoded(image, "WEBP", lossless=True))
    assert np.array_equal(exact.numpy(), pixels(image))
    assert tuple(vio.decode_image(encoded(image.convert("RGBA"), "WEBP"), "RGB").shape) == (
        3,
        23,
        31,
    )
    assert tuple(vio.decode_avif(encoded(image, "AVIF")).shape) == (3, 23, 31)
    frames = [photo(), photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(vio.decode_gif(animated).shape) == (2, 3, 23, 31)
    assert tuple(vio.decode_image(encoded(photo(), "GIF")).shape) == (3, 23, 31)


def test_round_trips(tmp_path):
    image = torch.from_numpy(pixels(photo()).copy())
    png, jpeg = str(tmp_path / "a.png"), str(tmp_path / "a.jpg")
    vio.write_png(image, png, compression_level=1)
    assert torch.equal(vio.read_image(png), image)
    assert torch.equal(vio.decode_image(png), image)
    vio.write_jpeg(image, jpeg, quality=95)
    assert np.array_equal(vio.read_image(jpeg).numpy(), pixels(Image.open(jpeg)))
    assert len(vio.encode_jpeg([image, image])) == 2
    gray = image[:1]
    assert torch.equal(vio.decode_png(vio.encode_png(gray)), gray)
    data = vio.read_file(png)
    vio.write_file(str(tmp_path / "b"), data)
    assert torch.equal(vio.read_file(str(tmp_path / "b")), data)


def test_refusals(tmp_path):
    noise = torch.tensor([1, 2, 3], dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="Unsupported image file. Only jpeg, png, webp and gif"):
        vio.decode_image(noise)
    with pytest.raises(RuntimeError, match=r"\[Errno 2\] No such file or directory: '/absent'"):
        vio.read_image("/absent")
    with pytest.raises(RuntimeError, match="must have uint8 data type, got torch.float32"):
        vio.decode_png(torch.ones(3))
    with pytest.raises(RuntimeError, match="must be 1-dimensional and non-empty"):
        vio.decode_png(torch.ones(3, 3, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="Content is not png"):
        vio.decode_png(noise)
    with pytest.raises(RuntimeError, match="could not be decoded"):
        vio.decode_png(encoded(photo(), "PNG")[:60])
    with pytest.raises(ValueError, match="between 1 and 100"):
        vio.encode_jpeg(torch.ones(3, 2, 2, dtype=torch.uint8), quality=0)
    with pytest.raises(RuntimeError, match="Compression level should be between 0 and 9"):
        vio.encode_png(torch.ones(3, 2, 2, dtype=torch.uint8), compression_level=10)
    with pytest.raises(RuntimeError, match="The number of channels should be 1 or 3, got: 2"):
        vio.encode_png(torch.ones(2, 2, 2, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="1-dimensional"):
        vio.write_file(str(tmp_path / "x"), torch.ones(2, 2, dtype=torch.uint8))


def test_videos_need_pyav(tmp_path):
    try:
        import av  # noqa: F401
    except ImportError:
        with pytest.raises(NotSupportedError, match="pip install av"):
            vio.read_video("x.mp4")
        return
    frames = torch.arange(4).repeat_interleave(64 * 64 * 3).reshape(4, 64, 64, 3) * 60
    path = str(tmp_path / "a.mp4")
    vio.write_video(path, frames.to(torch.uint8), 5)
    video, _, info = vio.read_video(path, output_format="TCHW", pts_unit="sec")
    assert tuple(video.shape) == (4, 3, 64, 64)
    assert info["video_fps"] == 5.0
    assert len(vio.read_video_timestamps(path)[0]) == 4
