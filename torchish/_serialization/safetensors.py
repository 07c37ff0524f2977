"""`.safetensors` files, read by the package of that name."""

from __future__ import annotations

from typing import Any

import safetensors

from .._basics import dtypes
from .._basics.devices import device
from .._utils import _on_storage
from ..storage import UntypedStorage
from .locations import default_restore_location

_DTYPES = {
    "F64": dtypes.float64, "F32": dtypes.float32, "F16": dtypes.float16, "BF16": dtypes.bfloat16,
    "I64": dtypes.int64, "I32": dtypes.int32, "I16": dtypes.int16, "I8": dtypes.int8,
    "U8": dtypes.uint8, "U16": dtypes.uint16, "U32": dtypes.uint32, "U64": dtypes.uint64,
    "BOOL": dtypes.bool_, "F8_E4M3": dtypes.float8_e4m3fn, "F8_E5M2": dtypes.float8_e5m2,
    "C64": dtypes.complex64,
}  # fmt: skip


def load_safetensors(path: str, map_location: Any) -> dict[str, Any]:
    """The tensors of a file by name.

    Raises: RuntimeError for a dict or a function as `map_location`, ValueError for a corrupt file.
    """
    if isinstance(map_location, bytes):
        map_location = map_location.decode()
    if map_location is not None and not isinstance(map_location, (str, device)):
        kind = "dict" if isinstance(map_location, dict) else "callable"
        raise RuntimeError(
            f"Loading safetensors file with {kind} map_location is not supported. Use a device "
            "string or torch.device instead."
        )
    where = "cpu" if map_location is None else str(map_location)
    with open(path, "rb") as file:
        content = file.read()
    try:
        found = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or it is truncated") from error
    return {name: _tensor(entry, where) for name, entry in found}


def _tensor(entry: dict[str, Any], where: str) -> Any:
    storage = default_restore_location(UntypedStorage(entry["data"]), where)
    strides, step = [], 1
    for n in reversed(entry["shape"]):
        strides.append(step)
        step *= max(n, 1)
    return _on_storage(storage, _DTYPES[entry["dtype"]], 0, entry["shape"], strides[::-1])
