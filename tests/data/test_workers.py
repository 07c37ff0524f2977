"""Worker processes: what PyTorch's give, every time; nothing hangs and nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from tests.data import worker_datasets
from torchish._autograd import interop
from torchish.utils import data

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
OURS, THEIRS = worker_datasets.make(torchish), worker_datasets.make(torch)


def plain(x: Any) -> Any:
    """A batch without tensors: values and what describes them."""
    if isinstance(x, torch.Tensor | torchish.Tensor):
        resolved = x.detach().resolve_conj()
        values = resolved.float() if x.dtype in (torch.bfloat16, torchish.bfloat16) else resolved
        facts = (tuple(x.shape), tuple(x.stride()), str(x.dtype), x.requires_grad, x.is_conj())
        return (type(x).__name__, *facts, values.tolist())
    if isinstance(x, np.ndarray):
        return ("ndarray", x.dtype.str, x.flags.writeable, x.tolist())
    if isinstance(x, dict):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [type(x).__name__, *map(plain, x)]
    return x if isinstance(x, int | float | str | bytes | None) else str(x)


def loader(module: Any, dataset: Any, **options: Any) -> Any:
    return module.utils.data.DataLoader(dataset, **options)


def own_children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def left() -> tuple[int, int, int]:
    """Descriptors, mappings of shared memory and names of it that this process holds."""
    gc.collect()
    # Tests beside this one use joblib and PyTorch, which have names of their own there.
    others = ("joblib_", "torch_")
    names = [n for n in os.listdir("/dev/shm") if not n.startswith(others)]
    return len(os.listdir("/proc/self/fd")), mappings(), len(names)


def mappings() -> int:
    """How many mappings of shared memory this process holds."""
    return Path("/proc/self/maps").read_text().count("memfd:torchish")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Every test ends with no worker, no descriptor and no shared memory of its own."""
    resource_tracker.ensure_running()  # a child that Python keeps
    before = set(own_children())
    yield
    if set(own_children()) - before:
        gc.collect()  # seconds in a long-lived test process: only where something may be held
    end = time.monotonic() + 5
    while set(own_children()) - before and time.monotonic() < end:
        time.sleep(0.01)
    kept = {str(forkserver._forkserver._forkserver_pid)}  # type: ignore[attr-defined]
    assert not set(own_children()) - before - kept


class Numbers(data.Dataset):
    """0 to count - 1, each after a pause."""

    def __init__(self, count: int, pause: float = 0.0) -> None:
        self.count, self.pause = count, pause

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        time.sleep(self.pause)
        return index


# --- what PyTorch gives ---


def seed_all(worker_id: int) -> None:
    np.random.seed(worker_id + 3)
    random.seed(worker_id + 4)


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 2},
        {"num_workers": 2, "shuffle": True, "batch_size": 2, "worker_init_fn": seed_all},
        {"num_workers": 3, "shuffle": True, "persistent_workers": True, "prefetch_factor": 1},
        {"num_workers": 1, "batch_size": None, "multiprocessing_context": "fork"},
    ],
)
def test_every_source_of_random_numbers_is_pytorchs(options: dict[str, Any]) -> None:
    results = []
    for made in (OURS, THEIRS):
        made.torch.manual_seed(11)
        np.random.seed(1)
        random.seed(1)
        kept = np.random.get_state()[1].tobytes(), random.getstate()
        batches = loader(made.torch, made.Draws(), **options)
        found = [plain(b) for _ in range(2) for b in batches]
        assert (np.random.get_state()[1].tobytes(), random.getstate()) == kept
        results.append((found, made.torch.rand(2).tolist()))
        del batches
    assert results[0] == results[1]


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"batch_size": 2, "drop_last": True}])
def test_streams_are_shared_among_workers(options: dict[str, Any]) -> None:
    results = []
    for made in (OURS, THEIRS):
        made.torch.manual_seed(5)
        batches = loader(made.torch, made.Stream(), num_workers=3, **options)
        results.append([plain(b) for b in batches])
    assert results[0] == results[1]


