"""What tests of several folders share."""

from __future__ import annotations

import fcntl
import gc
import importlib
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Have the workers, and every program that a test starts, compile a source once for them all.

    Where Python may leave no bytecode beside the sources (PYTHONDONTWRITEBYTECODE), each of them
    would compile torchish, JAX and PyTorch anew: two thirds of a short program's processor time.
    """
    if not sys.dont_write_bytecode:
        return
    cache = getattr(config, "cache", None)  # absent under `-p no:cacheprovider`
    folder = str(cache.mkdir("bytecode") if cache else tempfile.mkdtemp())
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = folder
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Copies of the package that tests made in temporary folders.
    copies = folder + tempfile.gettempdir()
    config.add_cleanup(lambda: shutil.rmtree(copies, ignore_errors=True))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without looking for garbage, and leave what then is there out of it.

    Modules, tests and PyTorch's tables of samples, 800,000 objects, stay to the end; going through
    them takes half a second, at every `gc.collect()` of a test too.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """`once(name, make)`: what `make()` gives, made by one worker for all of them.

    Tests that share what a program printed may be dealt to several workers: each would run it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def get(name: str, make: Callable[[], Any]) -> Any:
        made = folder / f"{name}.once"
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                made.write_bytes(pickle.dumps(make()))
            return pickle.loads(made.read_bytes())

    return get


@pytest.fixture
def jax_libraries() -> Iterator[None]:
    """Flax, Equinox, Haiku and Orbax, where `make libraries` put them or the environment has them.

    That folder comes last: what the environment has is the environment's.
    """
    folder = os.environ.get("TORCHISH_LIBRARIES")
    if folder is None:
        yield
        return
    sys.path.append(folder)
    importlib.invalidate_caches()
    yield
    sys.path.remove(folder)
