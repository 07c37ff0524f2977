"""Builders and enums of weights made from tables: what every family of models shares."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Optional

from ... import nn
from ..transforms import _presets
from ..transforms._modes import InterpolationMode
from ._api import Weights, WeightsEnum, get_weight, register_model
from ._meta import categories, table

Kwargs = dict[str, Any]


def weights_enum(name: str) -> Any:
    """The enum of published weights called `name`, as a class of the calling module."""
    entry = table("_weights")[name]
    members = {label: _weights(**facts) for label, facts in entry["members"].items()}
    if entry["default"]:
        members["DEFAULT"] = members[entry["default"]]
    module = sys._getframe(1).f_globals["__name__"]
    make: Any = WeightsEnum  # the functional form of an enum
    return make(name, members, module=module, qualname=name)


def _weights(url: str, transforms: list[Any], meta: Kwargs) -> Weights:
    preset, options = getattr(_presets, transforms[0]), _python(transforms[1])
    return Weights(url, partial(preset, **options) if options else preset, _python(meta))


def _python(value: Any) -> Any:
    """What a value of the table stands for: tuples, categories, interpolations, other weights."""
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, dict):
        return value
    if "list" in value:
        return categories(value["list"])
    if "interpolation" in value and len(value) == 1 and isinstance(value["interpolation"], str):
        return InterpolationMode(value["interpolation"])
    if list(value) == ["weights"]:
        return get_weight(value["weights"])
    return {key: _python(item) for key, item in value.items()}


def expect(kwargs: Kwargs, name: str, value: Any) -> None:
    """Set an argument that the weights decide.

    Raises: ValueError when the user gave another value.
    """
    if kwargs.setdefault(name, value) != value:
        raise ValueError(
            f"The parameter '{name}' expected value {value} but got {kwargs[name]} instead."
        )


def expected(name: str, actual: Any, value: Any) -> Any:
    """The value that the weights decide.

    Raises: ValueError when the user gave another one.
    """
    if actual is not None and actual != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {actual} instead.")
    return value


def expect_classes(weights: Any, kwargs: Kwargs) -> None:
    """Set `num_classes` to the number of categories of the weights."""
    expect(kwargs, "num_classes", len(weights.meta["categories"]))


def load(model: nn.Module, weights: Any, progress: bool) -> None:
    """Fill a model with published weights."""
    model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))


class Argument:
    """One argument of a builder that names weights, with the form it had before 0.13."""

    def __init__(
        self, name: str, enum: type[WeightsEnum], legacy: str, default: Any, named: Any = None
    ) -> None:
        self.name, self.enum, self.legacy = name, enum, legacy
        self.default = default  # what `legacy=True` stands for, or a function of the arguments
        self.named = named  # what the argument is when it is not given

    def translate(self, kwargs: Kwargs, builder: str) -> None:
        """Replace the old form (`pretrained=True`, or True in place of weights), with a warning."""
        given = kwargs.get(self.name)
        modern = given is None or isinstance(given, WeightsEnum)
        if isinstance(given, str) and given != "legacy":
            modern = True
        positional = self.name in kwargs
        if modern and (positional or self.legacy not in kwargs):
            return
        wanted = kwargs.pop(self.name) if positional else kwargs[self.legacy]
        kwargs[self.legacy] = wanted
        chosen = None
        if wanted:
            chosen = self.default(kwargs) if callable(self.default) else self.default
            if not isinstance(chosen, WeightsEnum):
                raise ValueError(f"No weights available for model {builder}")
        if not positional:
            warnings.warn(
                f"The parameter '{self.legacy}' is deprecated since 0.13 and may be removed in the "
                f"future, please use '{self.name}' instead.",
                stacklevel=4,
            )
        text = (
            f"Arguments other than a weight enum or `None` for '{self.name}' are deprecated since "
            "0.13 and may be removed in the future. The current behavior is equivalent to passing "
            f"`{self.name}={chosen}`."
        )
        if chosen is not None:
            text += (
                f" You can also use `{self.name}={type(chosen).__name__}.DEFAULT` to get the most "
                "up-to-date weights."
            )
        warnings.warn(text, stacklevel=4)
        kwargs.pop(self.legacy, None)
        kwargs[self.name] = chosen


def published(name: str, function: Any, arguments: list[Argument], module: str, doc: str) -> Any:
    """Register `function(weights..., progress, **kwargs)` as the builder `name`.

    Its own keyword-only parameters after the weights keep their defaults; positional arguments
    are accepted with torchvision's warning.
    """
    signature = inspect.signature(function)
    notes = {a.name: Optional[a.enum] for a in arguments}  # noqa: UP045 (torchvision's signature)
    fields = [
        p.replace(annotation=notes.get(p.name, p.annotation)) for p in signature.parameters.values()
    ]
    keywords = [p.name for p in fields if p.kind is p.KEYWORD_ONLY]

    def build(*args: Any, **kwargs: Any) -> nn.Module:
        if args:
            kwargs.update(_positional(name, args, keywords))
        for argument in arguments:
            argument.translate(kwargs, name)
        for argument in arguments:
            if argument.name in kwargs:
                kwargs[argument.name] = argument.enum.verify(kwargs[argument.name])
        return function(**kwargs)

    build.__name__ = build.__qualname__ = name
    build.__module__ = module
    build.__doc__ = doc
    build.__signature__ = signature.replace(parameters=fields)  # type: ignore[attr-defined]
    return register_model()(build)


def _positional(name: str, args: tuple[Any, ...], keywords: list[str]) -> Kwargs:
    if len(args) > len(keywords):
        raise TypeError(
            f"{name}() takes at most {len(keywords)} arguments but {len(args)} were given"
        )
    given = dict(zip(keywords, args, strict=False))
    quoted = [f"'{key}'" for key in given]
    text = ", ".join(quoted[:-1]) + (" and " if len(quoted) > 1 else "") + quoted[-1]
    warnings.warn(
        f"Using {text} as positional parameter(s) is deprecated since 0.13 and may be removed in "
        "the future. Please use keyword parameter(s) instead.",
        stacklevel=3,
    )
    return given


def model(
    name: str,
    construct: Callable[..., nn.Module],
    enum: type[WeightsEnum],
    *,
    legacy: str | None = "IMAGENET1K_V1",
    prepare: Callable[[Any, Kwargs], None] = expect_classes,
    fill: Callable[[Any, Any, bool], None] = load,
) -> Any:
    """The builder of one classifier, registered.

    Args:
        construct: makes the network from the user's keyword arguments.
        legacy: the weights that `pretrained=True` stood for.
        prepare: sets the arguments that weights decide.
        fill: loads the weights.
    """

    def build(*, weights=None, progress: bool = True, **kwargs: Any) -> nn.Module:
        if weights is None:
            return construct(**kwargs)
        prepare(weights, kwargs)
        network = construct(**kwargs)
        fill(network, weights, progress)
        return network

    old = Argument("weights", enum, "pretrained", enum[legacy] if legacy else None)
    module = sys._getframe(1).f_globals["__name__"]
    return published(name, build, [old], module, f"{name}; keyword arguments are its class's.")


def make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to `v`, at least 0.9 v and at least `min_value`."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded
