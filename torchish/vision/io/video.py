"""Video files, through PyAV where it is installed.

torchvision 0.28 has given its own video functions away; these follow the last ones it had.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..._basics.errors import not_supported
from .._tensors import Tensor, array_of, tensor_of


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise not_supported("reading and writing videos", "`pip install av` (PyAV)") from None
    return av


def _check_unit(pts_unit: str) -> None:
    if pts_unit not in ("pts", "sec"):
        raise ValueError(f"pts_unit should be 'pts' or 'sec', got {pts_unit}")


def _in_range(stream: Any, pts: int, start: Any, end: Any, unit: str) -> bool:
    when = pts * stream.time_base if unit == "sec" else pts
    return start <= when and (end is None or when <= end)


def read_video(
    filename: str,
    start_pts: float | Fraction = 0,
    end_pts: float | Fraction | None = None,
    pts_unit: str = "pts",
    output_format: str = "THWC",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Frames, sound and facts of a video.

    Args:
        start_pts, end_pts: first and last time, both included.
        pts_unit: "pts" (ticks of the stream) or "sec".
        output_format: "THWC" or "TCHW".
    Shape: frames of bytes in `output_format`, sound (channels, samples).
    Raises: ValueError for other units and formats, NotSupportedError without PyAV.
    """
    output_format = output_format.upper()
    if output_format not in ("THWC", "TCHW"):
        raise ValueError(f"output_format should be either 'THWC' or 'TCHW', got {output_format}.")
    _check_unit(pts_unit)
    end = None if end_pts is None or math.isinf(end_pts) else end_pts
    if end is not None and end < start_pts:
        raise ValueError(
            "end_pts should be larger than start_pts, "
            f"got start_pts={start_pts} and end_pts={end_pts}"
        )
    info: dict[str, Any] = {}
    frames: list[np.ndarray] = []
    sounds: list[np.ndarray] = []
    with _av().open(filename, metadata_errors="ignore") as container:
        if container.streams.video:
            stream = container.streams.video[0]
            if stream.average_rate is not None:
                info["video_fps"] = float(stream.average_rate)
            for frame in container.decode(stream):
                if _in_range(stream, frame.pts, start_pts, end, pts_unit):
                    frames.append(frame.to_rgb().to_ndarray())
        if container.streams.audio:
            stream = container.streams.audio[0]
            info["audio_fps"] = stream.rate
            container.seek(0)
            for frame in container.decode(stream):
                if _in_range(stream, frame.pts, start_pts, end, pts_unit):
                    sounds.append(frame.to_ndarray())
    video = np.stack(frames) if frames else np.empty((0, 1, 1, 3), np.uint8)
    audio = np.concatenate(sounds, 1) if sounds else np.empty((1, 0), np.float32)
    if output_format == "TCHW":
        video = video.transpose(0, 3, 1, 2)
    return tensor_of(video), tensor_of(audio), info


def read_video_timestamps(filename: str, pts_unit: str = "pts") -> tuple[list[Any], float | None]:
    """Times of all frames, and frames a second.

    Raises: ValueError for other units, NotSupportedError without PyAV.
    """
    _check_unit(pts_unit)
    with _av().open(filename, metadata_errors="ignore") as container:
        if not container.streams.video:
            return [], None
        stream = container.streams.video[0]
        times = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
        rate = None if stream.average_rate is None else float(stream.average_rate)
        base = stream.time_base
    return ([t * base for t in times] if pts_unit == "sec" else times), rate


def write_video(
    filename: str,
    video_array: Tensor,
    fps: float,
    video_codec: str = "libx264",
    options: dict[str, Any] | None = None,
    audio_array: Tensor | None = None,
    audio_fps: float | None = None,
    audio_codec: str | None = None,
    audio_options: dict[str, Any] | None = None,
) -> None:
    """Write frames (T, H, W, C) of bytes, and sound (channels, samples) if given.

    Raises: NotSupportedError without PyAV.
    """
    av = _av()
    frames = array_of(video_array).astype(np.uint8)
    rate = int(np.round(fps)) if isinstance(fps, float) else fps
    with av.open(filename, mode="w") as container:
        stream = container.add_stream(video_codec, rate=rate)
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuv420p" if video_codec != "libx264rgb" else "rgb24"
        stream.options = options or {}
        if audio_array is not None:
            _write_sound(av, container, audio_array, audio_fps, audio_codec, audio_options)
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _write_sound(
    av: Any, container: Any, audio: Tensor, rate: Any, codec: Any, options: Any
) -> None:
    sound = array_of(audio)
    stream = container.add_stream(codec or "aac", rate=int(rate))
    stream.options = options or {}
    layout = "stereo" if sound.shape[0] > 1 else "mono"
    kind = {"f": "fltp", "i": "s16p"}[sound.dtype.kind]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format=kind, layout=layout)
    frame.sample_rate = int(rate)
    for part in (frame, None):
        for packet in stream.encode(part):
            container.mux(packet)
