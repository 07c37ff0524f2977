"""`GradScaler`: keeps small half-precision gradients from vanishing.

Invariant: the scale and its growth tracker are tensors; the only number a step reads is whether
some gradient was inf or NaN.
"""

from __future__ import annotations

import enum
import warnings
from collections import defaultdict
from typing import Any

from .._basics import devices, dtypes
from .._ops.registry import ops
from .._tensor.tensor import Tensor


class OptState(enum.Enum):
    """What was done with an optimizer since the last `update()`."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Multiplies losses by a scale, divides gradients by it, skips steps whose gradients overflow.

    The scale grows by `growth_factor` after `growth_interval` good steps in a row, and shrinks by
    `backoff_factor` after a bad one.

    Args:
        device: "cuda" (disabled, with a warning, where there is none) or "cpu".
        enabled: False makes every method pass through.
    Source: https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and not devices.jax_devices("cuda"):
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Any = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Any = None
        self._per_optimizer_states: dict[int, dict[str, Any]] = defaultdict(_fresh)

    def _check_scale_growth_tracker(self, name: str) -> tuple[Any, Any]:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale, self._growth_tracker

    def _lazy_init_scale_growth_tracker(self, place: Any) -> None:
        self._scale = ops.full((), self._init_scale, dtype=dtypes.float32, device=place)
        self._growth_tracker = ops.full(
            (), self._init_growth_tracker, dtype=dtypes.int32, device=place
        )

    def scale(self, outputs: Any) -> Any:
        """`outputs` (a tensor or an iterable of them) times the scale.

        Raises: ValueError for anything else.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._lazy_init_scale_growth_tracker(outputs.device)
            return outputs * self._scale.to(device=outputs.device)
        if not hasattr(outputs, "__iter__"):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = [self.scale(x) for x in outputs]
        return type(outputs)(scaled) if isinstance(outputs, list | tuple) else iter(scaled)

    def _unscale_grads_(self, optimizer: Any, inverse: Any, allow_fp16: bool) -> dict[Any, Any]:
        """Divide the gradients; a flag for each device tells whether one was not finite."""
        flags: dict[Any, Any] = {}
        for group in optimizer.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if not allow_fp16 and grad.dtype is dtypes.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                wrong = (~ops.isfinite(grad.detach())).any().to(dtypes.float32)
                have = flags.get(grad.device)
                flags[grad.device] = wrong if have is None else ops.maximum(have, wrong)
                grad.detach().mul_(inverse.to(device=grad.device))
        return flags

    def unscale_(self, optimizer: Any) -> None:
        """Divide the optimizer's gradients by the scale now, for example to clip them.

        Raises: RuntimeError when done twice, or after `step`.
        """
        if not self._enabled:
            return
        self._check_scale_growth_tracker("unscale_")
        status = self._per_optimizer_states[id(optimizer)]
        if status["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if status["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inverse = self._scale.double().reciprocal().float()
        status["found_inf_per_device"] = self._unscale_grads_(optimizer, inverse, False)
        status["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args)` unless a gradient is inf or NaN (unscales first if need be).

        Raises: RuntimeError for a closure, or a second step before `update`.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_scale_growth_tracker("step")
        status = self._per_optimizer_states[id(optimizer)]
        if status["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if status["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not status["found_inf_per_device"]:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if not any(flag.item() for flag in status["found_inf_per_device"].values()):
            result = optimizer.step(*args, **kwargs)
        status["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: Any = None) -> None:
        """Grow or shrink the scale by what the steps found; or set it.

        Raises: AssertionError when no step was made since the last update.
        """
        if not self._enabled:
            return
        scale, tracker = self._check_scale_growth_tracker("update")
        if new_scale is not None:
            if isinstance(new_scale, Tensor):
                scale.copy_(new_scale)
            else:
                scale.fill_(float(new_scale))
        else:
            flags = [
                flag.to(device=scale.device)
                for status in self._per_optimizer_states.values()
                for flag in status["found_inf_per_device"].values()
            ]
            if not flags:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adjust(scale, tracker, sum(flags[1:], flags[0]) > 0)
        self._per_optimizer_states = defaultdict(_fresh)

    def _adjust(self, scale: Any, tracker: Any, overflow: Any) -> None:
        good = tracker + 1
        grows = good == self._growth_interval
        grown = scale * self._growth_factor
        grown = ops.where(ops.isfinite(grown), grown, scale)
        kept = ops.where(grows, grown, scale)
        scale.copy_(ops.where(overflow, scale * self._backoff_factor, kept))
        tracker.copy_(ops.where(overflow | grows, ops.zeros_like(tracker), good))

    def get_scale(self) -> float:
        """The scale as a Python number (1.0 when disabled)."""
        if not self._enabled:
            return 1.0
        return float(self._init_scale if self._scale is None else self._scale.item())

    def get_growth_factor(self) -> float:
        """What a good interval multiplies the scale by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Change what a good interval multiplies the scale by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What an overflow multiplies the scale by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Change what an overflow multiplies the scale by."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Change how many good steps in a row let the scale grow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return int(
            self._init_growth_tracker
            if self._growth_tracker is None
            else self._growth_tracker.item()
        )

    def is_enabled(self) -> bool:
        """Whether the scaler does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; empty when disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises: RuntimeError for the empty dict of a disabled scaler.
        """
        if not self._enabled:
            return
        if len(state_dict) == 0:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def __getstate__(self) -> dict[str, Any]:
        found = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, "
                    "or at the end after scaler.update()."
                )
            found["_init_scale"] = self.get_scale()
            found["_init_growth_tracker"] = self._get_growth_tracker()
            found["_scale"] = found["_growth_tracker"] = None
        return found
