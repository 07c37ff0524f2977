"""The examples: with torchish and with PyTorch they print the same losses from one seed."""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.e2e.programs import ROOT, run

EXAMPLES = ROOT / "examples"
HORSES = ROOT.parent / "shared" / "data" / "cifar-10-batches-py"
NUMBER = re.compile(r"(?<=[ /])-?\d+\.\d{4}")

# A short run of a small network: 20 iterations with one batch size.
DIGITS = ["--dataset", "digits", "--imageSize", "32", "--ngf", "8", "--ndf", "8", "--nz", "16",
          "--batchSize", "16", "--manualSeed", "3", "--workers", "0", "--niter", "1"]  # fmt: skip


def losses(output: str) -> np.ndarray:
    """One row for each printed iteration."""
    lines = [line for line in output.splitlines() if "Loss_D" in line]
    return np.array([[float(n) for n in NUMBER.findall(line.split("]", 2)[2])] for line in lines])


def assert_close_logs(ours: np.ndarray, theirs: np.ndarray) -> None:
    """To 1e-3, which leaves room for the last of the four printed digits."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module")
def dcgan(once, tmp_path_factory):
    """dcgan.py for 20 iterations, with both: the folder, and what they printed."""
    return once("dcgan", lambda: _twenty_iterations(tmp_path_factory.mktemp("dcgan")))


def _twenty_iterations(folder):
    script = folder / "dcgan_20.py"
    source = (EXAMPLES / "dcgan.py").read_text()
    # the only change: an epoch ends after 20 iterations
    assert source.count("if opt.dry_run:\n                break") == 1
    script.write_text(
        source.replace(
            "if opt.dry_run:\n                break", "if i == 19:\n                break"
        )
    )
    ours = run(script, *DIGITS, "--outf", folder / "ours").stdout
    theirs = run(script, *DIGITS, "--outf", folder / "theirs", torchish=False).stdout
    return folder, ours, theirs


def test_dcgan_prints_pytorchs_losses(dcgan):
    _, ours, theirs = dcgan
    assert len(losses(ours)) == 20
    assert_close_logs(losses(ours), losses(theirs))


def test_dcgan_prints_pytorchs_networks(dcgan):
    _, ours, theirs = dcgan
    head = [output[: output.index("[0/1][0/")] for output in (ours, theirs)]
    assert head[0] == head[1]
    assert "ConvTranspose2d(16, 32, kernel_size=(4, 4), stride=(1, 1), bias=False)" in head[0]


def test_dcgan_checkpoints_load_in_pytorch(dcgan):
    folder, *_ = dcgan
    for name in ("netG_epoch_0.pth", "netD_epoch_0.pth"):
        ours = torch.load(folder / "ours" / name, weights_only=True)
        theirs = torch.load(folder / "theirs" / name, weights_only=True)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert ours[key].dtype == value.dtype
            torch.testing.assert_close(ours[key], value, rtol=1e-2, atol=2e-3)


def test_dcgan_pictures(dcgan):
    folder, ours, _ = dcgan
    picture = Image.open(folder / "ours" / "fake_samples_epoch_000.png")
    assert picture.size == (8 * 34 + 2, 2 * 34 + 2)
    assert np.array(picture).std() > 5
    assert str(folder / "ours" / "fake_samples_epoch_000.png") in ours
    assert (folder / "ours" / "real_samples.png").exists()


def test_dcgan_goes_on_from_checkpoints(dcgan):
    folder, *_ = dcgan
    options = [*DIGITS, "--outf", folder / "again", "--dry-run"]
    nets = [f"--net{n}={folder}/theirs/net{n}_epoch_0.pth" for n in "GD"]  # PyTorch wrote them
    first = losses(run(EXAMPLES / "dcgan.py", *options, *nets).stdout)
    expected = losses(run(EXAMPLES / "dcgan.py", *options, *nets, torchish=False).stdout)
    assert len(first) == 1
    assert_close_logs(first, expected)


def test_initial_weights_are_pytorchs(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import dcgan, torch\n"
        "torch.manual_seed(11)\n"
        "nets = [dcgan.Generator(1, 64, 100, 16, 3), dcgan.Discriminator(1, 64, 16, 3)]\n"
        "for net in nets: net.apply(dcgan.weights_init)\n"
        "torch.save([net.state_dict() for net in nets], sys.argv[1])\n"
    )
    run("-c", code, tmp_path / "ours.pt")
    run("-c", code, tmp_path / "theirs.pt", torchish=False)
    ours, theirs = (torch.load(tmp_path / name) for name in ("ours.pt", "theirs.pt"))
    for mine, reference in zip(ours, theirs, strict=True):
        assert list(mine) == list(reference)
        for key, value in reference.items():
            torch.testing.assert_close(mine[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dataset", ["fake", "folder"])
def test_dcgan_on_other_datasets(dataset, tmp_path):
    root = tmp_path / "images" / "class"
    root.mkdir(parents=True)
    for k in range(4):
        Image.new("RGB", (40, 30), (60 * k, 90, 200)).save(root / f"{k}.png")
    printed = run(
        EXAMPLES / "dcgan.py", "--dataset", dataset, "--dataroot", root.parent, "--imageSize", "16",
        "--ngf", "4", "--ndf", "4", "--nz", "8", "--batchSize", "4", "--dry-run",
        "--outf", tmp_path,
    ).stdout  # fmt: skip
    assert np.isfinite(losses(printed)).all()


def test_dcgan_refuses_bad_options(tmp_path):
    assert (
        "must be a power of 2"
        in run(EXAMPLES / "dcgan.py", "--dataset", "fake", "--imageSize", "48", ok=False).stderr
    )
    assert (
        "--dataroot is required"
        in run(EXAMPLES / "dcgan.py", "--dataset", "folder", ok=False).stderr
    )


def _small_cifar(folder: Path) -> Path:
    """Batches in the original format: smooth images, every other one a horse."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for k in range(1, 6):
        coarse = rng.integers(0, 256, (16, 3, 4, 4), dtype=np.uint8)
        images = coarse.repeat(8, axis=2).repeat(8, axis=3).reshape(16, 3072)
        batch = {b"data": images, b"labels": [7, 3] * 8}
        (folder / f"data_batch_{k}").write_bytes(pickle.dumps(batch, protocol=2))
    return folder


