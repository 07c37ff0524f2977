"""`SummaryWriter` writes the records that PyTorch's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.tensorboard
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import torchish
import torchish.utils.tensorboard


def written(m: Any, folder: Path) -> list[str]:
    """What one writer of each library leaves, but for times."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100).astype("float32")
    picture = rng.random((3, 4, 5)).astype("float32")
    with m.utils.tensorboard.SummaryWriter(str(folder)) as w:
        w.add_scalar("a", m.tensor(1.5), 1)
        w.add_scalar("a", 2, 2, new_style=True, double_precision=True)
        w.add_scalars("group/x", {"p": 1.0, "q": 2.0}, 3)
        w.add_histogram("h", m.from_numpy(x), 4)
        w.add_histogram("auto", x, 4, bins="auto", max_bins=5)
        w.add_image("i", m.from_numpy(picture), 5)
        w.add_images("many", m.from_numpy(picture[None].repeat(3, 0)), 5)
        w.add_image("grey", (picture[0] * 255).astype("uint8"), dataformats="HW")
        w.add_text("t", "**bold**", 6)
        w.add_pr_curve("pr", m.tensor([0, 1, 1, 0]), m.tensor([0.1, 0.4, 0.9, 0.6]), 7)
        w.add_audio("s", m.from_numpy(np.sin(np.arange(50.0, dtype="float32"))), 8)
        w.add_tensor("whole", m.arange(4.0), 9)
        w.add_hparams({"lr": 0.1, "name": "adam", "n": 3}, {"accuracy": 0.5}, run_name="run")
        w.add_embedding(m.arange(6.0).view(3, 2), ["a", "b", "c"], global_step=2)
        w.add_custom_scalars({"c": {"m": ["Multiline", ["a", "h"]]}})
    found = []
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder).parent)
        if path.name.startswith("events"):
            for event in EventFileLoader(str(path)).Load():
                event.wall_time = 0
                event.source_metadata.Clear()
                found.append(f"{place}: {event}")
        elif path.is_file():
            found.append(f"{place}/{path.name}: {path.read_text()}")
    return found


def test_the_same_records(tmp_path: Path) -> None:
    mine, theirs = (written(m, tmp_path / m.__name__) for m in (torchish, torch))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        if "encoded_image_string" not in a:  # PNG bytes depend on the resampling
            assert a == b


def test_what_needs_a_graph_is_refused(tmp_path: Path) -> None:
    with torchish.utils.tensorboard.SummaryWriter(tmp_path) as w:
        with pytest.raises(NotImplementedError, match=r"add_graph.*add_text"):
            w.add_graph(torchish.nn.Linear(1, 1))