def test_samples_of_all_types_arrive_as_they_are() -> None:
    results = []
    for made in (OURS, THEIRS):
        batches = loader(made.torch, made.Kinds(), batch_size=None, num_workers=1)
        results.append([plain(b) for b in batches])
    for ours, theirs in zip(*results, strict=True):
        assert ours == theirs


def test_histories_do_not_leave_a_worker() -> None:
    texts = []
    for made in (OURS, THEIRS):

        class Computed(made.torch.utils.data.Dataset):  # type: ignore[name-defined, misc]
            def __len__(self) -> int:
                return 1

            def __getitem__(self, index: int, torch: Any = made.torch) -> Any:
                return torch.ones(2, requires_grad=True) * 2

        if made is THEIRS:  # its feeder thread prints the error and sends nothing
            with pytest.raises(RuntimeError) as caught:
                from multiprocessing.reduction import ForkingPickler

                ForkingPickler.dumps(Computed()[0])
            texts.append(str(caught.value))
        else:
            with pytest.raises(RuntimeError) as caught:
                list(loader(made.torch, Computed(), batch_size=None, num_workers=1))
            texts.append(str(caught.value))
    assert texts[1] in texts[0]


def test_workers_are_processes_of_their_own() -> None:
    before = dict(os.environ), list(worker_datasets.SEEN)
    dataset = OURS.Process()
    got = [
        (pid.item(), seen.item())
        for pid, seen in loader(torchish, dataset, batch_size=1, num_workers=2)
    ]
    assert len({pid for pid, _ in got}) == 2 and os.getpid() not in {pid for pid, _ in got}
    assert [seen for _, seen in got] == [1, 1, 2, 2]
    assert (dict(os.environ), worker_datasets.SEEN) == before
    assert not hasattr(dataset, "last")


def test_closures_and_globals_are_those_of_the_moment() -> None:
    factor = 3
    worker_datasets.SEEN.append(7)
    try:
        found = list(
            loader(
                torchish, range(4), batch_size=2, num_workers=1,
                collate_fn=lambda rows: (sum(rows) * factor, list(worker_datasets.SEEN)),
            )
        )  # fmt: skip
    finally:
        worker_datasets.SEEN.clear()
    assert found == [(3, [7]), (15, [7])]