def test_horses_train_as_with_pytorch(tmp_path):
    data = _small_cifar(tmp_path / "cifar")
    options = ["--dataroot", data, "--batchSize", "8", "--niter", "4", "--ngf", "8", "--ndf", "8",
               "--nz", "16", "--every", "2", "--workers", "0"]  # fmt: skip
    ours = run(EXAMPLES / "cifar10_horses.py", *options, "--outf", tmp_path / "ours").stdout
    theirs = run(
        EXAMPLES / "cifar10_horses.py", *options, "--outf", tmp_path / "theirs", torchish=False
    ).stdout
    assert "40 horses" in ours
    assert len(losses(ours)) == 20
    assert_close_logs(losses(ours), losses(theirs))
    names = sorted(os.listdir(tmp_path / "ours"))
    assert names == sorted(os.listdir(tmp_path / "theirs"))
    assert "horses_epoch_003.png" in names
    # our checkpoint, optimizers and all, goes on here and in PyTorch
    options[options.index("4")] = "5"
    options += ["--resume", tmp_path / "ours" / "checkpoint.pth", "--outf", tmp_path / "more"]
    here = run(EXAMPLES / "cifar10_horses.py", *options).stdout
    there = run(EXAMPLES / "cifar10_horses.py", *options, torchish=False).stdout
    assert len(losses(here)) == 5
    assert_close_logs(losses(here), losses(there))


@pytest.mark.slow
@pytest.mark.skipif(not HORSES.is_dir(), reason="the CIFAR-10 batches are not in this repository")
def test_real_horses(tmp_path):
    printed = run(
        EXAMPLES / "cifar10_horses.py", "--dataroot", HORSES, "--outf", tmp_path,
        "--niter", "2", "--ngf", "16", "--ndf", "16",
    ).stdout  # fmt: skip
    assert "512 horses" in printed
    table = losses(printed)
    assert table.shape == (16, 2)
    assert np.isfinite(table).all()
    assert (np.ptp(table, axis=0) > 0.05).all()  # D and G both move
    first = torch.load(tmp_path / "netG_epoch_1.pth", weights_only=True)
    assert all(bool(torch.isfinite(value).all()) for value in first.values())


def test_hello():
    printed = run(EXAMPLES / "hello.py", torchish=True).stdout.splitlines()
    assert printed[0].startswith("step   0  loss ")
    assert float(printed[4].split()[-1]) < 0.2
    assert printed[-1].endswith("of the points are on the right arm")
