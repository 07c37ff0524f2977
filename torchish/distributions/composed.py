"""Distributions made of others: reinterpreted dims, transformed values, mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .._basics.size import Size
from .._ops.registry import ops
from . import constraints
from .distribution import Distribution
from .transforms import ComposeTransform, Transform
from .utils import sum_rightmost


class Independent(Distribution):
    """`base_distribution` with its last batch dims as part of one value."""

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        n, batch = reinterpreted_batch_ndims, base_distribution.batch_shape
        if n > len(batch):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {n} vs {len(batch)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        split = len(batch) - n
        super().__init__(
            batch[:split], batch[split:] + base_distribution.event_shape, validate_args
        )

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """As the base."""
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:  # type: ignore[override]
        """The base's, over more dims."""
        inner = self.base_dist.support
        n = self.reinterpreted_batch_ndims
        return constraints.independent(inner, n) if n else inner

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same for a larger batch."""
        n = self.reinterpreted_batch_ndims
        shape = Size(batch_shape) + self._event_shape[:n]
        made = super().expand(batch_shape, _instance)
        made.base_dist = self.base_dist.expand(shape)
        return made

    @property
    def mean(self) -> Any:
        return self.base_dist.mean

    @property
    def mode(self) -> Any:
        return self.base_dist.mode

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Any:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Any:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Distribution):
    """The distribution of transformed values of `base_distribution`."""

    arg_constraints: ClassVar[Any] = {}
    base_dist: Any

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not all(isinstance(t, Transform) for t in transforms):
            raise ValueError(
                f"transforms must be a Transform or a list of Transforms, but was {transforms}"
            )
        self.transforms = list(transforms)
        whole = ComposeTransform(self.transforms)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{whole.domain.event_dim}, but got {shape}."
            )
        extra = whole.domain.event_dim - len(base_distribution.event_shape)
        if extra > 0:
            base_distribution = Independent(base_distribution, extra)
        self.base_dist = base_distribution
        out = Size(whole.forward_shape(shape))
        moved = whole.codomain.event_dim - whole.domain.event_dim
        event = max(whole.codomain.event_dim, len(base_distribution.event_shape) + moved)
        cut = len(out) - event
        super().__init__(out[:cut], out[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """As the base."""
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:  # type: ignore[override]
        """Where the last transform's results lie."""
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        extra = len(self.event_shape) - last.event_dim
        return constraints.independent(last, extra) if extra > 0 else last

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same for a larger batch."""
        shape = Size(batch_shape)
        made = super().expand(shape, _instance)
        inner = ComposeTransform(self.transforms).inverse_shape(shape + self.event_shape)
        cut = len(inner) - len(self.base_dist.event_shape)
        made.base_dist = self.base_dist.expand(Size(inner)[:cut])
        return made

    def _forward(self, x: Any) -> Any:
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Any:
        return self._forward(self.base_dist.sample(sample_shape)).detach()

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._forward(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        dims = len(self.event_shape)
        total: Any = 0.0
        y = value
        for t in reversed(self.transforms):
            x = t._inv_call(y)
            dims += t.domain.event_dim - t.codomain.event_dim
            total = total - sum_rightmost(t.log_abs_det_jacobian(x, y), dims - t.domain.event_dim)
            y = x
        return total + sum_rightmost(
            self.base_dist.log_prob(y), dims - len(self.base_dist.event_shape)
        )

    def _oriented(self, probability: Any) -> Any:
        sign: Any = 1
        for t in self.transforms:
            sign = sign * t.sign
        return (
            probability
            if isinstance(sign, int) and sign == 1
            else (sign * (probability - 0.5) + 0.5)
        )

    def cdf(self, value: Any) -> Any:
        self._checked(value)
        for t in reversed(self.transforms):
            value = t._inv_call(value)
        return self._oriented(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._forward(self.base_dist.icdf(self._oriented(value)))


class MixtureSameFamily(Distribution):
    """A value of one of several distributions, chosen by a Categorical.

    Args:
        mixture_distribution: Categorical with K categories.
        component_distribution: its last batch dim has size K.
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self,
        mixture_distribution: Any,
        component_distribution: Any,
        validate_args: bool | None = None,
    ) -> None:
        from .discrete import Categorical

        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of "
                "torch.distributions.Distribution"
            )
        batch = component_distribution.batch_shape
        weights = mixture_distribution.batch_shape
        for a, b in zip(reversed(weights), reversed(batch[:-1]), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({weights}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        self._num_component = mixture_distribution.logits.shape[-1]
        if self._num_component != batch[-1]:
            raise ValueError(
                f"`mixture_distribution component` ({self._num_component}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({batch[-1]})"
            )
        self.mixture_distribution = mixture_distribution
        self.component_distribution = component_distribution
        event = component_distribution.event_shape
        self._event_ndims = len(event)
        super().__init__(batch[:-1], event, validate_args)

    @property
    def support(self) -> Any:  # type: ignore[override]
        """The components'."""
        return self.component_distribution.support

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same for a larger batch."""
        shape = Size(batch_shape)
        made = super().expand(shape, _instance)
        made.component_distribution = self.component_distribution.expand(
            (*shape, self._num_component)
        )
        made.mixture_distribution = self.mixture_distribution.expand(shape)
        return made

    def _weights(self) -> Any:
        p = self.mixture_distribution.probs
        return p.reshape(*p.shape, *[1] * self._event_ndims)

    @property
    def mean(self) -> Any:
        return (self._weights() * self.component_distribution.mean).sum(-1 - self._event_ndims)

    @property
    def variance(self) -> Any:
        p, dim = self._weights(), -1 - self._event_ndims
        inner = (p * self.component_distribution.variance).sum(dim)
        off = self.component_distribution.mean - self.mean.unsqueeze(dim)
        return inner + (p * off.pow(2.0)).sum(dim)

    def cdf(self, value: Any) -> Any:
        each = self.component_distribution.cdf(value.unsqueeze(-1 - self._event_ndims))
        return (each * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - self._event_ndims))
        weights = ops.log_softmax(self.mixture_distribution.logits, dim=-1)
        return ops.logsumexp(each + weights, dim=-1)

    def sample(self, sample_shape: Any = ()) -> Any:
        shape, batch = tuple(sample_shape), self._batch_shape
        chosen = self.mixture_distribution.sample(shape)
        values = self.component_distribution.sample(shape).detach()
        where = len(shape) + len(batch)
        event = self.component_distribution.event_shape
        index = chosen.reshape(*chosen.shape, *[1] * (len(event) + 1))
        full = (*shape, *batch, 1, *event)
        return ops.gather(values, where, index.expand(full)).squeeze(where)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )
