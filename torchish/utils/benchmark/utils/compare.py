"""Tables of measurements: a row for each statement, a column for each description."""

from __future__ import annotations

import enum
import math
from typing import Any

from .common import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

__all__ = ["Colorize", "Compare"]

_BEST, _GOOD, _BAD, _VERY_BAD = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m"
_BOLD, _END = "\033[1m", "\033[0m"

Cell = Measurement | None


class Colorize(enum.Enum):
    """What times are coloured by comparison with."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


def _coloured(text: str, value: float, best: float) -> str:
    if value <= best * 1.01 or value <= best + 100e-9:
        return _BEST + _BOLD + text + _END * 2
    if value <= best * 1.1:
        return _GOOD + _BOLD + text + _END * 2
    if value >= best * 5:
        return _VERY_BAD + _BOLD + text + _END * 2
    return _BAD + text + _END * 2 if value >= best * 2 else text


class _Column:
    """How the times of one column are written."""

    def __init__(self, cells: list[Cell], scale: float, trim: bool, warn: bool) -> None:
        found = [m for m in cells if m is not None]
        self.scale, self.trim = scale, trim
        self.warn = warn and any(m.has_warnings for m in found)
        digits = [math.ceil(math.log10(m.median / scale)) for m in found]
        figures = zip(found, digits, strict=True)
        decimals = min(max(m.significant_figures - d, 0) for m, d in figures) if trim else 1
        width = max(digits) + decimals + (1 if decimals else 0)
        self.template = f"{{:>{width}.{decimals}f}}{{:>{7 if self.warn else 0}}}"

    def text(self, m: Cell) -> str:
        if m is None:
            one = trim_sigfig(1, 1) if self.trim else 1
            return " " * len(self.template.format(one, ""))
        value = m.median / self.scale
        if self.trim:
            value = trim_sigfig(value, m.significant_figures)
        spread = f" (! {m.iqr / m.median * 100:.0f}%)" if self.warn and m.has_warnings else ""
        return self.template.format(value, spread)


class Table:
    """The table of all measurements with one label."""

    def __init__(
        self, results: list[Measurement], colorize: Colorize, trim_significant_figures: bool,
        highlight_warnings: bool,
    ) -> None:  # fmt: skip
        if len({r.label for r in results}) != 1:
            raise AssertionError("All results must share the same label")
        self.results, self.label = results, results[0].label
        self._colorize, self._highlight_warnings = colorize, highlight_warnings
        self.time_unit, self.time_scale = select_unit(min(r.median for r in results))
        keys = ordered_unique((r.num_threads, r.env, r.as_row_name) for r in results)
        self.row_keys = sorted(keys, key=lambda key: key[:2])
        self.column_keys = ordered_unique(r.description for r in results)
        self.cells: dict[Any, Measurement] = {
            ((r.num_threads, r.env, r.as_row_name), r.description): r for r in results
        }
        self.columns = [
            _Column([self.cells.get((row, key)) for row in self.row_keys], self.time_scale,
                    trim_significant_figures, highlight_warnings)
            for key in self.column_keys
        ]  # fmt: skip

    def _row(self, key: Any) -> list[Cell]:
        return [self.cells.get((key, column)) for column in self.column_keys]

    def _names(self) -> list[str]:
        """The first column: environments, where there are several, and statements."""
        envs = {r.env for r in self.results}
        width = max(len(e) for e in envs) if len(envs) > 1 else 0
        names, before = [], (None, None)
        for threads, env, name in self.row_keys:
            shown = f"({env})" if len(envs) > 1 and (threads, env) != before else ""
            names.append("  " + shown.ljust(width + 4) + name)
            before = (threads, env)
        return names

    def _best(self, key: Any) -> list[float | None]:
        """What the times of a row are compared with."""
        if self._colorize is Colorize.ROWWISE:
            return [min(m.median for m in self._row(key) if m)] * len(self.columns)
        group = [self._row(k) for k in self.row_keys if k[0] == key[0]]
        columns = [[m.median for m in column if m] for column in zip(*group, strict=True)]
        return [min(found) if found else None for found in columns]

    def _finished(self, key: Any, texts: list[str], widths: list[int]) -> str:
        parts = [texts[0].ljust(widths[0])]
        for text, width, m, best in zip(
            texts[1:], widths[1:], self._row(key), self._best(key), strict=True
        ):
            text = text.center(width)
            if self._colorize is not Colorize.NONE and m is not None and best is not None:
                text = _coloured(text, m.median, best)
            parts.append(text)
        return "  |  ".join(parts)

    def render(self) -> str:
        """The table as text."""
        head = ["", *self.column_keys]
        rows = [
            [name, *(c.text(m) for c, m in zip(self.columns, self._row(key), strict=True))]
            for name, key in zip(self._names(), self.row_keys, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = ["  |  ".join(t.center(w) for t, w in zip(head, widths, strict=True))]
        across, threads = len(lines[0]), None
        for key, texts in zip(self.row_keys, rows, strict=True):
            if key[0] != threads:
                threads = key[0]
                lines.append(f"{threads} threads: ".ljust(across, "-"))
            lines.append(self._finished(key, texts, widths))
        title = f" {self.label or ''} ".center(across - 2, "-")
        warned = self._highlight_warnings and any(r.has_warnings for r in self.results)
        note = "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return (
            f"[{title}]\n" + "\n".join(lines) + "\n\n"
            f"Times are in {unit_to_english(self.time_unit)}s ({self.time_unit}).\n"
            + (note if warned else "")
        )


class Compare:
    """Tables of measurements, one for each label.

    Raises: ValueError for anything but measurements.
    """

    def __init__(self, results: list[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim_significant_figures = self._highlight_warnings = False
        self._colorize = Colorize.NONE

    def extend_results(self, results: list[Measurement]) -> None:
        """Add measurements."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(r)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show no more figures than are sure."""
        self._trim_significant_figures = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour times, by the best of their column or row."""
        self._colorize = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Mark times that spread suspiciously."""
        self._highlight_warnings = True

    def _render(self) -> list[str]:
        groups: dict[Any, list[Measurement]] = {}
        for m in Measurement.merge(self._results):
            groups.setdefault(m.label, []).append(m)
        flags = (self._colorize, self._trim_significant_figures, self._highlight_warnings)
        return [Table(group, *flags).render() for group in groups.values()]

    def __str__(self) -> str:
        return "\n".join(self._render())

    def print(self) -> None:
        """Print the tables."""
        print(self)
