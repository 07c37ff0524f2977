"""TensorBoard's records (protocol buffers), one function a kind."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from ._arrays import convert_to_hwc, make_np

_FLOATS = {"float32": ("DT_FLOAT", "float_val"), "float64": ("DT_DOUBLE", "double_val")}
_INTEGERS = {
    "int8": ("DT_INT8", "int_val"), "int16": ("DT_INT16", "int_val"),
    "int32": ("DT_INT32", "int_val"), "int64": ("DT_INT64", "int64_val"),
    "uint8": ("DT_UINT8", "uint32_val"), "bool": ("DT_BOOL", "bool_val"),
}  # fmt: skip
_HALVES = {"float16": "DT_HALF", "bfloat16": "DT_BFLOAT16"}


def _of_plugin(plugin: str, content: bytes = b"", **kwargs: Any) -> Any:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return SummaryMetadata(plugin_data=data, **kwargs)


def _shape(dims: Any) -> Any:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in dims])


def _one(tag: str, **kwargs: Any) -> Any:
    return Summary(value=[Summary.Value(tag=tag, **kwargs)])


def scalar(
    name: str, tensor: Any, collections: Any = None, new_style: bool = False,
    double_precision: bool = False,
) -> Any:  # fmt: skip
    """One number."""
    array = make_np(tensor).squeeze()
    if array.ndim != 0:
        raise AssertionError(
            "Tensor should contain one element (0 dimensions). Was given size: "
            f"{array.size} and {array.ndim} dimensions."
        )
    value = float(array)
    if not new_style:
        return _one(name, simple_value=value)
    proto = (
        TensorProto(double_val=[value], dtype="DT_DOUBLE")
        if double_precision
        else TensorProto(float_val=[value], dtype="DT_FLOAT")
    )
    return _one(name, tensor=proto, metadata=_of_plugin("scalars"))


def tensor_proto(tag: str, tensor: Any) -> Any:
    """A whole tensor.

    Raises: ValueError for a dtype that TensorBoard has no record of.
    """
    if tensor.numel() * tensor.itemsize >= 1 << 31:
        raise ValueError("tensor is bigger than protocol buffer's hard limit of 2GB in size")
    kind = tensor.dtype.name
    flat = tensor.detach().flatten()
    if kind in _HALVES:
        bits = make_np(flat).astype(np.float32).view(np.int32).tolist()
        dtype, found = _HALVES[kind], {"half_val": bits}
    elif kind in _FLOATS or kind in _INTEGERS:
        dtype, where = {**_FLOATS, **_INTEGERS}[kind]
        found = {where: flat.tolist()}
    else:
        raise ValueError(f"{tag} has unsupported tensor dtype {tensor.dtype}")
    proto = TensorProto(dtype=dtype, tensor_shape=_shape(tensor.shape), **found)
    return _one(tag, metadata=_of_plugin("tensor"), tensor=proto)


def histogram_raw(
    name: str, min: Any, max: Any, num: Any, sum: Any, sum_squares: Any, bucket_limits: Any,
    bucket_counts: Any,
) -> Any:  # fmt: skip
    """A histogram that has been counted already."""
    found = HistogramProto(min=min, max=max, num=num, sum=sum, sum_squares=sum_squares,
                           bucket_limit=bucket_limits, bucket=bucket_counts)  # fmt: skip
    return _one(name, histo=found)


def histogram(name: str, values: Any, bins: Any, max_bins: int | None = None) -> Any:
    """The counts of values between the limits `bins`."""
    return _one(name, histo=make_histogram(make_np(values).astype(float), bins, max_bins))


def make_histogram(values: Any, bins: Any, max_bins: int | None = None) -> Any:
    """Count `values`; bins that are empty at both ends are left out, but one.

    Raises: ValueError for no values.
    """
    if values.size == 0:
        raise ValueError("The input has no element.")
    values = values.reshape(-1)
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        rest = len(counts) % step
        if rest:
            counts = np.pad(counts, (0, step - rest))
        counts = counts.reshape(-1, step).sum(-1)
        ends = limits[::step]
        limits = np.append(ends, limits[-1]) if len(ends) == len(counts) else ends
    within = np.cumsum(np.greater(counts, 0))
    start, end = np.searchsorted(within, [0, within[-1] - 1], side="right")
    start, end = int(start), int(end) + 1
    # With an empty first bin in front, so that the first limit is shown.
    counts = counts[start - 1 : end] if start > 0 else np.concatenate([[0], counts[:end]])
    limits = limits[start : end + 1]
    if counts.size == 0 or limits.size == 0:
        raise ValueError("The histogram is empty, please file a bug report.")
    return HistogramProto(
        min=values.min(), max=values.max(), num=len(values), sum=values.sum(),
        sum_squares=values.dot(values), bucket_limit=limits.tolist(), bucket=counts.tolist(),
    )  # fmt: skip


def _scaled(array: Any) -> Any:
    factor = 1 if array.dtype == np.uint8 else 255
    return (array.astype(np.float32) * factor).clip(0, 255).astype(np.uint8)


def image(tag: str, tensor: Any, rescale: float = 1, dataformats: str = "NCHW") -> Any:
    """A picture, or several side by side; floats lie in [0, 1]."""
    array = convert_to_hwc(make_np(tensor), dataformats)
    return _one(tag, image=make_image(_scaled(array), rescale=rescale))


def image_boxes(
    tag: str, tensor_image: Any, tensor_boxes: Any, rescale: float = 1, dataformats: str = "CHW",
    labels: Any = None,
) -> Any:  # fmt: skip
    """A picture with boxes (x1, y1, x2, y2) and their labels drawn in."""
    array = _scaled(convert_to_hwc(make_np(tensor_image), dataformats))
    boxes = make_np(tensor_boxes)
    found = make_image(array, rescale=rescale, rois=boxes, labels=labels)
    return _one(tag, image=found)


def make_image(tensor: Any, rescale: float = 1, rois: Any = None, labels: Any = None) -> Any:
    """The PNG record of a height x width x channels array of bytes."""
    from PIL import Image, ImageDraw

    height, width, channels = tensor.shape
    picture = Image.fromarray(tensor)
    if rois is not None:
        pen = ImageDraw.Draw(picture)
        for k, (left, top, right, bottom) in enumerate(rois[:, :4].tolist()):
            pen.rectangle([left, top, right, bottom], outline="Red", width=2)
            if labels is not None:
                pen.text((left, bottom), labels[k], fill="Red")
    height, width = int(height * rescale), int(width * rescale)
    file = io.BytesIO()
    picture.resize((width, height), Image.Resampling.LANCZOS).save(file, format="PNG")
    return Summary.Image(height=height, width=width, colorspace=channels,
                         encoded_image_string=file.getvalue())  # fmt: skip


def audio(tag: str, tensor: Any, sample_rate: int = 44100) -> Any:
    """One channel of sound in [-1, 1], as a WAV record."""
    import wave

    array = make_np(tensor).squeeze()
    if abs(array).max() > 1:
        array = array.clip(-1, 1)
    if array.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes((array * np.iinfo(np.int16).max).astype("<i2").tobytes())
    found = Summary.Audio(
        sample_rate=sample_rate, num_channels=1, length_frames=array.shape[-1],
        encoded_audio_string=file.getvalue(), content_type="audio/wav",
    )  # fmt: skip
    return _one(tag, audio=found)


def text(tag: str, text: str) -> Any:
    """A piece of Markdown."""
    from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

    content = TextPluginData(version=0).SerializeToString()
    proto = TensorProto(dtype="DT_STRING", string_val=[text.encode("utf_8")],
                        tensor_shape=_shape([1]))  # fmt: skip
    return _one(f"{tag}/text_summary", metadata=_of_plugin("text", content), tensor=proto)


def custom_scalars(layout: dict[str, Any]) -> Any:
    """How scalar charts are grouped."""
    from tensorboard.plugins.custom_scalar import layout_pb2

    groups = []
    for title, charts in layout.items():
        made = []
        for name, (kind, tags) in charts.items():
            if kind == "Margin":
                value, lower, upper = tags
                series = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
                content = layout_pb2.MarginChartContent(series=[series])
                made.append(layout_pb2.Chart(title=name, margin=content))
            else:
                lines = layout_pb2.MultilineChartContent(tag=tags)
                made.append(layout_pb2.Chart(title=name, multiline=lines))
        groups.append(layout_pb2.Category(title=title, chart=made))
    whole = layout_pb2.Layout(category=groups).SerializeToString()
    proto = TensorProto(dtype="DT_STRING", string_val=[whole], tensor_shape=TensorShapeProto())
    return _one("custom_scalars__config__", tensor=proto, metadata=_of_plugin("custom_scalars"))


def pr_curve_raw(
    tag: str, tp: Any, fp: Any, tn: Any, fn: Any, precision: Any, recall: Any,
    num_thresholds: int = 127, weights: Any = None,
) -> Any:  # fmt: skip
    """A precision-recall curve that has been worked out already."""
    return _curve(tag, np.stack((tp, fp, tn, fn, precision, recall)), min(num_thresholds, 127))


def pr_curve(
    tag: str, labels: Any, predictions: Any, num_thresholds: int = 127, weights: Any = None
) -> Any:
    """The precision-recall curve of predictions in [0, 1] for labels 0 and 1."""
    count = min(num_thresholds, 127)
    return _curve(tag, compute_curve(labels, predictions, count, weights), count)


def _curve(tag: str, data: Any, count: int) -> Any:
    from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData

    content = PrCurvePluginData(version=0, num_thresholds=count).SerializeToString()
    proto = TensorProto(dtype="DT_FLOAT", float_val=data.reshape(-1).tolist(),
                        tensor_shape=_shape(data.shape))  # fmt: skip
    return _one(tag, metadata=_of_plugin("pr_curves", content), tensor=proto)


def compute_curve(
    labels: Any, predictions: Any, num_thresholds: int | None = None, weights: Any = None
) -> Any:
    """Rows: true and false positives, true and false negatives, precision, recall."""
    count = num_thresholds or 127
    share = 1.0 if weights is None else weights
    bucket = np.int32(np.floor(predictions * (count - 1)))
    span = (0, count - 1)
    hits, _ = np.histogram(bucket, bins=count, range=span, weights=labels.astype(float) * share)
    misses, _ = np.histogram(bucket, bins=count, range=span, weights=(1.0 - labels) * share)
    tp, fp = np.cumsum(hits[::-1])[::-1], np.cumsum(misses[::-1])[::-1]
    tn, fn = fp[0] - fp, tp[0] - tp
    least = 1e-7
    precision = tp / np.maximum(least, tp + fp)
    return np.stack((tp, fp, tn, fn, precision, tp / np.maximum(least, tp + fn)))


def mesh(
    tag: str, vertices: Any, colors: Any, faces: Any, config_dict: Any,
    display_name: str | None = None, description: str | None = None,
) -> Any:  # fmt: skip
    """Points in space, with colours and triangles where they are given."""
    from tensorboard.plugins.mesh import metadata
    from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

    parts = [
        (vertices, MeshPluginData.VERTEX), (faces, MeshPluginData.FACE),
        (colors, MeshPluginData.COLOR),
    ]  # fmt: skip
    parts = [(value, kind) for value, kind in parts if value is not None]
    components = metadata.get_components_bitmask([kind for _, kind in parts])
    values = []
    for value, kind in parts:
        about = metadata.create_summary_metadata(
            tag, display_name, kind, components, value.shape, description,
            json_config=json.dumps(config_dict or {}, sort_keys=True),
        )  # fmt: skip
        proto = TensorProto(dtype="DT_FLOAT", float_val=value.reshape(-1).tolist(),
                            tensor_shape=_shape(value.shape))  # fmt: skip
        name = metadata.get_instance_name(tag, kind)
        values.append(Summary.Value(tag=name, tensor=proto, metadata=about))
    return Summary(value=values)
