"""Nested dicts and lists as one dict whose keys are paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..._autograd.tensor_base import TensorBase

Path = tuple[Any, ...]


def _is_entry(value: Any) -> bool:
    """Whether a value is saved as one thing: lists are, unless they hold tensors or dicts."""
    if isinstance(value, Mapping):
        return False
    if not isinstance(value, list):
        return True
    return not any(
        isinstance(item, TensorBase) or (isinstance(item, Mapping | list) and not _is_entry(item))
        for item in value
    )


def entries(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What is saved, with the path to it."""
    if path and _is_entry(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from entries(item, (*path, str(key)))
    else:
        for k, item in enumerate(value):
            yield from entries(item, (*path, k))


def flatten_state_dict(state_dict: Any) -> tuple[dict[str, Any], dict[str, Path]]:
    """The entries by name, and the path of each name.

    Raises: ValueError for two entries of one name.
    """
    flat: dict[str, Any] = {}
    paths: dict[str, Path] = {}
    for path, value in entries(state_dict):
        name = ".".join(map(str, path))
        if name in flat:
            raise ValueError(f"duplicated flatten key {name}")
        flat[name], paths[name] = value, path
    return flat, paths


def build(values: dict[Path, Any]) -> dict[str, Any]:
    """The nested dicts and lists whose entries stand at these paths."""
    root: dict[Any, Any] = {}
    for path, value in values.items():
        at: Any = root
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = value
    return {key: _listed(value, values, (key,)) for key, value in root.items()}


def _listed(value: Any, values: dict[Path, Any], path: Path) -> Any:
    """Dicts whose keys are numbers are lists, unless they were saved as one entry."""
    if path in values or not isinstance(value, dict):
        return value
    made = {key: _listed(item, values, (*path, key)) for key, item in value.items()}
    return list(made.values()) if all(isinstance(key, int) for key in made) else made


def set_element(root: Any, path: Path, value: Any) -> None:
    """Put a value at a path that is there."""
    for key in path[:-1]:
        root = root[_key(root, key)]
    root[_key(root, path[-1])] = value


def _key(container: Any, key: Any) -> Any:
    """The key itself: dicts may have others than texts."""
    if isinstance(container, Mapping) and key not in container:
        return next((k for k in container if str(k) == key), key)
    return key
