"""Run a program written for PyTorch on torchish: `python -m torchish script.py args...`."""

from __future__ import annotations

from ._command.main import main

if __name__ == "__main__":
    main()
