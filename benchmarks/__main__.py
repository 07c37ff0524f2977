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
    for name in [a for a in sys.argv[1:] if a in NAMES] or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
