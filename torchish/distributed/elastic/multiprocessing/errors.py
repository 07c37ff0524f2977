"""How a failed rank tells its launcher why, and what the launcher says then.

Source: https://pytorch.org/docs/stable/elastic/errors.html
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

__all__ = ["ChildFailedError", "ProcessFailure", "record"]

_UNKNOWN = "<N/A>"


class ProcessFailure:
    """How one process of a job ended."""

    def __init__(self, local_rank: int, pid: int, exitcode: int, error_file: str) -> None:
        self.local_rank = local_rank
        self.pid = pid
        self.exitcode = exitcode
        self.timestamp = int(time.time())
        self.message = (
            "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
        )
        if exitcode < 0:
            self.message = f"Signal {-exitcode} ({self.signal_name()}) received by PID {pid}"
        self.error_file = _UNKNOWN
        with contextlib.suppress(OSError, ValueError, KeyError):
            with open(error_file) as file:
                message = json.load(file)["message"]
            self.message = message["extraInfo"]["py_callstack"]
            self.timestamp = int(message["extraInfo"]["timestamp"])
            self.error_file = error_file

    def signal_name(self) -> str:
        """The signal that ended it, if one did."""
        if self.exitcode >= 0:
            return _UNKNOWN
        try:
            return signal.Signals(-self.exitcode).name
        except ValueError:
            return str(-self.exitcode)

    def describe(self, position: int, rank: int) -> str:
        """A paragraph of a report."""
        name = "" if self.exitcode >= 0 else f" ({self.signal_name()})"
        return (
            f"[{position}]:\n"
            f"  time      : {datetime.fromtimestamp(self.timestamp).isoformat(sep='_')}\n"
            f"  host      : {socket.gethostname()}\n"
            f"  rank      : {rank} (local_rank: {self.local_rank})\n"
            f"  exitcode  : {self.exitcode} (pid: {self.pid}) {name}\n"
            f"  error_file: {self.error_file}\n"
            f"  traceback : {self.message}"
        )


class ChildFailedError(Exception):
    """Some processes of a job failed; the first of them is the cause."""

    __module__ = "torch.distributed.elastic.multiprocessing.errors"

    def __init__(self, name: str, failures: Mapping[int, ProcessFailure]) -> None:
        self.name = name
        self.failures = dict(failures)
        super().__init__(self.format_msg())

    def get_first_failure(self) -> tuple[int, ProcessFailure]:
        """Rank and failure of the process that was seen to fail first."""
        rank = next(iter(self.failures))
        return rank, self.failures[rank]

    def format_msg(self) -> str:
        """The report."""
        first, *others = [f.describe(k, r) for k, (r, f) in enumerate(self.failures.items())]
        double, single = "=" * 60, "-" * 60
        listed = "\n".join(others) or "  <NO_OTHER_FAILURES>"
        return (
            f"\n{double}\n{self.name} FAILED\n{single}\nFailures:\n{listed}\n{single}\n"
            f"Root Cause (first observed failure):\n{first}\n{double}"
        )


def record(fn: Callable[..., Any] | None = None, error_handler: Any = None) -> Callable[..., Any]:
    """Decorate a script's main function: its exception reaches the launcher's report."""
    if fn is None:
        return functools.partial(record, error_handler=error_handler)
    main: Callable[..., Any] = fn

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return main(*args, **kwargs)
        except Exception as error:
            _write(error)
            raise

    return wrapper


def _write(error: Exception) -> None:
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    details = {"py_callstack": traceback.format_exc(), "timestamp": str(int(time.time()))}
    message = {"message": f"{type(error).__name__}: {error}", "extraInfo": details}
    with contextlib.suppress(OSError), open(path, "w") as file:
        json.dump({"message": message}, file)
