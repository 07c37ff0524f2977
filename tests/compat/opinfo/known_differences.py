"""Where torchish is known to differ from PyTorch in the OpInfo runs: the one table.

A row is (entry pattern, dtypes, check) -> reason. `*` in the pattern stands for anything; dtypes
are named, or `*`. Rows are strict: a row that no longer explains a failure must go (the full run
checks it, `unused`).
"""

from __future__ import annotations

import fnmatch

KNOWN: dict[tuple[str, str, str], str] = {}


def row_for(entry: str, dtype: str, check: str) -> tuple[str, str, str] | None:
    """The row that explains a failure."""
    for row in KNOWN:
        pattern, dtypes, name = row
        if name == check and (dtypes == "*" or dtype in dtypes.split()):
            if fnmatch.fnmatchcase(entry, pattern):
                return row
    return None


def reason_for(entry: str, dtype: str, check: str) -> str | None:
    """Why a check of an entry is known to fail at a dtype; None when it must hold."""
    row = row_for(entry, dtype, check)
    return None if row is None else KNOWN[row]


def unused(failures: set[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Rows that explain none of the failures of a full run."""
    used = {row_for(*failure) for failure in failures}
    return [row for row in KNOWN if row not in used]
