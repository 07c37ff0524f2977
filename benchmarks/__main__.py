"""Run every benchmark, or those named: `python -m benchmarks chain mlp dcgan`."""

from __future__ import annotations

import importlib
import sys

NAMES = ("imports", "cold", "chain", "mlp", "dcgan", "conv", "parallel")

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
