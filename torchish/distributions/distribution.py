"""What all distributions share: shapes, checks, expanding, printing; and small helpers.

Invariant: arguments are checked at once, as in torch, and what is pending runs for it. Only inside
a function that is captured (vmap, `torch.compile`) values that are pending are checked when they
are known, and the error is raised at the next read.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from .._autograd.capture import BlindCapture
from .._autograd.interop import is_host
from .._autograd.tensor_base import TensorBase
from .._basics.size import Size
from .._basics.state import state
from .._core.checks import defer_check
from .._ops.registry import ops
from . import constraints
from .utils import all_numbers

_validate: list[bool] = [__debug__]


def fresh(like: Any, shape: Any) -> Any:
    """An empty tensor of the same dtype and device."""
    return ops.empty(tuple(shape), dtype=like.dtype, device=like.device)


def batch_shape(tensor: Any, *given: Any) -> Any:
    """The shape of a parameter; none if all parameters were given as numbers."""
    return () if all_numbers(*given) else tensor.shape


def demand(valid: Any, value: Any, text: Callable[[], str]) -> None:
    """Raise ValueError of `text()` and the values unless all of `valid` holds."""
    wrong = ~valid.all()
    capture = state.capture
    if capture is None or is_host(value):
        if wrong.item():
            raise ValueError(f"{text()}{_shown(value)}")
        return
    begun = text()
    known = f"(in {capture.name})" if isinstance(capture, BlindCapture) else None
    defer_check(wrong._value(), lambda: ValueError(f"{begun}{known or _shown(value)}"))


class Distribution:
    """Base of all distributions: samples are of shape sample_shape + batch_shape + event_shape."""

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[Any] = {}
    support: Any = constraints.dependent
    # Parameters that are properties here, of what another distribution holds, and still checked.
    _derived: ClassVar[tuple[str, ...]] = ()
    _validate_args: bool = True
    _batch_shape: Size = Size()
    _event_shape: Size = Size()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether new distributions check their arguments.

        Raises: ValueError for anything but a bool.
        """
        if value not in (True, False):
            raise ValueError
        _validate[0] = value

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = _validate[0] if validate_args is None else validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            if constraints.is_dependent(constraint) or name not in {*self.__dict__, *self._derived}:
                continue
            value = getattr(self, name)
            if isinstance(value, TensorBase):
                self._check_parameter(name, constraint, value)

    def _check_parameter(self, name: str, constraint: Any, value: Any) -> None:
        demand(
            constraint.check(value), value,
            lambda: f"Expected parameter {name} ({type(value).__name__} of shape "
            f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
            f"{constraint!r}, but found invalid values:\n",
        )  # fmt: skip

    @property
    def batch_shape(self) -> Size:
        """How many distributions there are."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def mean(self) -> Any:
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The most likely value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Values without history."""
        return self.rsample(sample_shape).detach()

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Values that gradients reach the parameters through."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        """The old form of `sample((n,))`; warns."""
        warnings.warn("sample_n(n) will be deprecated. Use .sample((n,)) instead.", UserWarning,
                      stacklevel=2)  # fmt: skip
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or probability."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of values up to this one."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The value that `cdf` gives this probability."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """The entropy."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values, along a new first dim."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """exp of the entropy."""
        return ops.exp(self.entropy())

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution for a larger batch.

        Raises: NotImplementedError for a program's own class that makes more than its base does.
        """
        made = self._get_checked_instance(_home(type(self)), _instance)
        shape = Size(batch_shape)
        made.__dict__.update(self.__dict__)
        self._expand_into(made, shape)
        made._batch_shape = shape
        return made

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        """What `expand` fills: an instance without contents, or the one that a subclass made.

        Raises: NotImplementedError for a subclass with an `__init__` of its own.
        """
        if _instance is None and (cls is Distribution or type(self).__init__ is not cls.__init__):
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return type(self).__new__(type(self)) if _instance is None else _instance

    def _expand_into(self, made: Any, shape: Size) -> None:
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, TensorBase):
                extra = self.arg_constraints[name].event_dim
                tail = value.shape[value.dim() - extra :] if extra else ()
                setattr(made, name, value.expand((*shape, *tail)))

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise ValueError("The value argument to log_prob must be a Tensor")
        start = value.dim() - len(self._event_shape)
        if tuple(value.shape[start:]) != tuple(self._event_shape):
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{value.shape} vs {self._event_shape}."
            )
        whole = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(whole), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{value.shape} vs {whole}."
                )
        support = self.support
        if constraints.is_dependent(support):
            return
        demand(
            support.check(value), value,
            lambda: f"Expected value argument ({type(value).__name__} of shape "
            f"{tuple(value.shape)}) to be within the support ({support!r}) of the distribution "
            f"{self!r}, but found invalid values:\n",
        )  # fmt: skip

    def _checked(self, value: Any) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def __repr__(self) -> str:
        found = []
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, TensorBase):
                one = value.numel() == 1 and not isinstance(state.capture, BlindCapture)
                found.append(f"{name}: {_shown(value) if one else value.size()}")
        return f"{type(self).__name__}({', '.join(found)})"


class ExponentialFamily(Distribution):
    """Densities exp(<t(x), theta> - F(theta) + k(x)), theta the natural parameters.

    A family that says `_natural_params`, `_log_normalizer` (F) and `_mean_carrier_measure` (the
    mean of k) has an entropy, and a divergence within the family.
    """

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        raise NotImplementedError

    def _normalizer_and_slopes(self) -> tuple[Any, list[tuple[Any, Any]]]:
        """F, and each natural parameter with the gradient of F by it."""
        from ..autograd import grad

        params = [x.detach().requires_grad_() for x in self._natural_params]
        norm = self._log_normalizer(*params)
        slopes = grad(norm.sum(), params, create_graph=True)
        return norm, list(zip(params, slopes, strict=True))

    def entropy(self) -> Any:
        """F(theta) - <theta, F'(theta)> - E[k(x)]."""
        measure = self._mean_carrier_measure
        found, pairs = self._normalizer_and_slopes()
        for param, slope in pairs:
            found = found - (param * slope).reshape((*self._batch_shape, -1)).sum(-1)
        return found - measure


def _shown(value: Any) -> str:
    value = value.detach()
    return str(value.item()) if value.dim() == 0 else str(value)


def _home(cls: type) -> Any:
    """The class of this package that a class is, or stands on."""
    return next(c for c in cls.__mro__ if c.__module__.split(".")[0] in ("torch", "torchish"))
