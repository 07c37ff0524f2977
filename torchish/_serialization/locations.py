"""Where storages go: location tags, `map_location`, layouts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .._basics.devices import current_cuda, device, jax_devices
from .._ops.shared.layout_type import _get_layout as _get_layout
from ..storage import UntypedStorage

Tagger = Callable[[UntypedStorage], "str | None"]
Deserializer = Callable[[UntypedStorage, str], "UntypedStorage | None"]
_registry: list[tuple[int, Tagger, Deserializer]] = []


def register_package(priority: int, tagger: Tagger, deserializer: Deserializer) -> None:
    """Register a pair of functions that name and restore the place of a storage.

    Args:
        priority: lower numbers are asked first.
        tagger: storage -> location tag, or None when it is not its business.
        deserializer: (storage, tag) -> storage, or None when it is not its business.
    """
    _registry.append((priority, tagger, deserializer))
    _registry.sort(key=lambda entry: entry[0])


def location_tag(storage: Any) -> str:
    """The tag that a checkpoint stores for where `storage` lives: `cpu`, `cuda:0`..."""
    for _, tagger, _ in _registry:
        tag = tagger(storage)
        if tag:
            return tag
    raise RuntimeError(f"don't know how to determine data location of {_typename(storage)}")


def default_restore_location(storage: Any, location: str) -> Any:
    """`storage` moved to where the tag `location` says."""
    for _, _, deserializer in _registry:
        restored = deserializer(storage, location)
        if restored is not None:
            return restored
    raise RuntimeError(
        f"don't know how to restore data location of {_typename(storage)} (tagged with {location})"
    )


def restorer(map_location: Any) -> Callable[[Any, str], Any]:
    """The function (storage, tag) -> storage that `map_location` stands for."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, tag: default_restore_location(storage, map_location.get(tag, tag))
    if isinstance(map_location, bytes):
        map_location = map_location.decode()
    if isinstance(map_location, (str, device)):
        return lambda storage, tag: default_restore_location(storage, str(map_location))

    def by_callable(storage: Any, tag: str) -> Any:
        result = map_location(storage, tag)
        return default_restore_location(storage, tag) if result is None else result

    return by_callable


def _typename(storage: Any) -> str:
    name = type(storage).__name__
    return f"torch.storage.{name}" if isinstance(storage, UntypedStorage) else name


def _tag_of(kind: str) -> Tagger:
    def tag(storage: UntypedStorage) -> str | None:
        return str(storage.device) if storage.device.type == kind else None

    return tag


def _cpu_restore(storage: Any, location: str) -> Any:
    return storage if location == "cpu" else None


def _meta_restore(storage: Any, location: str) -> Any:
    return storage.to(device=device("meta")) if location == "meta" else None


def _accelerator_restore(kind: str) -> Deserializer:
    def restore(storage: UntypedStorage, location: str) -> UntypedStorage | None:
        if location != kind and not re.match(f"{kind}:[0-9]+", location):
            return None
        return storage.to(device=_existing(kind, location))

    return restore


def _existing(kind: str, location: str) -> device:
    """The device of a tag, checked against the machine."""
    wanted, count = device(location), len(jax_devices(kind))
    if not count:
        raise RuntimeError(
            f"Attempting to deserialize object on a {kind.upper()} device but "
            f"torch.{kind}.is_available() is False. If you are running on a CPU-only machine, "
            "please use torch.load with map_location=torch.device('cpu') to map your storages to "
            "the CPU."
        )
    index = wanted.index
    if index is None:
        index = current_cuda() if kind == "cuda" else 0
    if index >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on {kind.upper()} device {index} but "
            f"torch.{kind}.device_count() is {count}. Please use torch.load with map_location to "
            "map your storages to an existing device."
        )
    return device(kind, index)


register_package(10, _tag_of("cpu"), _cpu_restore)
register_package(20, _tag_of("cuda"), _accelerator_restore("cuda"))
register_package(22, _tag_of("meta"), _meta_restore)
register_package(25, _tag_of("xla"), _accelerator_restore("xla"))
__all__ = ["default_restore_location", "location_tag", "register_package", "restorer"]
