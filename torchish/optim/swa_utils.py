"""Averages of a model over training: stochastic weight averaging and moving averages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np

from .._autograd.grad_mode import no_grad
from .._autograd.interop import host_array, wrap_host
from .._basics.dtypes import int64
from .._ops.registry import ops
from .._tensor.tensor import Tensor
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ._lr_base import one_per_group
from ._rule import assign
from .lr_scheduler import LRScheduler
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """`average = decay * average + (1 - decay) * now`, for one tensor."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """`get_ema_avg_fn`, in place for lists of tensors."""
    _check_decay(decay)

    @no_grad()
    def ema_update(
        ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any
    ) -> None:
        for average, now in zip(ema_param_list, current_param_list, strict=True):
            if average.is_floating_point() or average.is_complex():
                average.lerp_(now, 1 - decay)
            else:
                average.copy_(average * decay + now * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """`average + (now - average) / (n + 1)`, for one tensor."""

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """`get_swa_avg_fn`, in place for lists of tensors."""
    update = get_swa_avg_fn()

    @no_grad()
    def swa_update(
        averaged_param_list: Sequence[Tensor],
        current_param_list: Sequence[Tensor],
        num_averaged: Any,
    ) -> None:
        for average, now in zip(averaged_param_list, current_param_list, strict=True):
            average.copy_(update(average, now, num_averaged))

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters are averages over the calls of `update_parameters`.

    Args:
        model: the model that is trained.
        device: where the copy lives.
        avg_fn: `(average, now, n) -> average` for a tensor; the plain average if None.
        multi_avg_fn: the same in place for lists of tensors.
        use_buffers: average buffers too, instead of copying them.

    Source: Izmailov et al., 2018.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Tensor] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ops.tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the parameters of `model` into the averages; the first time copies them."""
        averages: list[Tensor] = list(self.module.parameters())
        now: list[Tensor] = list(model.parameters())
        if self.use_buffers:
            averages, now = [*averages, *self.module.buffers()], [*now, *model.buffers()]
        averages = [average.detach() for average in averages]
        now = [
            tensor.detach().to(average.device)
            for tensor, average in zip(now, averages, strict=True)
        ]
        # the counter stays on the host, so that asking for it runs nothing
        count = int(host_array(self.n_averaged))
        if count == 0:
            for average, tensor in zip(averages, now, strict=True):
                average.copy_(tensor)
        else:
            self._average(averages, now)
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.detach().copy_(theirs.detach().to(mine.device))
        total = wrap_host(np.array(count + 1, np.int64), self.n_averaged.device)
        assign([self.n_averaged], [total._value()])

    def _average(self, averages: list[Tensor], now: list[Tensor]) -> None:
        if self.multi_avg_fn is not None:
            kinds: dict[Any, list[int]] = {}
            for i, average in enumerate(averages):
                kinds.setdefault((average.device, average.dtype), []).append(i)
            for chosen in kinds.values():
                self.multi_avg_fn(
                    [averages[i] for i in chosen], [now[i] for i in chosen], self.n_averaged
                )
            return
        update = self.avg_fn or get_swa_avg_fn()
        for average, tensor in zip(averages, now, strict=True):
            average.copy_(update(average, tensor, self.n_averaged))


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of all batch normalizations anew over `loader`."""
    norms = {m: m.momentum for m in chain([model], model.modules()) if isinstance(m, _BatchNorm)}
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
    was_training = model.training
    model.train()
    for norm in norms:
        norm.momentum = None
    for batch in loader:
        input = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(input if device is None else input.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Goes to `swa_lr` within `anneal_epochs` and stays there.

    Args:
        swa_lr: the last rate, one or one for each group.
        anneal_strategy: `'cos'` or `'linear'`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = one_per_group("swa_lr", optimizer, swa_lr)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "anneal_strategy must be one of 'cos' or 'linear', instead got "
                + str(anneal_strategy)
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How much of the way is gone at the share `t` of the time."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def _share(self, step: int) -> float:
        return self.anneal_func(max(0, min(1, step / max(1, self.anneal_epochs))))

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        values = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            values.append(end * now + start * (1 - now))
        return values
