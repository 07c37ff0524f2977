"""`torchish --check`: what of torch and torchvision a program uses that torchish lacks.

Nothing of the program is imported: `scan.py` walks its syntax tree, `scopes.py` says what its names
stand for as far as that is certain, `names.py` asks torchish what it makes of a name.
"""

from __future__ import annotations

from .report import check as check, scan_paths as scan_paths
from .scan import Finding as Finding

__all__ = ["Finding", "check", "scan_paths"]
