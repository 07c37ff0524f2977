"""The operator families; importing this package registers every operator.

May import `_random` and what lies below it.
"""

from __future__ import annotations

import importlib
import pkgutil

# Each module below this folder is a family (or a helper of one): there is no list to keep in step.
for _module in sorted(m.name for m in pkgutil.walk_packages(__path__, f"{__name__}.")):
    importlib.import_module(_module)

from .call.autocast import guard_listed  # noqa: E402
from .call.docstrings import document  # noqa: E402
from .protocol.overriding import guard_table  # noqa: E402
from .registry import PLACES, table  # noqa: E402

guard_listed()
for _place in PLACES:
    guard_table(_place, table(_place))
    if _place != "internal":
        document(_place, table(_place), table("nn.functional"))
