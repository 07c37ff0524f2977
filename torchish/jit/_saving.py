"""`torch.jit.save` and `load`, in a format of torchish's own."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

from .._basics.errors import not_supported

_MARK = "torchish_script"


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Write a scripted module or function: its Python object, which `load` needs the class of.

    Differs from torch: the file is no TorchScript; PyTorch and C++ cannot read it.
    """
    from ..serialization import save as write

    inside = io.BytesIO()
    write(m, inside)
    extra = {k: v if isinstance(v, bytes) else str(v).encode() for k, v in
             (_extra_files or {}).items()}  # fmt: skip
    with zipfile.ZipFile(f, "w", zipfile.ZIP_STORED) as out:
        out.writestr(_MARK, "1")
        out.writestr("object", inside.getvalue())
        for name, data in extra.items():
            out.writestr(f"extra/{name}", data)


def load(
    f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False
) -> Any:
    """Read what `save` wrote.

    Raises: ValueError for a path that is none; NotSupportedError for a TorchScript file of PyTorch.
    """
    from ..serialization import load as read

    if isinstance(f, str | os.PathLike) and not os.path.isfile(f):
        kind = "directory" if os.path.isdir(f) else "file"
        if kind == "directory":
            raise ValueError(f"The provided filename {f} is a directory")
        raise ValueError(f"The provided filename {f} does not exist")
    if not zipfile.is_zipfile(f):
        raise RuntimeError("PytorchStreamReader failed reading zip archive: it is none")
    with zipfile.ZipFile(f) as file:
        names = file.namelist()
        if _MARK not in names:
            raise not_supported(
                "TorchScript files of PyTorch (they hold programs of its own interpreter)",
                "torch.save of the model's state_dict in PyTorch",
            )
        for name in _extra_files or {}:
            _extra_files[name] = file.read(f"extra/{name}") if f"extra/{name}" in names else b""
        inside = io.BytesIO(file.read("object"))
    return read(inside, map_location=map_location, weights_only=False)