def test_tensor_operations_in_workers_leave_xla_alone() -> None:
    weight = torchish.randn(8, 8)
    pending = weight @ weight.t()  # not yet computed when the workers start

    class Computing(Numbers):
        def __getitem__(self, index: int) -> Any:
            from torchish._basics.state import process

            x = torchish.linspace(0, 1, 8) * index + pending[0]
            y = torchish.stack([x, x.flip(0)]).softmax(1).clamp(max=0.5)
            z = torchish.nn.functional.linear(y, weight).relu()
            leaf = torchish.ones(8, requires_grad=True)
            (leaf * z.sum(0)).sum().backward()
            z[0, :2] = 7
            return z, leaf.grad, process.interpret_only

    found = list(loader(torchish, Computing(3), num_workers=1))
    assert all(b[2].all().item() for b in found)
    for index, (z, grad, _) in enumerate(found):
        w = torch.tensor(weight.tolist())
        x = torch.linspace(0, 1, 8) * index + (w @ w.t())[0]
        y = torch.stack([x, x.flip(0)]).softmax(1).clamp(max=0.5)
        expected = torch.nn.functional.linear(y, w).relu()
        np.testing.assert_allclose(grad[0].numpy(), expected.sum(0).numpy(), rtol=1e-4, atol=1e-5)
        expected[0, :2] = 7
        np.testing.assert_allclose(z[0].numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


# --- ends ---


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGBUS", "exit", "error"])
def test_how_a_worker_ends_is_told_in_pytorchs_words(how: str) -> None:
    results = []
    for made in (OURS, THEIRS):
        batches = loader(made.torch, made.Ending(how), num_workers=2)
        with pytest.raises(Exception) as caught:
            list(batches)
        text, cause = str(caught.value), caught.value.__cause__
        lines = text.splitlines()
        words = [lines[0], lines[-1], *([] if cause is None else [repr(cause)])]
        results.append((type(caught.value), [re.sub(r"\d{2,}", "N", line) for line in words]))
        del caught, cause
    assert results[0] == results[1]


def test_what_raises_in_a_worker_raises_here_and_loading_goes_on() -> None:
    iterator = iter(loader(torchish, OURS.Ending("error"), num_workers=2))
    got: list[Any] = []
    with contextlib.suppress(StopIteration):
        while True:
            try:
                got.append(next(iterator).tolist())
            except ValueError as error:
                assert "in __getitem__" in str(error)
                got.append("error")
    assert got == [[0], [1], [2], "error", [4], [5], [6], [7]]


def test_errors_that_cannot_travel_arrive_as_text() -> None:
    class Odd(Exception):
        pass

    class Raising(Numbers):
        def __getitem__(self, index: int) -> int:
            raise Odd("inside")

    with pytest.raises(RuntimeError, match="(?s)Caught .* in DataLoader worker process 0.*inside"):
        list(loader(torchish, Raising(2), num_workers=1))


def test_leaving_the_loop_leaves_nothing() -> None:
    class Rows(Numbers):
        def __getitem__(self, index: int) -> Any:
            return torchish.ones(5000)

    list(loader(torchish, Rows(4), num_workers=1))
    before, children = left(), own_children()
    for batch in loader(torchish, Rows(1000), batch_size=4, num_workers=3):
        assert batch.is_shared() and batch.sum().item() == 20000
        break
    del batch
    assert left() == before and own_children() == children


class Pictures(Numbers):
    """Large samples, told apart by their numbers; what `keep` makes of a batch stays in a list."""

    kept: list[Any] = []

    def __getitem__(self, index: int) -> Any:
        return torchish.full((64, 64), float(index)), index

    @classmethod
    def keep(cls, samples: Any) -> Any:
        batch = data.default_collate(samples)
        for old in cls.kept:
            old.add_(1000.0)  # another process may see that, as in PyTorch, but nothing else
        cls.kept.append(batch[0])
        return batch


def test_blocks_of_memory_are_used_again() -> None:
    before = left()
    for batch, index in loader(torchish, Pictures(400), batch_size=8, num_workers=2):
        assert batch.is_shared() and (batch == index[:, None, None]).all()
        assert mappings() <= 16  # 50 batches of 128 KiB
    kept = list(loader(torchish, Pictures(400), batch_size=8, num_workers=1))
    assert all((b == i[:, None, None]).all() for b, i in kept)
    del batch, index, kept
    assert left() == before


def test_a_batch_that_the_worker_keeps_is_not_used_again() -> None:
    found = loader(torchish, Pictures(64), batch_size=8, num_workers=1, collate_fn=Pictures.keep)
    for batch, index in found:
        assert ((batch - index[:, None, None]) % 1000.0 == 0).all()


def test_memory_that_a_child_reads_is_not_used_again() -> None:
    iterator = iter(loader(torchish, Pictures(200), batch_size=8, num_workers=1))
    batch, _ = next(iterator)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.read(reader, 1)
        os._exit(0 if (batch[:, 0, 0] == torchish.arange(8)).all() else 1)
    del batch
    for _ in iterator:
        pass
    os.write(writer, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)


def test_batches_that_are_kept_hold_no_descriptors() -> None:
    class Rows(Numbers):
        def __getitem__(self, index: int) -> Any:
            return torchish.full((5000,), float(index))

    descriptors = left()[0]
    kept = list(loader(torchish, Rows(200), batch_size=None, num_workers=1))
    assert abs(left()[0] - descriptors) < 10
    assert [b[0].item() for b in kept] == [float(i) for i in range(200)]


def test_persistent_workers_stay_and_go_with_the_loader() -> None:
    batches = loader(torchish, Numbers(5), num_workers=2, persistent_workers=True)
    assert [b.tolist() for b in batches] == [[i] for i in range(5)]
    pids = sorted(w.pid for w in batches._iterator._workers)
    for batch in batches:  # given up half way: the next pass must not see its batches
        assert batch.tolist() == [0]
        break
    assert [b.tolist() for b in batches] == [[i] for i in range(5)]
    assert sorted(w.pid for w in batches._iterator._workers) == pids
    del batches
    gc.collect()
    assert not set(map(str, pids)) & set(own_children())


def test_a_worker_in_the_middle_of_a_batch_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchish.utils.data._utils import processes

    monkeypatch.setattr(processes, "_GRACE", 0.2)
    iterator = iter(loader(torchish, Numbers(4, 60), num_workers=1))
    pid = str(iterator._workers[0].pid)
    start = time.monotonic()
    del iterator
    gc.collect()
    assert time.monotonic() - start < 20 and pid not in own_children()


def test_timeout_order_and_limits() -> None:
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        list(loader(torchish, Numbers(2, 1), num_workers=1, timeout=0.2))

    class Uneven(Numbers):
        def __getitem__(self, index: int) -> int:
            time.sleep(self.pause if index == 0 else 0)
            return index

    free = [b.item() for b in loader(torchish, Uneven(6, 1.0), num_workers=2, in_order=False)]
    assert sorted(free) == list(range(6)) and free[0] != 0
    ordered = loader(torchish, Uneven(6, 0.2), num_workers=2)
    assert [b.item() for b in ordered] == list(range(6))
    with pytest.raises(AssertionError, match="prefetch_factor must be greater than 0"):
        iter(loader(torchish, range(3), num_workers=1, prefetch_factor=0))
    for made in (OURS, THEIRS):  # workers are daemons, which may have no children

        class Nested(made.torch.utils.data.Dataset):  # type: ignore[name-defined, misc]
            def __len__(self) -> int:
                return 1

            def __getitem__(self, index: int, torch: Any = made.torch) -> Any:
                return list(torch.utils.data.DataLoader(range(2), num_workers=1))

        with pytest.raises(AssertionError, match="daemonic processes are not allowed"):
            list(loader(made.torch, Nested(), num_workers=1))


class TopLevel(data.Dataset):
    """What a fresh interpreter can import."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return torchish.ones(3) * index, random.random()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fresh_interpreters_give_the_same(method: str) -> None:
    found = []
    for context in (method, "fork"):
        torchish.manual_seed(3)
        batches = loader(torchish, TopLevel(), num_workers=1, multiprocessing_context=context)
        found.append([plain(b) for b in batches])
    assert found[0] == found[1]


def test_what_cannot_be_pickled_is_explained() -> None:
    class Local(Numbers):
        pass

    batches = loader(torchish, Local(3), num_workers=1, multiprocessing_context="spawn")
    with (
        pytest.warns(UserWarning, match="Got pickle error when attempting"),
        pytest.raises(AttributeError, match="Can't pickle"),
    ):
        iter(batches)


def test_the_parents_death_ends_workers() -> None:
    source = """
import os, signal, time
import torchish
from torchish.utils.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 8
    def __getitem__(self, i):
        time.sleep(0 if i < 2 else 600)
        return i
iterator = iter(DataLoader(Slow(), num_workers=2))
next(iterator)
print(*[w.pid for w in iterator._workers], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        pids = process.stdout.readline().split()
    assert len(pids) == 2
    end = time.monotonic() + 20
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_batches_are_plain_tensors_on_the_host() -> None:
    rows = torchish.arange(12.0).reshape(6, 2)
    for batch in loader(torchish, data.TensorDataset(rows), batch_size=2, num_workers=1):
        assert interop.is_host(batch[0])
        batch[0].mul_(2)
        batch[0].numpy()[0, 0] = 5
        assert batch[0][0, 0].item() == 5
    assert rows.tolist()[1] == [2, 3]
