"""Workers that are threads: they never hang, they end, their errors arrive."""

from __future__ import annotations

import gc
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchish._autograd import interop
from torchish._random import draws
from torchish._random.generator import Generator, default_generator
from torchish._tensor import host as _host
from torchish.utils import data
from torchish.utils.data._utils.worker import numpy_seed

ROOT = Path(__file__).parents[2]


def values(batches: Any) -> list[Any]:
    return [interop.host_array(b).tolist() if hasattr(b, "dtype") else b for b in batches]


def threaded(dataset: Any, **options: Any) -> data.DataLoader[Any]:
    return data.DataLoader(dataset, multiprocessing_context="thread", **options)


def worker_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("pt_data_worker")]


def wait_for(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Assert that a condition comes true soon."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends with no worker running."""
    yield
    if worker_threads():
        gc.collect()  # seconds in a long-lived test process: only where something may be held
    wait_for(lambda: not worker_threads())


class Numbers(data.Dataset):
    """0 to count - 1, each after a pause."""

    def __init__(self, count: int, pause: float = 0.0) -> None:
        self.count, self.pause = count, pause

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        time.sleep(self.pause)
        return index


class Failing(Numbers):
    """Raises for one index."""

    def __init__(self, count: int, bad: int, error: BaseException) -> None:
        super().__init__(count)
        self.bad, self.error = bad, error

    def __getitem__(self, index: int) -> int:
        if index == self.bad:
            raise self.error
        return index


# --- order and speed ---


def test_order_is_the_samplers_however_long_batches_take() -> None:
    class Uneven(Numbers):
        def __getitem__(self, index: int) -> int:
            time.sleep(0.02 if index % 2 == 0 else 0)
            return index

    assert values(threaded(Uneven(8), batch_size=1, num_workers=2)) == [[i] for i in range(8)]


def test_out_of_order_yields_what_is_ready() -> None:
    class Uneven(Numbers):
        def __getitem__(self, index: int) -> int:
            time.sleep(0.3 if index == 0 else 0)
            return index

    got = values(threaded(Uneven(6), batch_size=1, num_workers=2, in_order=False))
    assert sorted(got) == [[i] for i in range(6)] and got[0] != [0]


def test_workers_overlap_waiting() -> None:
    start = time.monotonic()
    assert len(list(threaded(Numbers(40, 0.02), batch_size=4, num_workers=2))) == 10
    assert time.monotonic() - start < 0.75  # one after the other takes 0.8


def test_prefetch_is_bounded() -> None:
    fetched: list[int] = []

    class Counting(Numbers):
        def __getitem__(self, index: int) -> int:
            fetched.append(index)
            return index

    iterator = iter(threaded(Counting(100), num_workers=2, prefetch_factor=3))
    next(iterator)
    time.sleep(0.2)
    assert len(fetched) == 7  # 2 workers x 3, and one more for the batch that was taken


# --- ends ---


def test_leaving_the_loop_ends_the_threads() -> None:
    for batch in threaded(Numbers(1000, 0.001), num_workers=2):
        assert interop.host_array(batch).tolist() == [0]
        break
    wait_for(lambda: not worker_threads())


def test_dropping_the_iterator_ends_the_threads() -> None:
    iterator = iter(threaded(Numbers(1000), num_workers=2))
    next(iterator)
    assert len(worker_threads()) == 2
    del iterator
    wait_for(lambda: not worker_threads())


def test_an_iterator_in_a_cycle_is_collected() -> None:
    iterator = iter(threaded(Numbers(1000), num_workers=2))
    iterator.me = iterator  # type: ignore[attr-defined]
    del iterator
    gc.collect()
    wait_for(lambda: not worker_threads())


def test_exhausted_iterators_stay_exhausted() -> None:
    iterator = iter(threaded(Numbers(3), num_workers=2))
    assert len(list(iterator)) == 3
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)


def test_an_error_in_the_loop_body_ends_the_threads() -> None:
    def loop() -> None:
        for _ in threaded(Numbers(1000), num_workers=2):
            raise RuntimeError("in the body")

    with pytest.raises(RuntimeError, match="in the body"):
        loop()
    wait_for(lambda: not worker_threads())


