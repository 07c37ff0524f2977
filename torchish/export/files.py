"""Exported programs in files.

A file is a zip archive of three parts, each of which other programs can read: `program`, what
`jax.export.deserialize` takes; `weights.safetensors`, what the program is called with; and
`signature.json`. Weights that it does not depend on stand in `rest.safetensors`.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import safetensors.numpy

from .._autograd.interop import host_array, wrap_host
from .._basics.errors import not_supported
from .exported_program import ExportedProgram, Plan
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)

VERSION = 1
_PARTS = ("program", "weights.safetensors", "signature.json")


def save(
    ep: ExportedProgram, f: Any, *, extra_files: dict[str, Any] | None = None,
    opset_version: dict[str, int] | None = None, pickle_protocol: int = 2,
) -> None:  # fmt: skip
    """Write a program and its weights to a path or a binary file.

    Args:
        extra_files: further texts or bytes, by name, that `load` gives back.
        opset_version, pickle_protocol: accepted; nothing is pickled.
    Raises: TypeError for anything but an ExportedProgram.
    """
    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            "The 'ep' parameter must be an instance of 'ExportedProgram', got "
            f"'{type(ep).__name__}' instead."
        )
    weights = {name: host_array(t.detach()).copy() for name, t in ep.state_dict.items()}
    with _opened(f, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("program", bytes(ep.exported.serialize()))
        taken = {name: weights[name] for name in ep.plan.weights}
        rest = {name: x for name, x in weights.items() if name not in taken}
        archive.writestr("weights.safetensors", safetensors.numpy.save(taken))
        archive.writestr("rest.safetensors", safetensors.numpy.save(rest))
        archive.writestr("signature.json", json.dumps(_packed(ep), indent=1))
        for name, content in (extra_files or {}).items():
            archive.writestr(f"extra/{name}", content)


def load(
    f: Any, *, extra_files: dict[str, Any] | None = None,
    expected_opset_version: dict[str, int] | None = None,
) -> ExportedProgram:  # fmt: skip
    """The program in a file that `save` wrote.

    Args:
        extra_files: names to fill with what is in the file under them.
    Raises: NotSupportedError for PyTorch's own archives, ValueError for other files.
    """
    with _opened(f, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("torch.export.load: this file is no exported program")
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if not set(_PARTS) <= set(names):
                if any(name.endswith((".json", "/version")) for name in names):
                    raise not_supported(
                        "torch.export.load of PyTorch's own archives (they hold PyTorch's graphs)",
                        "exporting the module here",
                    )
                raise ValueError("torch.export.load: this file is no exported program")
            for name in extra_files or {}:
                if f"extra/{name}" in names:
                    assert extra_files is not None
                    extra_files[name] = archive.read(f"extra/{name}").decode()
            exported = jax.export.deserialize(bytearray(archive.read("program")))
            weights = safetensors.numpy.load(archive.read("weights.safetensors"))
            weights |= safetensors.numpy.load(archive.read("rest.safetensors"))
            packed = json.loads(archive.read("signature.json"))
    tensors = {name: wrap_host(weights[name]) for name in packed["state"]}
    return ExportedProgram(exported, tensors, _signature(packed), _plan(packed))


@contextmanager
def _opened(f: Any, mode: str) -> Iterator[Any]:
    if isinstance(f, str | os.PathLike):
        with open(f, mode) as file:
            yield file
    elif mode == "rb" and not f.seekable():
        yield io.BytesIO(f.read())
    else:
        yield f


def _packed(ep: ExportedProgram) -> dict[str, Any]:
    signature, plan = ep.graph_signature, ep.plan
    return {
        "version": VERSION,
        "weights": plan.weights,
        "state": list(ep.state_dict),
        "constants": [[place, value] for place, value in plan.constants.items()],
        "written": plan.written,
        "symbols": {k: [low, None if high == float("inf") else high]
                    for k, (low, high) in plan.symbols.items()},
        "inputs": [[s.kind.name, *_argument(s.arg), s.target, s.persistent]
                   for s in signature.input_specs],
        "outputs": [[s.kind.name, s.arg.name, s.target] for s in signature.output_specs],
    }  # fmt: skip


def _argument(arg: Any) -> tuple[str, bool, Any]:
    if isinstance(arg, ConstantArgument):
        return arg.name, True, arg.value
    return arg.name, False, None


def _plan(packed: dict[str, Any]) -> Plan:
    symbols = {k: (low, float("inf") if high is None else high)
               for k, (low, high) in packed["symbols"].items()}  # fmt: skip
    return Plan(packed["weights"], dict(packed["constants"]), packed["written"], symbols)


def _signature(packed: dict[str, Any]) -> ExportGraphSignature:
    inputs = [
        InputSpec(
            InputKind[kind],
            ConstantArgument(name, value) if constant else TensorArgument(name),
            target,
            persistent,
        )
        for kind, name, constant, value, target, persistent in packed["inputs"]
    ]
    outputs = [
        OutputSpec(OutputKind[kind], TensorArgument(name), target)
        for kind, name, target in packed["outputs"]
    ]
    return ExportGraphSignature(inputs, outputs)
