"""Reading `.safetensors` files: a JSON header, then the tensors' bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

from .._core import dtypes
from .._core.devices import device
from ..storage import UntypedStorage
from .archive import aligned_bytes, read_into
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
        header, start = _read_header(file, path)
        return {name: _read_tensor(file, start, entry, where) for name, entry in header.items()}


def _read_header(file: Any, path: str) -> tuple[dict[str, Any], int]:
    head = file.read(8)
    size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    text = file.read(size) if 0 < size <= 100_000_000 else b""
    if not size or len(text) != size:
        raise ValueError(f"{path} is not a safetensors file, or it is truncated")
    header = json.loads(text)
    header.pop("__metadata__", None)
    return header, 8 + size


def _read_tensor(file: Any, start: int, entry: dict[str, Any], where: str) -> Any:
    from .._utils import _on_storage

    begin, end = entry["data_offsets"]
    buffer = aligned_bytes(end - begin)
    file.seek(start + begin)
    if read_into(file, buffer) != buffer.nbytes:
        raise ValueError("the safetensors file is truncated")
    storage = default_restore_location(UntypedStorage._of_bytes(buffer), where)
    strides, step = [], 1
    for n in reversed(entry["shape"]):
        strides.append(step)
        step *= max(n, 1)
    return _on_storage(storage, _DTYPES[entry["dtype"]], 0, entry["shape"], strides[::-1])
