"""The stored results of a full run: results.json, one line an entry.

An entry maps each dtype to the checks that held (one letter each) and those that did not (letter
to reason); dtype "-" holds the error inputs.

    python -m tests.compat.opinfo.results part1.jsonl part2.jsonl     merges a run into the file
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

from .excluded import excluded

FILE = Path(__file__).with_name("results.json")
LETTERS = {
    "forward": "f", "layout": "l", "gradient": "g", "second": "s", "method": "m", "operator": "p",
    "inplace": "i", "out": "o", "errors": "e", "error text": "t",
}  # fmt: skip
NAMES = {letter: name for name, letter in LETTERS.items()}
Found = dict[str, tuple[list[str], dict[str, str]]]


@functools.cache
def load() -> dict[str, Found]:
    """entry -> dtype -> (checks that held, checks that did not with what was seen)."""
    if not FILE.exists():
        return {}
    return {
        entry: {
            dtype: ([NAMES[c] for c in held], {NAMES[c]: why for c, why in failed.items()})
            for dtype, (held, failed) in dtypes.items()
        }
        for entry, dtypes in json.loads(FILE.read_text()).items()
    }


def failures() -> set[tuple[str, str, str]]:
    """(entry, dtype, check) of everything that did not hold."""
    return {
        (entry, dtype, check)
        for entry, dtypes in load().items()
        for dtype, (_, failed) in dtypes.items()
        for check in failed
        if check != "error text"
    }


def merge(paths: list[str]) -> None:
    """Put the rows of JSON-lines files into the stored file, replacing those of the same key."""
    known: dict[str, dict[str, Any]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            row = json.loads(line)
            if excluded(row["entry"]):
                continue
            checks = {k: v for k, v in row["checks"].items() if v not in ("none", "-")}
            held = "".join(LETTERS[k] for k, v in checks.items() if v == "ok")
            failed = {LETTERS[k]: v[:120] for k, v in checks.items() if v != "ok"}
            known.setdefault(row["entry"], {})[row["dtype"]] = [held, failed]
    lines = [
        f"{json.dumps(entry)}:{json.dumps(known[entry], separators=(',', ':'), sort_keys=True)}"
        for entry in sorted(known)
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    merge(sys.argv[1:])
