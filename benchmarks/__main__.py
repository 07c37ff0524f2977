"""Run every benchmark, or those named: `python -m benchmarks chain mlp dcgan`."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "imports",
    "cold",
    "programs",
    "shapes",
    "chain",
    "mlp",
    "compiled",
    "dcgan",
    "chaos",
    "conv",
    "models",
    "parallel",
    "boxes",
    "images",
    "loader",
    "written",
    "memory",
    "endurance",
    "peers",
)

if __name__ == "__main__":
    from .models import BY_NAME

    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    if unknown := set(given) - {*NAMES, *BY_NAME}:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}: {', '.join(NAMES)}")
    for name in [a for a in given if a in NAMES] or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
