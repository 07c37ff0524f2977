"""Checkpoints in PyTorch's format, both ways: `save` and `load`.

Source: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
import stat
import sys
import warnings
from collections.abc import Iterator
from enum import Enum
from typing import IO, Any

from ._basics.errors import not_supported
from ._basics.settings import forced_weights_only
from ._serialization import legacy, unpickling
from ._serialization.archive import ArchiveReader, ArchiveWriter
from ._serialization.loading import load_archive
from ._serialization.locations import (
    _get_layout,
    default_restore_location,
    location_tag,
    register_package,
)
from ._serialization.pickling import StorageTable, dump
from ._serialization.state import config, get_default_mmap_options, state as _state
from ._serialization.unpickling import (
    StorageType,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = [
    "LoadEndianness",
    "StorageType",
    "_get_layout",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

DEFAULT_PROTOCOL = 2
_UNSAFE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` "
    "from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will "
    "likely succeed, but it can result in arbitrary code execution. Do it only if you got the "
    "file from a trusted source."
)
_DOCS = (
    "\n\nCheck the documentation of torch.load to learn more about types accepted by default with "
    "weights_only https://pytorch.org/docs/stable/generated/torch.load.html."
)
FileLike = Any


# --- saving ---


def save(
    obj: object,
    f: FileLike,
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Save an object to a file that real PyTorch reads too.

    A path is written atomically: under another name first, then renamed, so a crash leaves the old
    file as it was. Tensors that share memory still do after loading.

    Args:
        obj: tensors, containers of them, state_dicts, modules.
        f: a path, or an object with `write` and `flush`.
        pickle_module: `pickle`, or a module whose Pickler derives from Python's.
        pickle_protocol: the pickle protocol; `load(weights_only=True)` reads protocol 2.

    Example:
        >>> buffer = io.BytesIO()
        >>> torch.save({"epoch": 3}, buffer)
    """
    if not _is_path(f) and not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    if not _use_new_zipfile_serialization and _state.skip_data:
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
    if not _is_path(f) and not callable(f.write):
        raise TypeError(f"Buffer of {str(type(f)).strip('<>')} has no callable attribute 'write'")
    name = "archive"
    if _is_path(f):
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or name
    with _opened_for_writing(f) as file:
        if not _use_new_zipfile_serialization:
            legacy.save(obj, file, pickle_module, pickle_protocol)
            return
        writer = ArchiveWriter(
            file,
            name,
            alignment=config.save.storage_alignment,
            compute_crc32=config.save.compute_crc32,
        )
        _save_records(obj, writer, pickle_module, pickle_protocol, not _disable_byteorder_record)
        writer.finish()


def _save_records(
    obj: Any, writer: ArchiveWriter, pickle_module: Any, protocol: int, byteorder: bool
) -> None:
    table = StorageTable()
    pickled = io.BytesIO()
    dump(obj, pickled, pickle_module, protocol, lambda s: ("storage", *table.describe(s)))
    writer.write_record("data.pkl", pickled.getvalue())
    writer.write_record(".format_version", b"1")
    writer.write_record(".storage_alignment", str(config.save.storage_alignment).encode())
    if byteorder:
        writer.write_record("byteorder", sys.byteorder.encode())
    for key, storage in table.storages.items():
        writer.write_record(f"data/{key}", storage._bytes().data, skip_data=_state.skip_data)


@contextlib.contextmanager
def _opened_for_writing(f: FileLike) -> Iterator[IO[bytes]]:
    """The open file; a path gets its contents when the block has ended well."""
    if not _is_path(f):
        yield f
        flush = getattr(f, "flush", None)
        if flush is not None:
            flush()
        return
    path = os.path.realpath(os.fspath(f)) if os.fspath(f) else ""
    if not path:
        raise RuntimeError("invalid file name: ")
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(f))} does not exist.")
    if os.path.isdir(path):
        raise RuntimeError("open file failed with strerror: Is a directory")
    mode = os.stat(path).st_mode if os.path.exists(path) else None
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as device_file:  # a pipe or a device cannot be replaced
            yield device_file
        return
    with _replacing(path, mode) as file:
        yield file


