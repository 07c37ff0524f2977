"""torchvision's quantized models, which are refused by name."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from typing import Any

from torchish._basics.errors import MissingName, not_supported

# Modules that have nothing but such names.
_MODULES = (
    "googlenet",
    "inception",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3",
    "resnet",
    "shufflenetv2",
    "utils",
)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    error = not_supported(f"quantized models ({name})", "the model of torchvision.models")
    raise MissingName(
        f"module 'torchvision.models.quantization' has no attribute {name!r}. {error}"
    )


for _name in _MODULES:
    _spec = importlib.machinery.ModuleSpec(f"{__name__}.{_name}", None)
    _module = importlib.util.module_from_spec(_spec)
    _module.__dict__["__getattr__"] = __getattr__
    sys.modules[_spec.name] = _module
    if _name != "googlenet":  # that name is a builder here
        globals()[_name] = _module
del _name, _spec, _module
