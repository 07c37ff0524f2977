"""Which of torch's attention kernels a program asked for: kept and read back, without effect.

There is one formulation of attention here, and XLA plans it for each device.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .._ops.call.warning import user_level

# In torch's order of preference.
NAMES = ("flash", "mem_efficient", "math", "cudnn", "overrideable")


class _Enabled(threading.local):
    def __init__(self) -> None:
        self.names = set(NAMES)
        self.order: tuple[str, ...] = NAMES


state = _Enabled()


def _switches(name: str) -> tuple[Callable[[], bool], Callable[[bool], None]]:
    def is_enabled() -> bool:
        return name in state.names

    def enable(enabled: bool) -> None:
        (state.names.add if enabled else state.names.discard)(name)

    return is_enabled, enable


@contextmanager
def chosen(names: list[str], order: list[str] | None = None) -> Iterator[None]:
    """Inside the block, `names` are what is enabled (and `order` comes first)."""
    before, before_order = set(state.names), state.order
    state.names = set(names)
    if order is not None:
        state.order = (*order, *(n for n in state.order if n not in order))
    try:
        yield
    finally:
        state.names, state.order = before, before_order


def functions() -> dict[str, Any]:
    """The functions of `torch.backends.cuda`."""
    made: dict[str, Any] = {}
    for name in NAMES[:-1]:
        made[f"{name}_sdp_enabled"], made[f"enable_{name}_sdp"] = _switches(name)
    for fn_name, fn in made.items():
        fn.__name__ = fn.__qualname__ = fn_name
    return made


class SDPAParams:
    """The arguments of an attention, as `can_use_flash_attention` asks about them."""

    def __init__(
        self, query: Any, key: Any, value: Any, attn_mask: Any, dropout: float, is_causal: bool,
        enable_gqa: bool,
    ) -> None:  # fmt: skip
        self.query, self.key, self.value = query, key, value
        self.attn_mask, self.dropout = attn_mask, dropout
        self.is_causal, self.enable_gqa = is_causal, enable_gqa


def _cannot_use(params: SDPAParams, debug: bool = False) -> bool:
    """False: none of torch's fused kernels is here; XLA fuses by itself."""
    return False


def _is_absent() -> bool:
    """False: the kernel is torch's own."""
    return False


_reduction_math = [False]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Keep the switch; products of halves are summed in float32 here."""
    _reduction_math[0] = enabled


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """What `allow_fp16_bf16_reduction_math_sdp` was given."""
    return _reduction_math[0]


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The old form of `torch.nn.attention.sdpa_kernel`; warns."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager "
        "will be removed. Please see `torch.nn.attention.sdpa_kernel()` for the new context "
        "manager, with updated signature.",
        FutureWarning, stacklevel=user_level(),
    )  # fmt: skip
    wanted = {"flash": enable_flash, "math": enable_math, "mem_efficient": enable_mem_efficient,
              "cudnn": enable_cudnn}  # fmt: skip
    with chosen([name for name, on in wanted.items() if on]):
        yield {}


def others() -> dict[str, Any]:
    """What else `torch.backends.cuda` has of attention."""
    return {
        "SDPAParams": SDPAParams, "sdp_kernel": sdp_kernel,
        "can_use_flash_attention": _cannot_use, "can_use_efficient_attention": _cannot_use,
        "can_use_cudnn_attention": _cannot_use, "is_flash_attention_available": _is_absent,
        "is_ck_sdpa_available": _is_absent,
        "allow_fp16_bf16_reduction_math_sdp": allow_fp16_bf16_reduction_math_sdp,
        "fp16_bf16_reduction_math_sdp_allowed": fp16_bf16_reduction_math_sdp_allowed,
    }  # fmt: skip
