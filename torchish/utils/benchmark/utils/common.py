"""What is timed, and what was measured."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

__all__ = [
    "Measurement", "TaskSpec", "ordered_unique", "select_unit", "set_torch_threads",
    "trim_sigfig", "unit_to_english",
]  # fmt: skip

_MOST_FIGURES = 4
_LEAST_INTERVAL = 25e-9  # s: what a clock resolves
_SUSPECT, _GROSS = 0.1, 0.25  # interquartile range by median
_Z = 1.645  # of a normal distribution's 90 % interval
_SCALES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
_WORDS = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}


@dataclass(repr=False, frozen=True)
class TaskSpec:
    """A statement and how it is called in tables."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or else the statement."""
        if self.label is None and "\n" in self.stmt:
            tail = f" ({self.sub_label})" if self.sub_label else ""
            return f"stmt:{tail}\n" + textwrap.indent(self.stmt, "  ")
        tail = f": {self.sub_label}" if self.sub_label else ""
        return (self.stmt if self.label is None else self.label) + tail

    def setup_str(self) -> str:
        """The setup as it is printed."""
        if self.setup in ("", "pass"):
            return ""
        if "\n" in self.setup:
            return "setup:\n" + textwrap.indent(self.setup, "  ")
        return f"setup: {self.setup}"

    def summarize(self) -> str:
        """Title, description and setup."""
        parts = [self.title, self.description or "", self.setup_str()]
        return "\n".join(f"{part}\n" if "\n" in part else part for part in parts if part)


_FIELDS = frozenset(f.name for f in fields(TaskSpec))


@dataclass(repr=False)
class Measurement:
    """Times, in seconds, of runs of a statement, `number_per_run` times in each."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _FIELDS:
            return getattr(self.task_spec, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def times(self) -> list[float]:
        """Of one statement each."""
        return [t / self.number_per_run for t in self.raw_times]

    def _quantile(self, q: float) -> float:
        """Between neighbours, in proportion."""
        times = sorted(self.times)
        at = q * (len(times) - 1)
        low = math.floor(at)
        high = min(low + 1, len(times) - 1)
        return times[low] + (times[high] - times[low]) * (at - low)

    @property
    def median(self) -> float:
        """The middle one."""
        return self._quantile(0.5)

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """The width of the middle half."""
        return self._quantile(0.75) - self._quantile(0.25)

    @property
    def significant_figures(self) -> int:
        """How many figures of the median the spread of the middle half leaves sure."""
        times = sorted(self.times)
        middle = times[len(times) // 4 : math.ceil(3 * len(times) / 4)]
        width = _Z * statistics.pstdev(middle) / math.sqrt(len(middle))
        figures = math.floor(math.log10(self.median / max(width, _LEAST_INTERVAL)))
        return min(max(figures, 1), _MOST_FIGURES)

    def meets_confidence(self, threshold: float = _SUSPECT) -> bool:
        """Whether the middle half is narrower than this part of the median."""
        return self.iqr / self.median < threshold

    @property
    def _warnings(self) -> tuple[str, ...]:
        if self.meets_confidence(_SUSPECT):
            return ()
        gross = not self.meets_confidence(_GROSS)
        text = (
            "This suggests significant environmental influence." if gross else
            "This could indicate system fluctuation."
        )  # fmt: skip
        return (
            f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median "
            f"measurement.\n           {text}",
        )

    @property
    def has_warnings(self) -> bool:
        """Whether the times spread suspiciously."""
        return bool(self._warnings)

    @property
    def title(self) -> str:
        """That of the task."""
        return self.task_spec.title

    @property
    def env(self) -> str:
        """The environment that was named."""
        return "Unspecified env" if self.task_spec.env is None else self.task_spec.env

    @property
    def as_row_name(self) -> str:
        """What a table calls it."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        several, threads = len(self.raw_times) > 1, self.task_spec.num_threads
        unit, scale = select_unit(self.median)
        lines = [
            object.__repr__(self),
            self.task_spec.summarize(),
            f"  {'Median: ' if several else ''}{self.median / scale:.2f} {unit}",
        ]
        if len(self.raw_times) >= 4:
            low, high = self._quantile(0.25) / scale, self._quantile(0.75) / scale
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low:.2f} to {high:.2f})")
        lines.append(
            f"  {len(self.raw_times)} measurement{'s' if several else ''}, {self.number_per_run} "
            f"runs {'per measurement,' if several else ','} {threads} "
            f"thread{'s' if threads > 1 else ''}"
        )
        return "\n".join([*lines, *self._warnings])

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of the same task as one."""
        groups: dict[TaskSpec, list[float]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, spec) for spec, times in groups.items()]


def select_unit(t: float) -> tuple[str, float]:
    """The unit, and its length in seconds, in which a time is a number of up to three digits."""
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(math.floor(math.log10(t)) // 3, "s")
    return unit, _SCALES[unit]


def unit_to_english(u: str) -> str:
    """`us` -> `microsecond`."""
    return _WORDS[u]


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to `n` significant figures.

    >>> trim_sigfig(3.14159, 2)
    3.1
    """
    if n != int(n):
        raise AssertionError("Number of significant figures must be an integer")
    scale = 10 ** (math.ceil(math.log10(abs(x))) - n)
    return float(round(x / scale) * scale)


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """Each once, in the order of their first appearance."""
    return list(dict.fromkeys(elements))


@contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """`torch.get_num_threads` says `n` inside the block; XLA's pool keeps its size."""
    from ...._basics.state import process

    before, process.num_threads = process.num_threads, n
    try:
        yield
    finally:
        process.num_threads = before
