"""These tests run where `make libraries` has put the wheels; elsewhere they are left out."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("TORCHISH_LIBRARIES") else ["test_*.py"]
