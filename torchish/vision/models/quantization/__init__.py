"""torchvision's quantized models: their weights are described, building them is refused by name."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from typing import Any, NoReturn

from ...._basics.errors import MissingName, not_supported
from .._build import weights_enum

# Module: its builders, and the names of their weights before `_QuantizedWeights`.
_MODULES = {
    "googlenet": {"googlenet": "GoogLeNet"},
    "inception": {"inception_v3": "Inception_V3"},
    "mobilenetv2": {"mobilenet_v2": "MobileNet_V2"},
    "mobilenetv3": {"mobilenet_v3_large": "MobileNet_V3_Large"},
    "mobilenet": {"mobilenet_v2": "MobileNet_V2", "mobilenet_v3_large": "MobileNet_V3_Large"},
    "resnet": {
        "resnet18": "ResNet18",
        "resnet50": "ResNet50",
        "resnext101_32x8d": "ResNeXt101_32X8D",
        "resnext101_64x4d": "ResNeXt101_64X4D",
    },
    "shufflenetv2": {
        "shufflenet_v2_x0_5": "ShuffleNet_V2_X0_5",
        "shufflenet_v2_x1_0": "ShuffleNet_V2_X1_0",
        "shufflenet_v2_x1_5": "ShuffleNet_V2_X1_5",
        "shufflenet_v2_x2_0": "ShuffleNet_V2_X2_0",
    },
    "utils": {},
}


def _refused(name: str) -> Any:
    nearest = "the model of torchvision.models without quantization"
    return not_supported(f"quantized models ({name})", nearest)


def _builder(name: str) -> Any:
    def build(
        *, weights=None, progress: bool = True, quantize: bool = False, **kwargs: Any
    ) -> NoReturn:
        raise _refused(name)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name} with quantized weights; calling it raises NotSupportedError."
    return build


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise MissingName(
        f"module 'torchvision.models.quantization' has no attribute {name!r}. {_refused(name)}"
    )


def _fill() -> None:
    """The submodules and what they build, which is this package's too."""
    built: dict[str, Any] = {}
    for name, builders in _MODULES.items():
        spec = importlib.machinery.ModuleSpec(f"{__name__}.{name}", None)
        module = importlib.util.module_from_spec(spec)
        module.__dict__["__getattr__"] = __getattr__
        for builder, weights in builders.items():
            enum = f"{weights}_QuantizedWeights"
            if builder not in built:
                built |= {builder: _builder(builder), enum: weights_enum(enum)}
            module.__dict__.update({key: built[key] for key in (builder, enum)})
        sys.modules[spec.name] = globals()[name] = module
    globals().update(built)  # a builder hides the module of its name


_fill()
