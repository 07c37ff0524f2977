"""Compiles the call path in C for the Python that runs this: `python build_recorder.py FOLDER`."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCES = sorted((Path(__file__).parent / "src" / "recorder").glob("*.c"))


def main(folder: Path) -> None:
    """Build the extension module; Pythons of other versions do not find it, and need none."""
    subprocess.run(
        [
            os.environ.get("CC", "gcc"), "-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Werror",
            f"-I{sysconfig.get_path('include')}", *map(str, SOURCES),
            "-o", str(folder / f"_recorder{sysconfig.get_config_var('EXT_SUFFIX')}"),
        ],
        check=True,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
