"""`%load_ext torchish` in IPython and Jupyter; `torchish.install()` anywhere else."""

from __future__ import annotations

from typing import Any

from .. import _alias


def install(*, children: bool = True) -> None:
    """From here on, `import torch` and `import torchvision` find torchish in this process.

    Args:
        children: also in the Python processes that it starts (through PYTHONPATH).

    Raises: RuntimeError if the real torch or torchvision is imported already.

    A second call changes nothing.
    """
    _alias.install()
    if children:
        _alias.install_in_children()


def load_ipython_extension(ipython: Any) -> None:
    """What `%load_ext torchish` runs."""
    install()
