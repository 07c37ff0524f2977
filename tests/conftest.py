"""What tests of several folders share."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Have the workers, and every program that a test starts, compile a source once for them all.

    Where Python may leave no bytecode beside the sources (PYTHONDONTWRITEBYTECODE), each of them
    would compile torchish, JAX and PyTorch anew: two thirds of a short program's processor time.
    """
    if not sys.dont_write_bytecode:
        return
    folder = str(config.cache.mkdir("bytecode") if config.cache else tempfile.mkdtemp())
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = folder
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Copies of the package that tests made in temporary folders.
    copies = folder + tempfile.gettempdir()
    config.add_cleanup(lambda: shutil.rmtree(copies, ignore_errors=True))


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
