"""How lists of tensors are grouped for operators on whole lists."""

from __future__ import annotations

from typing import Any

Indices = list[int]


def _get_foreach_kernels_supported_devices() -> list[str]:
    return ["cuda", "xpu", "mtia"]


def _get_fused_kernels_supported_devices() -> list[str]:
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia"]


def _group_tensors_by_device_and_dtype(
    tensorlistlist: list[list[Any]], with_indices: bool = False
) -> dict[tuple[Any, Any], tuple[list[list[Any]], Indices]]:
    """The lists' entries by the device and dtype of the first list's, with where they stood."""
    found: dict[tuple[Any, Any], tuple[list[list[Any]], Indices]] = {}
    for position, row in enumerate(zip(*tensorlistlist, strict=True)):
        first = row[0]
        key = (None, None) if first is None else (first.device, first.dtype)
        lists, indices = found.setdefault(key, ([[] for _ in tensorlistlist], []))
        for column, value in zip(lists, row, strict=True):
            column.append(value)
        if with_indices:
            indices.append(position)
    return found


def _device_has_foreach_support(device: Any) -> bool:
    return device.type in (*_get_foreach_kernels_supported_devices(), "cpu")


def _has_foreach_support(tensors: list[Any], device: Any) -> bool:
    from .._tensor.tensor import Tensor

    return _device_has_foreach_support(device) and all(
        t is None or type(t) is Tensor for t in tensors
    )
