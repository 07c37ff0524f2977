"""The operator families; importing this package registers every operator.

May import `_random` and what lies below it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator


def _modules(folder: str, prefix: str) -> Iterator[str]:
    """What `pkgutil.walk_packages` names, in a quarter of the time where modules are files."""
    if not os.path.isdir(folder):  # in an archive
        yield from (m.name for m in pkgutil.walk_packages([folder], prefix))
        return
    for entry in os.scandir(folder):
        name, ending = os.path.splitext(entry.name)
        if ending == ".py" and name != "__init__":
            yield prefix + name
        elif not ending and name != "__pycache__" and entry.is_dir():
            yield prefix + name
            yield from _modules(entry.path, f"{prefix}{name}.")


# Each module below this folder is a family (or a helper of one): there is no list to keep in step.
for _module in sorted(_modules(__path__[0], f"{__name__}.")):
    importlib.import_module(_module)

from .call.autocast import guard_listed  # noqa: E402
from .call.docstrings import document  # noqa: E402
from .protocol.overriding import guard_table  # noqa: E402
from .registry import PLACES, settle, table  # noqa: E402

guard_listed()
for _place in PLACES:
    guard_table(_place, table(_place))
    if _place != "internal":
        document(_place, table(_place), table("nn.functional"))
settle()
