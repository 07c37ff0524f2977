"""OpInfo entries in CI: a fixed subset by hash; `make compat` runs all of them.

TORCHISH_OPINFO=all runs every entry here too; TORCHISH_OPINFO=k/n one part of n.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from torchish._basics.settings import settings

from .checks import Limits, examine, examine_errors
from .excluded import label
from .known_differences import reason_for
from .runner import entries, in_shard, prepare, release, supported

CHOSEN = os.environ.get("TORCHISH_OPINFO", "1/6")
LIMITS = Limits(forward=2, gradient=1, second=1, forms=1, errors=3)
OPS = [op for op in entries() if CHOSEN == "all" or in_shard(label(op), CHOSEN)]


@pytest.fixture(autouse=True, scope="module")
def node_by_node() -> Iterator[None]:
    """Kernels are shared between samples; a whole program for each would never be seen again."""
    before = settings.eager
    prepare()
    yield
    settings.eager = before
    release()


def settle(entry: str, dtype: str, found: dict[str, str]) -> None:
    """Fail for what no row explains; xfail with the reason where one does."""
    wrong = {k: v for k, v in found.items() if v not in ("ok", "none")}
    open_ones = {k: v for k, v in wrong.items() if reason_for(entry, dtype, k) is None}
    assert not open_ones
    if wrong:
        pytest.xfail("; ".join(f"{k}: {reason_for(entry, dtype, k)}" for k in wrong))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", OPS, ids=label)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_entry(op: object, dtype: str) -> None:
    for chosen in supported(op, (dtype,)):
        settle(label(op), dtype, examine(op, chosen, LIMITS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", [op for op in OPS if op.error_inputs_func is not None], ids=label)
def test_errors(op: object) -> None:
    settle(label(op), "-", {"errors": examine_errors(op, LIMITS)})
