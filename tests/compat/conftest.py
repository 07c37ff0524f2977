"""Fixtures of the compatibility tests: scripts through one or both libraries, real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.compat.sheet_runner import SUBJECT, Transcript, compare, run_script


@pytest.fixture(scope="session", autouse=True)
def torch_warns_every_time():
    """PyTorch gives some warnings once a process; here each script must see its own."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.fixture
def script() -> Callable[..., Transcript]:
    """Runs a script through torchish only; for what PyTorch refuses today."""

    def run(source: str, **names: Any) -> Transcript:
        return run_script(SUBJECT, source, **names)

    return run


@pytest.fixture
def both() -> Callable[..., Transcript]:
    """Runs a script through both libraries, asserts that they agree, returns torchish's transcript.

    Args of the returned function:
        source: the script.
        modern: what PyTorch runs instead, where it no longer takes the form in `source`.
        rtol: compare printed numbers with this tolerance; None compares characters.
        errors: "text" compares class and message, "class" only the class.
        raises: how many statements must fail; so a script cannot agree by failing everywhere.
    """

    def run(
        source: str,
        *,
        modern: str | None = None,
        rtol: float | None = None,
        errors: str = "text",
        raises: int = 0,
        seed: int = 0,
        **names: Any,
    ) -> Transcript:
        theirs = run_script("torch", modern or source, seed=seed, **names)
        assert len(theirs.errors) == raises, theirs.errors
        own = run_script(SUBJECT, source, seed=seed, **names)
        compare(own, theirs, rtol=rtol, errors=errors)
        if modern is None:
            extra = own.warned - theirs.warned
            assert not extra, f"torchish warned where torch did not: {extra}"
        return own

    return run


def data_root() -> Path | None:
    """Where the real data sets lie: TORCHISH_DATA, or `shared/data` beside the repository."""
    given = os.environ.get("TORCHISH_DATA")
    if given:
        return Path(given)
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return beside if beside.is_dir() else None


@pytest.fixture
def cifar_folder(tmp_path: Path) -> Path:
    """A folder with the five CIFAR-10 training batches: the real ones, or a few made-up images."""
    import pickle

    root = data_root()
    if root is not None and (root / "cifar-10-batches-py" / "data_batch_1").is_file():
        return root / "cifar-10-batches-py"
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        labels = [int(label) for label in rng.permutation(np.arange(20) % 10)]
        batch = {
            b"batch_label": f"training batch {number} of 5".encode(),
            b"labels": labels,
            b"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8),
            b"filenames": [f"made_up_s_{i:06d}.png".encode() for i in range(20)],
        }
        (tmp_path / f"data_batch_{number}").write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path
