"""Hooks that average gradients, in full or in half precision.

Source: https://pytorch.org/docs/stable/ddp_comm_hooks.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...._basics import dtypes
from ..._collectives import all_reduce
from ..._group import resolve

__all__ = [
    "allreduce_hook", "bf16_compress_hook", "bf16_compress_wrapper", "fp16_compress_hook",
    "fp16_compress_wrapper",
]  # fmt: skip

Hook = Callable[[Any, Any], Any]


def average(process_group: Any, tensor: Any) -> Any:
    """A future of the average of `tensor`, which is overwritten, over a group."""
    group = resolve(process_group)
    work = all_reduce(tensor.div_(group.size()), group=group, async_op=True)
    return work.get_future().then(lambda done: done.value()[0])


def allreduce_hook(process_group: Any, bucket: Any) -> Any:
    """The average over the processes, as without a hook."""
    return average(process_group, bucket.buffer())


def _compressed(dtype: Any, process_group: Any, bucket: Any) -> Any:
    buffer = bucket.buffer()
    return average(process_group, buffer.to(dtype)).then(lambda done: buffer.copy_(done.value()))


def fp16_compress_hook(process_group: Any, bucket: Any) -> Any:
    """The average, exchanged in float16."""
    return _compressed(dtypes.float16, process_group, bucket)


def bf16_compress_hook(process_group: Any, bucket: Any) -> Any:
    """The average, exchanged in bfloat16."""
    return _compressed(dtypes.bfloat16, process_group, bucket)


def _wrapped(hook: Hook, dtype: Any) -> Hook:
    def wrapper(hook_state: Any, bucket: Any) -> Any:
        wide = bucket.buffer()
        bucket.set_buffer(wide.to(dtype))
        return hook(hook_state, bucket).then(lambda done: done.value().to(wide.dtype))

    return wrapper


def fp16_compress_wrapper(hook: Hook) -> Hook:
    """`hook` on buckets in float16; its result is cast back."""
    return _wrapped(hook, dtypes.float16)


def bf16_compress_wrapper(hook: Hook) -> Hook:
    """`hook` on buckets in bfloat16; its result is cast back."""
    return _wrapped(hook, dtypes.bfloat16)
