"""The operator families; importing this package registers every operator."""

from __future__ import annotations

import importlib
import pkgutil

# Each module of this folder is a family (or a helper of one): there is no list to keep in step.
for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")

from .autocast import guard_listed  # noqa: E402
from .overriding import guard_table  # noqa: E402
from .registry import PLACES, table  # noqa: E402

guard_listed()
for _place in PLACES:
    guard_table(_place, table(_place))
