"""Checkpoints as folders: `.metadata`, and files of entries one after the other (PyTorch's format).

Each entry is what `torch.save` writes; the metadata says where it begins and how long it is.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..._basics.errors import not_supported
from ..._basics.size import Size
from ..._serialization import pickling, unpickling
from ...serialization import load as _load, save as _save
from .metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

__all__ = ["FileSystemReader", "FileSystemWriter"]

CURRENT_DCP_VERSION = "1.0.0"
_METADATA = ".metadata"
_SUFFIX = ".distcp"


@dataclass
class _StorageInfo:
    """Where the bytes of an entry are."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: Sequence[str] | None = None

    def __getstate__(self) -> Any:
        return {k: v for k, v in self.__dict__.items() if v is not None}


def _described(value: Any) -> Any:
    from ..._autograd.tensor_base import TensorBase

    if not isinstance(value, TensorBase):
        return BytesStorageMetadata()
    shape = Size(value.shape)  # type: ignore[attr-defined]
    chunk = ChunkStorageMetadata(Size([0] * len(shape)), shape)
    return TensorStorageMetadata(TensorProperties.create_from_tensor(value), shape, [chunk])


class FileSystemWriter:
    """Writes a checkpoint into a folder.

    Args:
        path: the folder; made if it is not there.
        overwrite: whether one that is there may be replaced.
        single_file_per_rank, thread_count, per_thread_copy_ahead, cache_staged_state_dict: change
            nothing: one thread writes one file, which every reader takes.
    Raises: NotSupportedError for extensions, and for another format than `torch.save`'s.
    """

    def __init__(
        self, path: Any, single_file_per_rank: bool = True, sync_files: bool = True,
        thread_count: int = 1, per_thread_copy_ahead: int = 10_000_000,
        cache_staged_state_dict: bool = False, overwrite: bool = True, _extensions: Any = None,
        serialization_format: Any = None,
    ) -> None:  # fmt: skip
        if _extensions:
            raise not_supported("FileSystemWriter(_extensions=...)", "files as they are")
        if getattr(serialization_format, "value", "torch_save") != "torch_save":
            raise not_supported("FileSystemWriter(serialization_format=...)", "torch.save's")
        self.path, self.overwrite, self.sync_files = os.fspath(path), overwrite, sync_files

    def reset(self, checkpoint_id: Any = None) -> None:
        """Write elsewhere from now on."""
        if checkpoint_id is not None:
            self.path = os.fspath(checkpoint_id)

    def write(self, flat: dict[str, Any], paths: Any) -> Metadata:
        """Write all entries; the metadata last, so that half a checkpoint has none.

        Raises: RuntimeError where a checkpoint may not be replaced.
        """
        os.makedirs(self.path, exist_ok=True)
        final = os.path.join(self.path, _METADATA)
        if os.path.exists(final) and not self.overwrite:
            raise RuntimeError("Checkpoint already exists and self.overwrite=False.")
        described = {name: _described(value) for name, value in flat.items()}
        name, where = f"__0_0{_SUFFIX}", {}
        with open(os.path.join(self.path, name), "wb") as file:
            for key, value in flat.items():
                start, index = file.tell(), MetadataIndex(key)
                if isinstance(described[key], TensorStorageMetadata):
                    index = MetadataIndex(key, described[key].chunks[0].offsets, 0)
                    value = value.detach().cpu()
                buffer = io.BytesIO()
                _save(value, buffer)
                file.write(buffer.getbuffer())
                where[index] = _StorageInfo(name, start, file.tell() - start)
            if self.sync_files:
                file.flush()
                os.fsync(file.fileno())
        meta = StorageMeta(self.path, str(uuid.uuid4()))
        found = Metadata(described, paths, where, meta, CURRENT_DCP_VERSION)
        with open(final + ".tmp", "wb") as file:
            pickling.dump(found, file, pickle, 4, lambda storage: None)
        os.replace(final + ".tmp", final)
        return found

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Whether it names a folder that can be made."""
        return "://" not in str(checkpoint_id)


class FileSystemReader:
    """Reads a checkpoint from a folder.

    Raises: FileNotFoundError where there is none; NotSupportedError for extensions.
    """

    def __init__(self, path: Any, _extension_registry: Any = None) -> None:
        if _extension_registry is not None:
            raise not_supported("FileSystemReader(_extension_registry=...)", "files as they are")
        self.path = os.fspath(path)

    def reset(self, checkpoint_id: Any = None) -> None:
        """Read elsewhere from now on."""
        if checkpoint_id is not None:
            self.path = os.fspath(checkpoint_id)

    def read_metadata(self) -> Metadata:
        """What the checkpoint holds."""
        with open(os.path.join(self.path, _METADATA), "rb") as file:
            return unpickling.unpickler_class(pickle)(file).load()  # type: ignore[no-any-return]

    def read(self, info: _StorageInfo, weights_only: bool) -> Any:
        """One entry, or part of one."""
        with open(os.path.join(self.path, info.relative_path), "rb") as file:
            file.seek(info.offset)
            data = file.read(info.length)
        return _load(io.BytesIO(data), map_location="cpu", weights_only=weights_only)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Whether it names a folder."""
        with contextlib.suppress(TypeError):
            return os.path.isdir(os.fspath(checkpoint_id))
        return False
