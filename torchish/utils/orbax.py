"""Checkpoints by Orbax, in folders that JAX programs read too (an addition to PyTorch's package).

A folder holds two items of Orbax: `arrays`, a flat dict of the tensors by their paths in the state
("net.0.weight"), and `values`, the shape of the state and all that is no tensor, as JSON.
"""

from __future__ import annotations

import os
from typing import Any

import jax

from .._autograd.interop import from_jax as tensor_of, to_jax as array_of
from .._autograd.tensor_base import TensorBase
from .._basics.wide import widened
from . import _pytree as pytree

_PLAIN = (bool, int, float, str, type(None))


@widened
def save(state: Any, folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a state (`state_dict()`s, tensors, numbers and texts in dicts, lists and tuples).

    Args:
        state: what `load` gives back. Tensors over several devices are written in parts.
        folder: where to; Orbax makes it whole or not at all.
        force: replace a checkpoint that is there.
    Raises: ModuleNotFoundError without Orbax, ValueError for a folder that is there, TypeError for
        contents that are neither tensors nor plain values, named by their path.

    Example:
        >>> torchish.utils.orbax.save({"net": net.state_dict(), "epoch": 3}, "checkpoint")

    Source: https://orbax.readthedocs.io
    """
    ocp = _library()
    found, shape = pytree.tree_flatten_with_path(state)
    arrays: dict[str, Any] = {}
    values: list[list[Any]] = []
    for path, leaf in found:
        name = _name(path, arrays)
        if isinstance(leaf, TensorBase):
            array = array_of(leaf)
            values.append([name, str(array.dtype), list(array.shape)])
            if array.size:  # Orbax has no arrays without elements
                arrays[name] = array
        elif isinstance(leaf, _PLAIN):
            values.append([leaf])
        else:
            raise TypeError(
                f"torchish.utils.orbax.save: {name} is a {type(leaf).__name__}, neither a tensor "
                "nor a number, text or None"
            )
    items = {"values": ocp.args.JsonSave({"shape": pytree.treespec_dumps(shape), "leaves": values})}
    if arrays:
        items["arrays"] = ocp.args.StandardSave(arrays)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(os.path.abspath(folder), ocp.args.Composite(**items), force=force)


@widened
def load(folder: str | os.PathLike[str]) -> Any:
    """The state that `save` wrote, its tensors on the CPU whatever devices they came from.

    Raises: ModuleNotFoundError without Orbax, FileNotFoundError where there is no checkpoint.
    """
    ocp = _library()
    folder = os.path.abspath(folder)
    if not os.path.exists(os.path.join(folder, "values")):
        raise FileNotFoundError(f"torchish.utils.orbax.load: no checkpoint of save() in {folder}")
    place = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        kept = checkpointer.restore(folder, ocp.args.Composite(values=ocp.args.JsonRestore()))
        wanted = {
            leaf[0]: jax.ShapeDtypeStruct(leaf[2], leaf[1], sharding=place)
            for leaf in kept["values"]["leaves"]
            if len(leaf) == 3
        }
        full = {name: what for name, what in wanted.items() if what.size}
        arrays: dict[str, Any] = {k: jax.numpy.zeros(v.shape, v.dtype) for k, v in wanted.items()
                                  if not v.size}  # fmt: skip
        if full:
            items = ocp.args.Composite(arrays=ocp.args.StandardRestore(full))
            arrays |= checkpointer.restore(folder, items)["arrays"]
    leaves = [
        tensor_of(arrays[leaf[0]]) if len(leaf) == 3 else leaf[0]
        for leaf in kept["values"]["leaves"]
    ]
    return pytree.tree_unflatten(leaves, pytree.treespec_loads(kept["values"]["shape"]))


def _library() -> Any:
    try:
        import orbax.checkpoint as ocp
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "torchish.utils.orbax needs Orbax: pip install 'torchish[orbax]'. torch.save and the "
            "safetensors package need nothing more.",
            name=error.name,
        ) from None
    return ocp


def _name(path: Any, taken: dict[str, Any]) -> str:
    """A path as one name; keys with dots in them may make two paths alike."""
    name = base = ".".join(_word(part) for part in path) or "state"
    count = 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    return name


def _word(part: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return str(part)
