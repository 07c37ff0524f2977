"""Checkpoints with several devices (simulated ones) and without PyTorch in reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_script(source: str, **env: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **env},
    )
    assert done.returncode == 0, done.stderr


DEVICES = """
import copy, io
import torch
import torchish
from torchish.utils.data import DataLoader, TensorDataset

def file_of(obj, lib):
    buffer = io.BytesIO()
    lib.save(obj, buffer)
    return buffer.getvalue()

x = torch.arange(6.0)
data = file_of({"a": x, "v": x[2:].view(2, 2)}, torch)
for where, expected in (
    ("cuda", "cuda:0"),
    ("cuda:1", "cuda:1"),
    ({"cpu": "cuda:2"}, "cuda:2"),
    (lambda storage, tag: storage.cuda(1), "cuda:1"),
    (torchish.device("cuda", 3), "cuda:3"),
):
    mine = torchish.load(io.BytesIO(data), map_location=where)
    assert str(mine["a"].device) == str(mine["v"].device) == expected
    assert mine["a"]._storage is mine["v"]._storage
    assert mine["v"].tolist() == [[2.0, 3.0], [4.0, 5.0]]
moved = file_of(mine, torchish)
assert str(torchish.load(io.BytesIO(moved))["a"].device) == "cuda:3"
back = torch.load(io.BytesIO(moved), map_location="cpu")
assert back["a"].data_ptr() + 8 == back["v"].data_ptr()
tags = []
torch.load(io.BytesIO(moved), map_location=lambda s, tag: tags.append(tag) or s)
assert tags == ["cuda:3"]
try:
    torchish.load(io.BytesIO(data), map_location="cuda:9")
except RuntimeError as error:
    assert "Attempting to deserialize object on CUDA device 9 but" in str(error)
else:
    raise AssertionError
model = torchish.nn.Linear(2, 2).to("cuda:1")
assert str(copy.deepcopy(model).weight.device) == "cuda:1"
rows = TensorDataset(torchish.arange(4.0, device="cuda"))
threads = dict(num_workers=1, pin_memory=True, multiprocessing_context="thread")
batches = list(DataLoader(rows, 2, **threads))
assert [b[0].tolist() for b in batches] == [[0.0, 1.0], [2.0, 3.0]]
"""


def test_devices() -> None:
    flags = "--xla_force_host_platform_device_count=4"
    run_script(DEVICES, TORCHISH_FAKE_CUDA="1", XLA_FLAGS=flags)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # any import of it fails
import io
import torchish
model = torchish.nn.Sequential(torchish.nn.Linear(2, 2), torchish.nn.ReLU())
for obj, options in ((model.state_dict(), {}), (model, {"weights_only": False})):
    for zipped in (True, False):
        buffer = io.BytesIO()
        torchish.save(obj, buffer, _use_new_zipfile_serialization=zipped)
        buffer.seek(0)
        loaded = torchish.load(buffer, **options)
        assert type(loaded) is type(obj)
batches = torchish.utils.data.DataLoader([(1, 2.0)] * 4, batch_size=2, num_workers=1)
assert len(list(batches)) == 2
"""


def test_without_pytorch() -> None:
    run_script(WITHOUT_TORCH)
