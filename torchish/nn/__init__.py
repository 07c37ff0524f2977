"""Neural network layers: `torch.nn`."""

# ruff: noqa: F403 - the families say in __all__ what they export; each by itself, since type
# checkers do not add such lists up

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._basics.tracebacks import hide_from_pytest
from . import (
    _missing,
    functional as functional,
    init as init,
    modules as modules,
    parameter as parameter,
    utils as utils,
)
from .modules.activation import *
from .modules.adaptive import *
from .modules.batchnorm import *
from .modules.channelshuffle import *
from .modules.container import *
from .modules.conv import *
from .modules.distance import *
from .modules.dropout import *
from .modules.flatten import *
from .modules.fold import *
from .modules.instancenorm import *
from .modules.lazy import *
from .modules.linear import *
from .modules.loss import *
from .modules.module import *
from .modules.normalization import *
from .modules.padding import *
from .modules.pixelshuffle import *
from .modules.pooling import *
from .modules.rnn import *
from .modules.sparse import *
from .modules.transformer import *
from .modules.upsampling import *
from .parameter import (
    Buffer as Buffer,
    Parameter as Parameter,
    UninitializedBuffer as UninitializedBuffer,
    UninitializedParameter as UninitializedParameter,
)

hide_from_pytest(__name__)
if TYPE_CHECKING:
    from . import (
        attention as attention,
        common_types as common_types,
        grad as grad,
        parallel as parallel,
    )
    from .parallel import DataParallel as DataParallel
_LAZY = ("attention", "common_types", "grad", "parallel")


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments that make a tensor (`device`, `dtype` ...), out of `kwargs`.

    Raises:
        TypeError: a name is unknown, or given twice.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    known = simple | {"factory_kwargs"}
    unknown = kwargs.keys() - known
    if unknown:
        raise TypeError(f"unexpected kwargs {unknown}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in simple:
        if name in kwargs:
            if name in found:
                raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
            found[name] = kwargs[name]
    return found


if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name == "DataParallel":
            from .parallel import DataParallel

            return DataParallel
        if name in _LAZY:
            return importlib.import_module(f"{__name__}.{name}")
        if name in _missing.NAMES:
            raise _missing.error(f"torch.nn.{name}", _missing.NAMES[name])
        raise AttributeError(f"module 'torch.nn' has no attribute {name!r}")
