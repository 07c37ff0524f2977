"""What all distributions share: shapes, checks, expanding, printing; and small helpers.

Invariant: parameters that are data on the host are checked at once; those that are still pending
are checked when their program has run, and the error is raised at the next read.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from .._autograd.interop import is_host
from .._autograd.tensor_base import TensorBase
from .._basics.size import Size
from .._basics.state import process
from .._core.checks import defer_check
from .._namespace.limits import finfo
from .._ops.registry import nnf, ops
from . import constraints

_validate: list[bool] = [__debug__]


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """Numbers and tensors as tensors of one shape; numbers take the dtype of the first tensor.

    Raises: ValueError for anything else.
    """
    if not all(isinstance(v, TensorBase | int | float) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    first = next((v for v in values if isinstance(v, TensorBase)), None)
    kind = process.default_dtype if first is None else first.dtype
    place = None if first is None else first.device
    made = [
        v if isinstance(v, TensorBase) else ops.tensor(v, dtype=kind, device=place) for v in values
    ]
    return tuple(ops.broadcast_tensors(*made))


def all_numbers(*values: Any) -> bool:
    """Whether no value is a tensor."""
    return not any(isinstance(v, TensorBase) for v in values)


def batch_shape(tensor: Any, *given: Any) -> Any:
    """The shape of a parameter; none if all parameters were given as numbers."""
    return () if all_numbers(*given) else tensor.shape


def clamp_probs(probs: Any) -> Any:
    """Probabilities away from 0 and 1 by the dtype's eps."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """Log-odds of probabilities; log-probabilities of the several."""
    safe = clamp_probs(probs)
    return ops.log(safe) - ops.log1p(-safe) if is_binary else ops.log(safe)


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """The inverse of `probs_to_logits`."""
    return ops.sigmoid(logits) if is_binary else nnf.softmax(logits, dim=-1)


def one_of(probs: Any, logits: Any) -> None:
    """Raise unless exactly one of them is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def standard_normal(shape: Any, dtype: Any, device: Any) -> Any:
    """Standard normal numbers, as `torch.normal` of tensors draws them."""
    zeros = ops.zeros(tuple(shape), dtype=dtype, device=device)
    return ops.normal(zeros, ops.ones_like(zeros))


def fresh(like: Any, shape: Any) -> Any:
    """An empty tensor of the same dtype and device."""
    return ops.empty(tuple(shape), dtype=like.dtype, device=like.device)


def sum_rightmost(value: Any, dims: int) -> Any:
    """The sum over the last `dims` dims."""
    return value.reshape(*value.shape[:-dims], -1).sum(-1) if dims else value


def demand(valid: Any, error: Any, host: bool) -> None:
    """Raise `error()` unless all of `valid` holds: now, or (not `host`) when it is known."""
    wrong = ~valid.all()
    if host:
        if wrong.item():
            raise error()
    else:
        defer_check(wrong._value(), error)


class Distribution:
    """Base of all distributions: samples are of shape sample_shape + batch_shape + event_shape."""

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[Any] = {}
    support: Any = constraints.dependent
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
            if constraints.is_dependent(constraint) or name not in self.__dict__:
                continue
            value = getattr(self, name)
            if isinstance(value, TensorBase):
                self._check_parameter(name, constraint, value)

    def _check_parameter(self, name: str, constraint: Any, value: Any) -> None:
        shape, shown = tuple(value.shape), repr(self)

        def error() -> ValueError:
            return ValueError(
                f"Expected parameter {name} ({type(value).__name__} of shape {shape}) of "
                f"distribution {shown} to satisfy the constraint {constraint!r}, but found invalid "
                f"values:\n{_shown(value)}"
            )

        demand(constraint.check(value), error, is_host(value))

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
        """The same distribution for a larger batch."""
        made = type(self).__new__(type(self)) if _instance is None else _instance
        shape = Size(batch_shape)
        made.__dict__.update(self.__dict__)
        self._expand_into(made, shape)
        made._batch_shape = shape
        return made

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
        shape, shown = tuple(value.shape), repr(self)

        def error() -> ValueError:
            return ValueError(
                f"Expected value argument ({type(value).__name__} of shape {shape}) to be within "
                f"the support ({support!r}) of the distribution {shown}, but found invalid values:"
                f"\n{_shown(value)}"
            )

        demand(support.check(value), error, is_host(value))

    def _checked(self, value: Any) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def __repr__(self) -> str:
        found = []
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, TensorBase):
                one = value.numel() == 1
                found.append(f"{name}: {_shown(value) if one else value.size()}")
        return f"{type(self).__name__}({', '.join(found)})"


class ExponentialFamily(Distribution):
    """Distributions of an exponential family."""


def _shown(value: Any) -> str:
    value = value.detach()
    if not is_host(value) and value.numel() == 1:
        return str(value.item()) if value.dim() == 0 else str(value)
    return str(value.item()) if value.dim() == 0 else str(value)
