"""Which PyTorch release's behaviour this is; `torch.__version__` compares as a version too."""

from __future__ import annotations

from ._alias import VERSIONS

__version__ = VERSIONS["torch"]
debug = False
cuda: str | None = None
git_version = "torchish"
hip: str | None = None
xpu: str | None = None
