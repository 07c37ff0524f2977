"""What tests of several folders share."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator

import pytest


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
