"""Timing a statement: `timeit`, with what each run asked for really computed.

Operators are recorded and run later, and what nobody holds is never computed. So each execution of
the statement ends as an optimizer's step does: what it made (and the value of its last expression)
is run while it is still held. The clock waits for devices before it is read.
"""

from __future__ import annotations

import ast
import enum
import importlib
import statistics
import textwrap
import timeit
from collections.abc import Callable
from typing import Any

from ...._basics.errors import not_supported
from ...._core.trace import flush_point
from ....cpu import synchronize as _wait_for_host
from .common import Measurement, TaskSpec, set_torch_threads

__all__ = ["Language", "Timer", "timer"]

_RUN = "_torchish_run"
_LARGEST_BLOCK = 2**31 - 1


def timer() -> float:
    """The clock, in seconds, once all work has finished."""
    from ....accelerator import is_available, synchronize

    _wait_for_host()
    if is_available():
        synchronize()
    return timeit.default_timer()


class Language(enum.Enum):
    """What a statement is written in."""

    PYTHON = 0
    CPP = 1


def _run(value: Any = None) -> None:
    """Run what is recorded, with `value` alive."""
    flush_point("a timed statement ends")


def _running(stmt: str) -> str:
    """The statement with its end marked; a last expression is held until then."""
    body = ast.parse(stmt).body
    if body and isinstance(body[-1], ast.Expr):
        held = ast.Call(ast.Name(_RUN, ast.Load()), [body[-1].value], [])
        body[-1] = ast.Expr(held)
    else:
        body.append(ast.Expr(ast.Call(ast.Name(_RUN, ast.Load()), [], [])))
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))


def _dedented(text: str) -> str:
    return textwrap.dedent(text).removeprefix("\n").rstrip()


class Timer:
    """Measures how long a statement takes.

    Args:
        stmt: Python code; what it computes is waited for.
        setup: code that runs once before.
        globals: names that the code sees; `torch` is among them.
        label, sub_label, description, env: what `Compare` prints.
        num_threads: `torch.set_num_threads` while it runs.
    Raises:
        ValueError: `stmt` is no text, or `global_setup` is given.
        NotSupportedError: `language` is C++.
    Source: https://docs.pytorch.org/docs/stable/benchmark_utils.html
    """

    _timer_cls: Any = timeit.Timer

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timer, globals: dict[str, Any] | None = None,
        label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1, language: Language | str = Language.PYTHON,
    ) -> None:  # fmt: skip
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language in (Language.CPP, "cpp", "c++"):
            raise not_supported("benchmark.Timer(language='c++')", "a Python statement")
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply "
                "be moved to `setup`."
            )
        stmt, setup = _dedented(stmt), _dedented(setup)
        self._globals = dict(globals or {})
        self._globals.setdefault("torch", importlib.import_module(__name__.partition(".")[0]))
        self._globals[_RUN] = _run
        self._timer = self._timer_cls(
            stmt=_running(stmt), setup=setup, timer=timer, globals=self._globals
        )
        self._task_spec = TaskSpec(
            stmt, setup, global_setup, label, sub_label, description, env, num_threads
        )

    def _timeit(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> Measurement:
        """`number` executions, after a hundredth of them to warm up."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timeit(max(int(number // 100), 2))
            return Measurement(number, [self._timeit(number)], self._task_spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Refuse.

        Raises: NotImplementedError, as torch does.
        """
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    autorange = repeat

    def _block_size(self, min_run_time: float) -> int:
        """So many executions that reading the clock does not count."""
        with set_torch_threads(self._task_spec.num_threads):
            overhead = statistics.median(self._timeit(0) for _ in range(5))
            number = 1
            while number * 10 <= _LARGEST_BLOCK:
                taken = self._timeit(number)
                if taken > min_run_time:
                    break
                if overhead / taken <= 1e-4 and taken >= min_run_time / 1000:
                    break
                number *= 10
        return number

    def _measured(
        self, number: int, enough: Callable[[Measurement], bool], least: float,
        most: float | None, callback: Callable[[int, float], Any] | None,
    ) -> Measurement:  # fmt: skip
        found = Measurement(number, [], self._task_spec)
        with set_torch_threads(self._task_spec.num_threads):
            while True:
                spent = self._timeit(number)
                found.raw_times.append(spent)
                if callback:
                    callback(number, spent)
                total = sum(found.raw_times)
                if (total >= least and enough(found)) or (most and total > most):
                    return found

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Blocks of a size that makes the clock's share small, for `min_run_time` seconds."""
        number = self._block_size(min_run_time)
        return self._measured(number, lambda found: True, min_run_time, None, callback)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Blocks until the middle half of the times is narrower than `threshold` of the median."""

        def enough(found: Measurement) -> bool:
            return len(found.raw_times) > 3 and found.meets_confidence(threshold)

        number = self._block_size(0.05)
        return self._measured(number, enough, min_run_time, max_run_time, callback)

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse.

        Raises: NotSupportedError: instructions of compiled programs are not counted.
        """
        raise not_supported("Timer.collect_callgrind", "torch.profiler, or blocked_autorange")