def test_persistent_workers_stay_and_go_with_the_loader() -> None:
    loader = threaded(Numbers(5), num_workers=2, persistent_workers=True)
    assert values(loader) == [[i] for i in range(5)]
    threads = set(worker_threads())
    assert len(threads) == 2
    assert values(loader) == [[i] for i in range(5)]
    for batch in loader:  # given up half way: the next pass must not see its batches
        assert interop.host_array(batch).tolist() == [0]
        break
    assert values(loader) == [[i] for i in range(5)]
    assert set(worker_threads()) == threads
    del loader
    gc.collect()
    wait_for(lambda: not worker_threads())


def run_script(source: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=timeout, env=env
    )


@pytest.mark.parametrize("pause", ["0.0", "30.0"])
def test_the_interpreter_ends_with_workers_running(pause: str) -> None:
    source = f"""
import time
import torchish
from torchish.utils.data import DataLoader, Dataset
class Numbers(Dataset):
    def __len__(self): return 100
    def __getitem__(self, i):
        if i > 2: time.sleep({pause})
        return i
options = dict(num_workers=2, prefetch_factor=1, multiprocessing_context="thread")
iterator = iter(DataLoader(Numbers(), **options))
print(next(iterator).tolist())
"""
    start = time.monotonic()
    done = run_script(source)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[0]", "")
    assert time.monotonic() - start < 25


def test_keyboard_interrupt_reaches_a_waiting_consumer() -> None:
    source = """
import os, signal, threading, time
import torchish
from torchish.utils.data import DataLoader, Dataset
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Slow(Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): time.sleep(20)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    next(iter(DataLoader(Slow(), num_workers=1, multiprocessing_context="thread")))
except KeyboardInterrupt:
    print("interrupted")
"""
    start = time.monotonic()
    done = run_script(source)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
    assert time.monotonic() - start < 20


# --- errors ---


