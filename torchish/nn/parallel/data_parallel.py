"""Data parallelism within a process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ..._tensor.tensor import Tensor
from ..modules.module import Module
from .replicate import parallel_apply, replicate
from .scatter_gather import as_device, gather, scatter_kwargs
from .spmd import DataDependent, map_tensors, parallel_forward

__all__ = ["DataParallel", "data_parallel"]


def _visible() -> list[int]:
    from ... import cuda

    return list(range(cuda.device_count())) if cuda.is_available() else []


def _index(place: Any) -> int:
    return place if isinstance(place, int) else int(as_device(place).index or 0)


def _check_place(module: Module, source: Any) -> None:
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.device != source:
            raise RuntimeError(
                f"module must have its parameters and buffers on device {source} (device_ids[0]) "
                f"but found one of them on device: {tensor.device}"
            )


def _apply(
    module: Module, inputs: Any, kwargs: Any, device_ids: Sequence[int], output: Any, dim: int
) -> Any:
    if len(device_ids) > 1:
        try:
            joined = parallel_forward(module, inputs, kwargs, device_ids, dim)
        except DataDependent:
            pass
        else:
            place = as_device(output)
            return joined if output == device_ids[0] else _moved(joined, place)
    return _each(module, inputs, kwargs, device_ids, output, dim)


def _moved(joined: Any, place: Any) -> Any:
    return map_tensors(lambda t: t.to(place), joined)


def _each(
    module: Module, inputs: Any, kwargs: Any, device_ids: Sequence[int], output: Any, dim: int
) -> Any:
    """Replica by replica, each a program of its own device."""
    args, named = scatter_kwargs(inputs, kwargs, device_ids, dim)
    if not args and not named:
        args, named = ((),), ({},)
    if len(device_ids) == 1:
        return module(*args[0], **named[0])
    used = list(device_ids)[: len(args)]
    outputs = parallel_apply(replicate(module, used), args, named, used)
    return gather(outputs, output, dim)


class DataParallel(Module):
    """Splits each batch over the GPUs, each with a replica; without a GPU just calls the module.

    Args:
        module: the module, on the first of the devices.
        device_ids: indices of the GPUs; all if None.
        output_device: where the results are joined; the first if None.
        dim: the dimension that is split.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        visible = _visible()
        self.module = module
        if not visible:
            self.device_ids: list[int] = []
            return
        self.dim = dim
        self.device_ids = [_index(d) for d in (visible if device_ids is None else device_ids)]
        self.output_device = self.device_ids[0] if output_device is None else _index(output_device)
        self.src_device_obj = as_device(self.device_ids[0])
        if len(self.device_ids) == 1:
            self.module.to(self.src_device_obj)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        _check_place(self.module, self.src_device_obj)
        return _apply(self.module, inputs, kwargs, self.device_ids, self.output_device, self.dim)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Tensor:
    """`module(*inputs)` with the batch split over the GPUs; see `DataParallel`."""
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    visible = _visible()
    if not visible:
        return module(*inputs, **(module_kwargs or {}))
    ids = [_index(d) for d in (visible if device_ids is None else device_ids)]
    _check_place(module, as_device(ids[0]))
    output = ids[0] if output_device is None else _index(output_device)
    return _apply(module, inputs, module_kwargs or {}, ids, output, dim)
