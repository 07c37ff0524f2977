"""Scripts run one after the other in one process, each as `__main__` with arguments of its own.

`python -m torchish -m tests.e2e.in_turn SCRIPT ARGUMENT... -- SCRIPT ARGUMENT...`; the last line is
JSON: what each printed to stdout and to stderr.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import runpy
import sys
import traceback

MARK = "printed: "


def script(path: str, *arguments: str) -> tuple[str, str]:
    """What one prints; the traceback of one that fails ends its stderr."""
    sys.argv = [path, *arguments]
    sys.path.insert(0, os.path.dirname(path))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(path, run_name="__main__")
        except BaseException:
            traceback.print_exc()
    sys.path.pop(0)
    return out.getvalue(), err.getvalue()


def main(arguments: list[str]) -> None:
    calls = [list(g) for own, g in itertools.groupby(arguments, "--".__ne__) if own]
    print(MARK + json.dumps([script(*call) for call in calls]))


if __name__ == "__main__":
    main(sys.argv[1:])
