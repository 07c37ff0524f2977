"""Transforms that are made of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...._ops.registry import ops
from ....nn import ModuleList
from ... import transforms as first_api
from ..._tensors import random, randperm, tensor_of
from ._transform import Transform


class _Container(Transform):
    """Holds a list of callables and hands samples from one to the next."""

    def _hold(self, transforms: Any, kinds: tuple[type, ...] = (Sequence,)) -> None:
        if not isinstance(transforms, kinds):
            more = " or a `nn.ModuleList`" if len(kinds) > 1 else ""
            raise TypeError(f"Argument transforms should be a sequence of callables{more}")
        if not transforms:
            raise ValueError("Pass at least one transform")

    @staticmethod
    def _in_turn(transforms: Any, inputs: tuple[Any, ...]) -> Any:
        several = len(inputs) > 1
        outputs: Any = inputs if several else inputs[0]
        for transform in transforms:
            outputs = transform(*inputs)
            inputs = outputs if several else (outputs,)
        return outputs


class Compose(_Container):
    """Apply transforms one after another.

    Raises: TypeError if `transforms` is no sequence, ValueError if it is empty.
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        super().__init__()
        self._hold(transforms)
        self.transforms = transforms

    def forward(self, *inputs: Any) -> Any:
        return self._in_turn(self.transforms, inputs)

    def extra_repr(self) -> str:
        return "\n".join(f"    {t}" for t in self.transforms)


class RandomApply(_Container):
    """Apply a list of transforms with probability p, else none of them."""

    _v1_transform_cls = first_api.RandomApply

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        super().__init__()
        self._hold(transforms, (Sequence, ModuleList))
        self.transforms = transforms
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        if random() >= self.p:
            return inputs if len(inputs) > 1 else inputs[0]
        return self._in_turn(self.transforms, inputs)

    def extra_repr(self) -> str:
        return "\n".join(f"    {t}" for t in self.transforms)


class RandomChoice(_Container):
    """Apply one transform, drawn with weights p."""

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], p: list[float] | None = None
    ) -> None:
        self._hold(transforms)
        if p is None:
            p = [1] * len(transforms)
        elif len(p) != len(transforms):
            raise ValueError(
                f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}"
            )
        super().__init__()
        self.transforms = transforms
        total = sum(p)
        self.p = [weight / total for weight in p]

    def forward(self, *inputs: Any) -> Any:
        weights = tensor_of(np.array(self.p, np.float32))
        return self.transforms[int(ops.multinomial(weights, 1))](*inputs)


class RandomOrder(_Container):
    """Apply a list of transforms in a random order."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self._hold(transforms)
        super().__init__()
        self.transforms = transforms

    def forward(self, *inputs: Any) -> Any:
        order = randperm(len(self.transforms))
        return self._in_turn([self.transforms[k] for k in order], inputs)