def caught_from(dataset: Any, **options: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:
        list(threaded(dataset, num_workers=2, **options))
    return caught.value


@pytest.mark.parametrize("error", [ValueError("bad 3"), KeyError("key"), OSError(2, "gone")])
def test_errors_are_raised_in_the_consumer_in_pytorchs_words(error: Exception) -> None:
    raised = caught_from(Failing(6, 3, error))
    assert type(raised) is type(error)
    name = type(error).__name__
    assert str(raised).startswith(
        f"Caught {name} in DataLoader worker process 1.\n"
        "Original Traceback (most recent call last):\n"
    )
    assert re.search(r"in __getitem__\n", str(raised))


def test_errors_with_other_arguments_become_runtimeerror() -> None:
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(a, b)

    raised = caught_from(Failing(4, 0, Odd(1, 2)))
    assert type(raised) is RuntimeError
    assert str(raised).startswith("Caught Odd in DataLoader worker process 0.")


def test_loading_goes_on_after_an_error() -> None:
    iterator = iter(threaded(Failing(5, 2, ValueError()), num_workers=2))
    got: list[Any] = []
    while True:
        try:
            got.append(interop.host_array(next(iterator)).tolist())
        except ValueError:
            got.append("error")
        except StopIteration:
            break
    assert got == [[0], [1], "error", [3], [4]]


def test_errors_of_init_fn_collate_and_iter() -> None:
    def fail(*args: Any) -> None:
        raise ValueError("no")

    class Stream(data.IterableDataset):
        def __iter__(self) -> Any:
            raise ValueError("no")

    for raised in (
        caught_from(Numbers(3), worker_init_fn=fail),
        caught_from(Numbers(3), collate_fn=fail),
        caught_from(Stream()),
    ):
        assert type(raised) is ValueError and "in DataLoader worker process 0" in str(raised)


def test_a_worker_that_exits_is_noticed() -> None:
    raised = caught_from(Failing(4, 1, SystemExit(3)))
    assert type(raised) is RuntimeError
    assert re.match(r"DataLoader worker \(pid\(s\) .*\) exited unexpectedly", str(raised))


def test_timeout() -> None:
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.1 seconds"):
        list(threaded(Numbers(2, 0.5), num_workers=1, timeout=0.1))


# --- what a worker knows ---


class Info(Numbers):
    """Samples are what the worker sees."""

    def __getitem__(self, index: int) -> Any:
        info = data.get_worker_info()
        assert info is not None and info.rng is not None
        torch_like = draws.integers_default(_host.thread_generator(), 1, np.dtype(np.int64))
        return {
            "id": info.id,
            "workers": info.num_workers,
            "seed": info.seed,
            "same": info.dataset is self,
            "torch": int(torch_like[0]),
            "own": info.rng.random_generator.random(),
        }


def first(batch: Any) -> Any:
    return batch[0]


def test_worker_info_and_seeds() -> None:
    default_generator.manual_seed(5)
    base = int(draws.integers_default(Generator().manual_seed(5), 1, np.dtype(np.int64))[0])
    got = list(threaded(Info(4), num_workers=2, collate_fn=first))
    assert [(g["id"], g["workers"], g["same"]) for g in got] == [
        (0, 2, True),
        (1, 2, True),
        (0, 2, True),
        (1, 2, True),
    ]
    assert [g["seed"] - base for g in got] == [0, 1, 0, 1]
    streams = [torch.Generator().manual_seed(base + i) for i in range(2)]
    expected = [
        torch.empty((), dtype=torch.int64).random_(generator=streams[i % 2]).item()
        for i in range(4)
    ]
    assert [g["torch"] for g in got] == expected
    own = [random.Random(base + i) for i in range(2)]
    assert [g["own"] for g in got] == [own[i % 2].random() for i in range(4)]
    assert data.get_worker_info() is None


def test_the_main_program_keeps_its_random_state() -> None:
    default_generator.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    before = (random.getstate(), np.random.get_state()[1].tobytes())
    twin = Generator().manual_seed(1)
    draws.integers_default(twin, 1, np.dtype(np.int64))  # the base seed is all that is drawn
    list(threaded(Info(4), num_workers=2, collate_fn=first))
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before
    assert default_generator.state_array().tobytes() == twin.state_array().tobytes()


def test_numpy_seed_is_pytorchs() -> None:
    from torch.utils.data._utils.worker import _generate_state

    for base, worker in ((0, 0), (123456789, 3), (2**63 - 5, 7)):
        assert numpy_seed(base, worker).tolist() == _generate_state(base, worker)


def test_init_fn_changes_only_its_workers_copy() -> None:
    class Range(data.IterableDataset):
        def __init__(self, start: int, end: int) -> None:
            self.start, self.end = start, end

        def __iter__(self) -> Any:
            return iter(range(self.start, self.end))

    def share(worker_id: int) -> None:
        info = data.get_worker_info()
        assert info is not None
        mine = info.dataset
        per_worker = -(-(mine.end - mine.start) // info.num_workers)
        mine.start += info.id * per_worker
        mine.end = min(mine.start + per_worker, mine.end)

    dataset = Range(3, 7)
    loader = threaded(dataset, num_workers=2, worker_init_fn=share)
    assert values(loader) == [[3], [5], [4], [6]]
    assert (dataset.start, dataset.end) == (3, 7)


def test_inner_datasets_are_copied_and_those_with_del_are_not() -> None:
    from torchish.utils.data._utils.worker import worker_copy

    class Closing(Numbers):
        def __del__(self) -> None: ...

    inner, closing, array = Numbers(3), Closing(3), np.zeros(3)
    inner.array = array  # type: ignore[attr-defined]
    outer = data.Subset(inner, [0])
    copied = worker_copy(outer)
    assert copied is not outer and copied.dataset is not inner
    assert copied.dataset.array is array
    both = data.ConcatDataset([inner, closing])
    assert worker_copy(both).datasets[0] is not inner
    assert worker_copy(both).datasets[1] is closing
    assert worker_copy(array) is array


def test_tensors_of_workers_are_on_the_host() -> None:
    rows = interop.wrap_host(np.arange(12, dtype=np.float32).reshape(6, 2))
    for batch in threaded(data.TensorDataset(rows), batch_size=2, num_workers=2):
        assert interop.is_host(batch[0])


def test_loaders_inside_workers() -> None:
    class Outer(Numbers):
        def __getitem__(self, index: int) -> Any:
            return sum(values(threaded(Numbers(3), num_workers=1, batch_size=3))[0])

    assert values(threaded(Outer(2), num_workers=2)) == [[3], [3]]


def test_many_loaders_at_once() -> None:
    pairs = zip(
        threaded(Numbers(20), num_workers=2),
        threaded(Numbers(20), num_workers=2),
        strict=True,
    )
    assert all(values([a]) == values([b]) for a, b in pairs)
