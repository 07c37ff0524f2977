"""`SummaryWriter`: what a training run logs, written for TensorBoard."""

from __future__ import annotations

import os
import time
from typing import Any

from ..._basics.errors import not_supported

try:
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as error:
    raise ModuleNotFoundError(
        "torch.utils.tensorboard needs the tensorboard package: pip install tensorboard",
        name="tensorboard",
    ) from error

from . import _embedding, summary as records
from ._arrays import figure_to_image, make_np
from ._hparams import hparams


class FileWriter:
    """Appends records to the event file of one folder."""

    def __init__(
        self, log_dir: Any, max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = ""
    ) -> None:
        self._folder = str(log_dir)
        self.event_writer = EventFileWriter(self._folder, max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def add_event(self, event: Any, step: Any = None, walltime: float | None = None) -> None:
        """Append one event."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(
        self, summary: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Append one record."""
        self.add_event(event_pb2.Event(summary=summary), global_step, walltime)

    def flush(self) -> None:
        """Write what is still in memory."""
        self.event_writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.event_writer.close()

    def reopen(self) -> None:
        """Do nothing: the file stays open until `close`."""


def _growing_bins() -> list[float]:
    positive = []
    edge = 1e-12
    while edge < 1e20:
        positive.append(edge)
        edge *= 1.1
    return [*(-e for e in reversed(positive)), 0, *positive]


class SummaryWriter:
    """Writes scalars, pictures, histograms and more to an event file below `log_dir`.

    Args:
        log_dir: the folder (default: `runs/DATE_HOST` and `comment`).
        comment: appended to the default folder's name.
        purge_step: what a crashed run logged from this step on is to be forgotten.
        max_queue: how many records wait in memory.
        flush_secs: how often they are written.
        filename_suffix: appended to the event file's name.

    Source: https://pytorch.org/docs/stable/tensorboard.html
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        if not log_dir:
            import socket
            from datetime import datetime

            stamp = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{stamp}_{socket.gethostname()}{comment}")
        self.log_dir = log_dir
        self.purge_step, self.max_queue = purge_step, max_queue
        self.flush_secs, self.filename_suffix = flush_secs, filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self._get_file_writer()
        self.default_bins = _growing_bins()

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None or self.all_writers is None:
            made = FileWriter(self.log_dir, self.max_queue, self.flush_secs, self.filename_suffix)
            self.file_writer = made
            self.all_writers = {made.get_logdir(): made}
            if self.purge_step is not None:
                step = self.purge_step
                version = event_pb2.Event(step=step, file_version="brain.Event:2")
                made.add_event(version)
                start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
                made.add_event(event_pb2.Event(step=step, session_log=start))
                self.purge_step = None
        return self.file_writer

    def _write(self, record: Any, step: Any, walltime: float | None) -> None:
        self._get_file_writer().add_summary(record, step, walltime)

    def get_logdir(self) -> Any:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """Log one number."""
        record = records.scalar(tag, scalar_value, None, new_style, double_precision)
        self._write(record, global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log several numbers into one chart; each has a file in a folder of its own."""
        now = time.time() if walltime is None else walltime
        folder = self._get_file_writer().get_logdir()
        assert self.all_writers is not None
        for tag, value in tag_scalar_dict.items():
            place = f"{folder}/{main_tag.replace('/', '_')}_{tag}"
            if place not in self.all_writers:
                self.all_writers[place] = FileWriter(
                    place, self.max_queue, self.flush_secs, self.filename_suffix
                )
            record = records.scalar(main_tag, value)
            self.all_writers[place].add_summary(record, global_step, now)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: Any = None, run_name: str | None = None, global_step: Any = None,
    ) -> None:  # fmt: skip
        """Log a run's hyperparameters and what they led to."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        made = hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        name = run_name or str(time.time())
        with SummaryWriter(os.path.join(self._get_file_writer().get_logdir(), name)) as inner:
            for record in made:
                inner._write(record, global_step, None)
            for key, value in metric_dict.items():
                inner.add_scalar(key, value, global_step)

    def add_tensor(
        self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log a whole tensor."""
        self._write(records.tensor_proto(tag, tensor), global_step, walltime)

    def add_histogram(
        self, tag: str, values: Any, global_step: Any = None, bins: Any = "tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """Log the distribution of values; `bins` is numpy's, or "tensorflow"."""
        limits = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._write(records.histogram(tag, values, limits, max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag: str, min: Any, max: Any, num: Any, sum: Any, sum_squares: Any,
        bucket_limits: Any, bucket_counts: Any, global_step: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log a histogram that has been counted already."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        record = records.histogram_raw(
            tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts
        )
        self._write(record, global_step, walltime)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:  # fmt: skip
        """Log a picture."""
        self._write(records.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:  # fmt: skip
        """Log pictures side by side."""
        if isinstance(img_tensor, list):
            if dataformats.upper() not in ("CHW", "HWC"):
                raise AssertionError("A list of image is passed in, but the dataformat is neither "
                                     "CHW nor HWC. Nothing is written.")  # fmt: skip
            from ..._ops.registry import ops

            img_tensor, dataformats = ops.stack(img_tensor, 0), f"N{dataformats}"
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self, tag: str, img_tensor: Any, box_tensor: Any, global_step: Any = None,
        walltime: float | None = None, rescale: float = 1, dataformats: str = "CHW",
        labels: Any = None,
    ) -> None:  # fmt: skip
        """Log a picture with boxes drawn in."""
        if labels is not None:
            labels = [labels] if isinstance(labels, str) else labels
            if len(labels) != box_tensor.shape[0]:
                labels = None
        record = records.image_boxes(tag, img_tensor, box_tensor, rescale, dataformats, labels)
        self._write(record, global_step, walltime)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log a figure of matplotlib, or a list of them."""
        form = "NCHW" if isinstance(figure, list) else "CHW"
        picture = figure_to_image(figure, close)
        self.add_image(tag, picture, global_step, walltime, form)

    def add_video(
        self, tag: str, vid_tensor: Any, global_step: Any = None, fps: int = 4,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Refuse: it needs a video encoder."""
        raise not_supported("SummaryWriter.add_video", "add_images of the frames")

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: Any = None, sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log a sound."""
        self._write(records.audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log a text in Markdown."""
        self._write(records.text(tag, text_string), global_step, walltime)

    def add_onnx_graph(self, prototxt: Any) -> None:
        """Refuse: there is no ONNX here."""
        raise not_supported("SummaryWriter.add_onnx_graph", "torch.export.export")

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:  # fmt: skip
        """Refuse: nothing is traced by TorchScript."""
        raise not_supported("SummaryWriter.add_graph", "add_text of str(model)")

    def add_embedding(
        self, mat: Any, metadata: Any = None, label_img: Any = None, global_step: Any = None,
        tag: str = "default", metadata_header: Any = None,
    ) -> None:  # fmt: skip
        """Write vectors, with labels and pictures, for the projector."""
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

        step = 0 if global_step is None else global_step
        root = self._get_file_writer().get_logdir()
        where = _embedding.folder_name(tag, step)
        _embedding.write(os.path.join(root, where), mat, metadata, label_img, metadata_header)
        config: Any = self.__dict__.setdefault("_projector_config", ProjectorConfig())
        name = f"{tag}:{str(step).zfill(5)}"
        config.embeddings.append(_embedding.entry(name, where, metadata, label_img))
        path = os.path.join(root, "projector_config.pbtxt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(config))

    def add_pr_curve(
        self, tag: str, labels: Any, predictions: Any, global_step: Any = None,
        num_thresholds: int = 127, weights: Any = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log the precision-recall curve of predictions."""
        found, truth = make_np(predictions), make_np(labels)
        record = records.pr_curve(tag, truth, found, num_thresholds, weights)
        self._write(record, global_step, walltime)

    def add_pr_curve_raw(
        self, tag: str, true_positive_counts: Any, false_positive_counts: Any,
        true_negative_counts: Any, false_negative_counts: Any, precision: Any, recall: Any,
        global_step: Any = None, num_thresholds: int = 127, weights: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log a precision-recall curve that has been worked out already."""
        record = records.pr_curve_raw(
            tag, true_positive_counts, false_positive_counts, true_negative_counts,
            false_negative_counts, precision, recall, num_thresholds, weights,
        )  # fmt: skip
        self._write(record, global_step, walltime)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show several scalars in one chart."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show a scalar between two others."""
        if len(tags) != 3:
            raise AssertionError("The length of tags must be 3")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_custom_scalars(self, layout: dict[str, Any]) -> None:
        """Say how scalar charts are grouped."""
        self._write(records.custom_scalars(layout), None, None)

    def add_mesh(
        self, tag: str, vertices: Any, colors: Any = None, faces: Any = None,
        config_dict: Any = None, global_step: Any = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Log points in space."""
        record = records.mesh(tag, vertices, colors, faces, config_dict)
        self._write(record, global_step, walltime)

    def flush(self) -> None:
        """Write what is still in memory."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write all and close the files; logging again opens new ones."""
        for writer in (self.all_writers or {}).values():
            writer.flush()
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
