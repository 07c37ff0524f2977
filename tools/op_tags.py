"""Write the table of the tags of PyTorch's operators, read from PyTorch.

Run with the real torch: `python tools/op_tags.py`. Facts only: a line for each tag, of overloads
that carry it; what an operator's name implies (`tags.py`) is left out.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from torchish._ops.protocol.tags import implied

FILE = Path(__file__).parent.parent / "torchish" / "_ops" / "protocol" / "tags.txt"


def overloads() -> dict[str, list[Any]]:
    """Every overload of PyTorch's `aten`, as `add.Tensor`, with its tags in PyTorch's order."""
    found = {}
    for qualified in torch._C._dispatch_get_all_op_names():
        space, _, name = qualified.partition("::")
        operator, _, overload = name.partition(".")
        if space != "aten":
            continue
        try:
            made = getattr(getattr(torch.ops.aten, operator), overload or "default")
        except (AttributeError, RuntimeError):  # declared for TorchScript only
            continue
        found[f"{operator}.{overload or 'default'}"] = made.tags
    return found


def table() -> str:
    """The text of the file."""
    by_tag = defaultdict(list)
    for name, tags in sorted(overloads().items()):
        for tag in {tag.name for tag in tags} ^ implied(name):
            by_tag[tag].append(name)
    return "".join(f"{tag} {' '.join(names)}\n" for tag, names in sorted(by_tag.items()))


if __name__ == "__main__":
    FILE.write_text(table())
