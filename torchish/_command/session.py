"""What the options of the command line change before a program runs, and print when it has ended.

Processes that the program starts get the same choices through the environment.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

from .._basics.settings import settings
from .options import Options


def prepare(options: Options) -> None:
    """Apply `--eager`, `--cache-dir`, `--device`, `--profile` and `--explain`.

    Raises: ValueError for a device that this machine lacks.
    """
    if options.eager:
        settings.eager = True
        os.environ["TORCHISH_EAGER"] = "1"
    if options.cache_folder is not None:
        folder = os.path.abspath(options.cache_folder)
        from .._basics import xla_cache

        settings.cache_folder = folder
        xla_cache.install(folder)
        os.environ["TORCHISH_CACHE"] = folder
    if options.device is not None:
        _choose_device(options.device)
    if options.explain:
        _at_end(_explain)
    if options.profile is not None:
        _record_profile(options.profile)


def _choose_device(name: str) -> None:
    import torchish

    try:
        torchish.set_default_device(name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {error}") from None


def _at_end(action: Callable[[], None]) -> None:
    """Do something when this process ends, not when a fork of it does."""
    own = os.getpid()
    atexit.register(lambda: action() if os.getpid() == own else None)


def _explain() -> None:
    import torchish

    torchish.explain(file=sys.stderr)


def _record_profile(path: str) -> None:
    from ..profiler import profile

    recording = profile()
    recording.start()

    def finish() -> None:
        recording.stop()
        recording.export_chrome_trace(path)

    _at_end(finish)