@contextlib.contextmanager
def _replacing(path: str, mode: int | None) -> Iterator[IO[bytes]]:
    if mode is not None and not os.access(path, os.W_OK):
        raise RuntimeError("open file failed with strerror: Permission denied")
    temporary = f"{path}.tmp{os.getpid()}-{os.urandom(4).hex()}"
    try:
        file = open(temporary, "xb")
    except OSError as error:
        raise RuntimeError(f"open file failed with strerror: {error.strerror}") from error
    try:
        with file:
            yield file
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


# --- loading ---


def load(
    f: FileLike,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load what `save`, here or in PyTorch, wrote.

    Args:
        f: a path, or an object with `read`, `readline`, `tell` and `seek`.
        map_location: where storages go: None (where they were), a device or its name, a dict from
            tag to tag, or a function (storage, tag) -> storage or None.
        pickle_module: used with `weights_only=False`.
        weights_only: build only tensors, numbers, containers and what `add_safe_globals` allows.
            False runs whatever code the file names.
        mmap: map the file into memory; storages are read when they are used.

    Raises:
        pickle.UnpicklingError: the file needs something that is not allowed.
        RuntimeError: the file is truncated or corrupt, or needs a device that is not there.

    Example:
        >>> buffer = io.BytesIO()
        >>> torch.save({"epoch": 3}, buffer)
        >>> buffer.seek(0)
        0
        >>> torch.load(buffer)
        {'epoch': 3}
    """
    weights_only, pickle_module = _choose_unpickler(weights_only, pickle_module)
    if pickle_load_args and weights_only:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    pickle_load_args.setdefault("encoding", "utf-8")
    mmap = config.load.mmap if mmap is None else mmap
    if _is_path(f) and os.fspath(f).endswith(".safetensors"):
        from ._serialization.safetensors import load_safetensors

        return load_safetensors(os.fspath(f), map_location)
    with _opened_for_reading(f) as file:
        try:
            return _load_open(file, f, map_location, pickle_module, mmap, pickle_load_args)
        except pickle.UnpicklingError as error:
            if not weights_only:
                raise
            raise pickle.UnpicklingError(_weights_only_message(str(error))) from None


def _load_open(
    file: IO[bytes], f: FileLike, map_location: Any, pickle_module: Any, mmap: bool, options: Any
) -> Any:
    if not _is_zipfile(file):
        if mmap:
            name = f"{f}, " if isinstance(f, str) else ""
            raise RuntimeError(
                "mmap can only be used with files saved with "
                f"`torch.save({name}_use_new_zipfile_serialization=True), please torch.save your "
                "checkpoint with this option in order to use mmap."
            )
        return legacy.load(file, map_location, pickle_module, **options)
    archive = ArchiveReader(file)
    if _is_torchscript_zip(archive):
        if pickle_module is None:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to "
                "``torch.load``. " + _UNSAFE
            )
        raise not_supported("TorchScript archives", "torch.save(module.state_dict(), path)")
    if mmap and not _is_path(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    mapped = os.fspath(f) if mmap else None
    return load_archive(archive, map_location, pickle_module, mapped, **options)


def _choose_unpickler(weights_only: bool | None, pickle_module: Any) -> tuple[bool, Any]:
    """(weights_only, module to unpickle with or None for the restricted one)."""
    chosen = pickle_module is None if weights_only is None else bool(weights_only)
    force, force_not = forced_weights_only()
    if force and force_not:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` "
            "should be set, but both were set."
        )
    if force:
        chosen = True
    elif force_not and weights_only is None:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the"
            "`weights_only` argument was not explicitly passed to `torch.load`, forcing "
            "weights_only=False.",
            UserWarning,
            stacklevel=3,
        )
        chosen = False
    if not chosen:
        return False, pickle if pickle_module is None else pickle_module
    if pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    return True, None


def _weights_only_message(message: str) -> str:
    """What the restricted unpickler said, with what to do about it."""
    if re.search(r"GLOBAL (\S+) was not an allowed global by default.", message):
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two "
            "options, \033[1mdo those steps only if you trust the source of the checkpoint\033[0m. "
            f"\n\t(1) {_UNSAFE}\n\t(2) Alternatively, to load with `weights_only=True` please "
            "check the recommended steps in the following error message.\n\tWeightsUnpickler "
            f"error: {message}{_DOCS}"
        )
    text = f"Weights only load failed. {_UNSAFE}\n"
    if not re.search(r"whose module (\S+) is blocked", message):
        text += (
            "Please file an issue with the following so that we can make `weights_only=True` "
            "compatible with your use case: WeightsUnpickler error: "
        )
    return f"{text}\n\n{message}{_DOCS}"


# --- files ---


def _is_path(f: Any) -> bool:
    return isinstance(f, (str, os.PathLike))


@contextlib.contextmanager
def _opened_for_reading(f: FileLike) -> Iterator[IO[bytes]]:
    if _is_path(f):
        with open(f, "rb") as file:
            yield file
        return
    try:
        f.seek(f.tell())
    except (io.UnsupportedOperation, AttributeError) as error:
        text = str(error)
        if "seek" not in text and "tell" not in text:
            raise
        raise type(error)(
            f"{text}. You can only torch.load from a file that is seekable. Please pre-load the "
            "data into a buffer like io.BytesIO and try to load from it instead."
        ) from None
    yield f


def _is_zipfile(file: IO[bytes]) -> bool:
    """Whether the file begins with a zip entry (zipfile's test would accept one anywhere)."""
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    return head == b"PK\x03\x04"


def _is_torchscript_zip(archive: ArchiveReader) -> bool:
    return archive.has_record("constants.pkl")


def get_unsafe_globals_in_checkpoint(f: FileLike) -> list[str]:
    """The names in a checkpoint that weights-only loading would refuse."""
    with _opened_for_reading(f) as file:
        if not _is_zipfile(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        archive = ArchiveReader(file)
        if _is_torchscript_zip(archive):
            raise ValueError(
                "Expected input to be a checkpoint returned by torch.save but got a torchscript "
                "checkpoint"
            )
        found = unpickling.globals_of(archive.get_record("data.pkl"))
    return list(found - set(unpickling.default_allowed()) - set(unpickling.user_allowed()))


# --- settings ---


class LoadEndianness(Enum):
    """Byte order of checkpoints that do not say theirs."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


def get_default_load_endianness() -> LoadEndianness | None:
    """Byte order assumed for checkpoints without a mark; None means little."""
    return config.load.endianness  # type: ignore[no-any-return]


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order assumed for checkpoints without a mark."""
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    config.load.endianness = endianness


def get_crc32_options() -> bool:
    """Whether `save` writes checksums."""
    return config.save.compute_crc32


def set_crc32_options(compute_crc32: bool) -> None:
    """Set whether `save` writes checksums."""
    config.save.compute_crc32 = compute_crc32


class set_default_mmap_options:
    """Set `MAP_PRIVATE` or `MAP_SHARED` for `load(mmap=True)`; also a context manager."""

    def __init__(self, flags: int) -> None:
        import mmap

        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected "
                f"mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got {flags}"
            )
        self.prev = config.load.mmap_flags
        config.load.mmap_flags = flags

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None:
        config.load.mmap_flags = self.prev


class skip_data:
    """Context manager: `save` leaves the contents out (zeros), `load` does not read them."""

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        self._before = _state.skip_data
        _state.skip_data = True

    def __exit__(self, *exc: object) -> None:
        _state.skip_data = self._before
