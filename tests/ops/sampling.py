"""Samples of operators: the arguments with which torchish and PyTorch are compared.

A family lists them in `samples/<family>.py`:

    SAMPLES = {"torch.add": [S(f(3, 4), f(4), alpha=2.0)], "nn.functional.relu": [S(f(3, 4))]}

Arrays stand for tensors (a transposed array for a transposed tensor), `N("float64")` for
`torch.float64` and `torchish.float64`.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

_counter = itertools.count()


def _source() -> np.random.RandomState:
    """A stream of its own for each array, the same in every run."""
    return np.random.RandomState(next(_counter) + 12345)


def f(*shape: int, low: float = -3.0, high: float = 3.0) -> np.ndarray[Any, Any]:
    """Floating point numbers (float32; the tests also try other dtypes)."""
    return np.asarray(_source().uniform(low, high, shape), np.float32)


def pos(*shape: int) -> np.ndarray[Any, Any]:
    """Positive floating point numbers, away from 0."""
    return f(*shape, low=0.2, high=3.0)


def unit(*shape: int) -> np.ndarray[Any, Any]:
    """Floating point numbers inside (0, 1)."""
    return f(*shape, low=0.05, high=0.95)


def i(*shape: int, low: int = -5, high: int = 6) -> np.ndarray[Any, Any]:
    """int64 numbers of [low, high)."""
    return np.asarray(_source().randint(low, high, shape), np.int64)


def b(*shape: int) -> np.ndarray[Any, Any]:
    """Truth values."""
    return np.asarray(_source().rand(*shape) > 0.5)


def c(*shape: int) -> np.ndarray[Any, Any]:
    """complex64 numbers."""
    real, imag = f(*shape), f(*shape)
    return np.asarray(real + 1j * imag, np.complex64)


def distinct(*shape: int) -> np.ndarray[Any, Any]:
    """Floating point numbers no two of which are equal or near each other."""
    count = int(np.prod(shape))
    return (_source().permutation(count).reshape(shape) * 0.5 - count * 0.2).astype(np.float32)


@dataclass(frozen=True)
class N:
    """An attribute of the library under test: a dtype, a memory format."""

    name: str


@dataclass(frozen=True)
class Options:
    """What is compared, and how closely."""

    grad: bool = True
    values: bool = True
    strides: bool = True
    half: bool = True
    forms: bool = True
    scale: float = 1.0
    reason: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Sample:
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: Options = field(default_factory=Options)

    def _with(self, **changes: Any) -> Sample:
        return replace(self, options=replace(self.options, **changes))

    def no_grad(self) -> Sample:
        """Do not differentiate."""
        return self._with(grad=False)

    def no_half(self) -> Sample:
        """Not in float16 and bfloat16 (ill-conditioned there)."""
        return self._with(half=False)

    def no_forms(self) -> Sample:
        """Only the function: no method, in-place or `out=` form of this call."""
        return self._with(forms=False)

    def no_strides(self) -> Sample:
        """Do not compare strides."""
        return self._with(strides=False)

    def only_shapes(self) -> Sample:
        """Compare shape, dtype and strides: the values mean nothing."""
        return self._with(values=False, grad=False)

    def within(self, scale: float) -> Sample:
        """Tolerances `scale` times wider than the table's."""
        return self._with(scale=scale)

    def warns(self) -> Sample:
        """Both libraries may warn."""
        return self._with(warns=True)

    def differs(self, reason: str) -> Sample:
        """This sample is known to differ (a strict expected failure)."""
        return self._with(reason=reason)


def S(*args: Any, **kwargs: Any) -> Sample:
    """A sample: the arguments of one call of the operator."""
    return Sample(args, kwargs)


def unary(*, domain: Callable[..., Any] = f, ints: bool = True) -> list[Sample]:
    """Samples for a function of one tensor: plain, transposed, 0-dim, integers, bools, empty."""
    samples = [S(domain(3, 4)), S(domain(2, 3).T), S(domain())]
    if ints:
        samples += [S(i(5, low=1, high=6)), S(b(4))]
    return samples


def binary(*, domain: Callable[..., Any] = f, number: Any = 2.5) -> list[Sample]:
    """Samples for a function of two tensors: broadcasting, a number, mixed dtypes."""
    return [
        S(domain(3, 4), domain(4)),
        S(domain(3, 1), domain(1, 4)),
        S(domain(2, 3).T, domain(2, 3).T),
        S(domain(3), number),
        S(i(4, low=1, high=5), i(4, low=1, high=5)),
        S(i(4, low=1, high=5), domain()),
    ]


def all_samples() -> dict[str, list[Sample]]:
    """The samples of all families; a name listed twice raises."""
    global _counter
    from tests.ops import samples

    found: dict[str, list[Sample]] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(samples.__path__)):
        _counter = itertools.count()  # a family's arrays do not depend on the others
        family = importlib.import_module(f"tests.ops.samples.{module}").SAMPLES
        for name, listed in family.items():
            if name in found:
                raise ValueError(f"samples of {name} are listed twice (again in {module})")
            found[name] = listed
    return found
