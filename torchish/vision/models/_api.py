"""Published weights and registered models, found by name."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import ModuleType
from typing import Any, get_args

from ... import hub, nn
from ..._basics.errors import not_supported

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]

_PACKAGE = __name__.rpartition(".")[0]
# Where an enum of weights may live, in the order of the search.
_PLACES = ("", ".detection", ".optical_flow", ".quantization", ".segmentation", ".video")
BUILTIN_MODELS: dict[str, Callable[..., nn.Module]] = {}


@dataclass
class Weights:
    """One published file of weights.

    Args:
        url: where the file is.
        transforms: called without arguments, gives what prepares an image for the model.
        meta: facts: `num_params`, `categories`, `min_size`, `recipe` …
    """

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any]

    def __eq__(self, other: Any) -> bool:
        # An enum compares its members when one is copied or unpickled, and partials only compare
        # by identity.
        if not isinstance(other, Weights):
            return NotImplemented
        mine, theirs = _parts(self.transforms), _parts(other.transforms)
        return self.url == other.url and self.meta == other.meta and mine == theirs


def _parts(call: Any) -> Any:
    return (call.func, call.args, call.keywords) if isinstance(call, partial) else call


class WeightsEnum(Enum):
    """The published weights of one model; the values of its members are `Weights`."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """A member from itself, from its name or from `Enum.name`; None stays None.

        Raises: TypeError for a member of another enum, KeyError for an unknown name.
        """
        if type(obj) is str:
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is None or isinstance(obj, cls):
            return obj
        raise TypeError(
            f"Invalid Weight class provided; expected {cls.__name__} but received "
            f"{obj.__class__.__name__}."
        )

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The state dict, downloaded once; arguments are those of `load_state_dict_from_url`.

        Raises: RuntimeError when the address cannot be reached.
        """
        return hub.load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}.{self._name_}"

    @property
    def url(self) -> str:
        return self.value.url

    @property
    def transforms(self) -> Callable[..., Any]:
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        return self.value.meta


def get_weight(name: str) -> WeightsEnum:
    """The weights called `"ResNet50_Weights.IMAGENET1K_V1"`.

    Raises: ValueError for a name of another form or of no enum, KeyError for an unknown member.
    """
    enum_name, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    for place in _PLACES:
        found = vars(importlib.import_module(_PACKAGE + place)).get(enum_name)
        if isinstance(found, type) and issubclass(found, WeightsEnum):
            return found[member]
    raise ValueError(
        f"The weight enum '{enum_name}' for the specific method couldn't be retrieved."
    )


def get_model_weights(name: Callable[..., Any] | str) -> type[WeightsEnum]:
    """The enum of weights of a builder, or of the model registered under a name.

    Raises: ValueError when the builder does not say it in the annotation of `weights`.
    """
    builder = get_model_builder(name) if isinstance(name, str) else name
    parameters = inspect.signature(builder).parameters
    if "weights" not in parameters:
        raise ValueError("The method is missing the 'weights' argument.")
    note = parameters["weights"].annotation
    for kind in (note, *get_args(note)):
        if isinstance(kind, type) and issubclass(kind, WeightsEnum):
            return kind
    raise ValueError(
        "The WeightsEnum class for the specific method couldn't be retrieved. Make sure the typing "
        "info is correct."
    )


def register_model(name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that lets `get_model` find a builder, by its own name or by `name`.

    Raises: ValueError when the name is taken.
    """

    def register(builder: Any) -> Any:
        key = builder.__name__ if name is None else name
        if key in BUILTIN_MODELS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        BUILTIN_MODELS[key] = builder
        return builder

    return register


Filters = Iterable[str] | str | None


def list_models(
    module: ModuleType | None = None, include: Filters = None, exclude: Filters = None
) -> list[str]:
    """Names of the registered models, sorted.

    Args:
        module: only those of this module (`models.video`).
        include, exclude: shell patterns; a model counts when it fits any of them.
    """
    names = {
        name
        for name, builder in BUILTIN_MODELS.items()
        if module is None or builder.__module__.rpartition(".")[0] == module.__name__
    }
    if include:
        names = _matching(names, include)
    return sorted(names - _matching(names, exclude or ()))


def _matching(names: set[str], patterns: Iterable[str] | str) -> set[str]:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return {name for pattern in patterns for name in fnmatch.filter(names, pattern)}


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The builder registered under a name, capitals ignored.

    Raises: ValueError for an unknown name.
    """
    name = name.lower()
    if name in BUILTIN_MODELS:
        return BUILTIN_MODELS[name]
    if name.startswith("quantized_"):
        raise not_supported(f"the quantized model {name}", name.removeprefix("quantized_"))
    raise ValueError(f"Unknown model {name}")


def get_model(name: str, **config: Any) -> nn.Module:
    """The model registered under a name, built with `config`."""
    return get_model_builder(name)(**config)
