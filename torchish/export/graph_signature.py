"""What goes into an exported program and what comes out, by PyTorch's names."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Any

__all__ = ["ConstantArgument", "ExportGraphSignature", "InputKind", "InputSpec", "OutputKind",
           "OutputSpec", "TensorArgument"]  # fmt: skip


@dataclasses.dataclass
class TensorArgument:
    """An argument that is a tensor."""

    name: str


@dataclasses.dataclass
class ConstantArgument:
    """An argument that is part of the program."""

    name: str
    value: Any


class InputKind(Enum):
    """What an input is."""

    USER_INPUT = auto()
    PARAMETER = auto()
    BUFFER = auto()
    CONSTANT_TENSOR = auto()
    CUSTOM_OBJ = auto()
    TOKEN = auto()


class OutputKind(Enum):
    """What an output is."""

    USER_OUTPUT = auto()
    LOSS_OUTPUT = auto()
    BUFFER_MUTATION = auto()
    PARAMETER_MUTATION = auto()
    GRADIENT_TO_PARAMETER = auto()
    GRADIENT_TO_USER_INPUT = auto()
    USER_INPUT_MUTATION = auto()
    TOKEN = auto()


@dataclasses.dataclass
class InputSpec:
    """One input: what it is, its name in the program, and the weight that it is."""

    kind: InputKind
    arg: Any
    target: str | None
    persistent: bool | None = None

    def __str__(self) -> str:
        target = "" if self.target is None else f" target='{self.target}'"
        kept = "" if self.persistent is None else f" persistent={self.persistent}"
        return f"{self.arg.name}: {self.kind.name}{target}{kept}"


@dataclasses.dataclass
class OutputSpec:
    """One output: what it is, its name, and what is written with it."""

    kind: OutputKind
    arg: Any
    target: str | None

    def __str__(self) -> str:
        target = "" if self.target is None else f" target='{self.target}'"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclasses.dataclass
class ExportGraphSignature:
    """Inputs and outputs of an exported program, in order."""

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]

    def _inputs(self, kind: InputKind) -> list[InputSpec]:
        return [s for s in self.input_specs if s.kind is kind]

    @property
    def parameters(self) -> Collection[str]:
        """Names of the parameters."""
        return tuple(s.target or "" for s in self._inputs(InputKind.PARAMETER))

    @property
    def buffers(self) -> Collection[str]:
        """Names of the buffers."""
        return tuple(s.target or "" for s in self._inputs(InputKind.BUFFER))

    @property
    def non_persistent_buffers(self) -> Collection[str]:
        """Names of the buffers that a state_dict leaves out."""
        found = self._inputs(InputKind.BUFFER)
        return tuple(s.target or "" for s in found if s.persistent is False)

    @property
    def user_inputs(self) -> Collection[Any]:
        """Names of the arguments; a constant is its value."""
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name
            for s in self._inputs(InputKind.USER_INPUT)
        )

    @property
    def user_outputs(self) -> Collection[Any]:
        """Names of the results."""
        found = [s for s in self.output_specs if s.kind is OutputKind.USER_OUTPUT]
        return tuple(
            s.arg.value if isinstance(s.arg, ConstantArgument) else s.arg.name for s in found
        )

    @property
    def inputs_to_parameters(self) -> Mapping[str, str]:
        """Input name -> parameter name."""
        return {s.arg.name: s.target or "" for s in self._inputs(InputKind.PARAMETER)}

    @property
    def inputs_to_buffers(self) -> Mapping[str, str]:
        """Input name -> buffer name."""
        return {s.arg.name: s.target or "" for s in self._inputs(InputKind.BUFFER)}

    @property
    def buffers_to_mutate(self) -> Mapping[str, str]:
        """Output name -> the buffer that it is written to."""
        found = [s for s in self.output_specs if s.kind is OutputKind.BUFFER_MUTATION]
        return {s.arg.name: s.target or "" for s in found}

    @property
    def backward_signature(self) -> None:
        """None: no backward is exported."""
        return None

    def __str__(self) -> str:
        inputs = "\n".join(str(s) for s in self.input_specs)
        outputs = "\n".join(str(s) for s in self.output_specs)
        return f"\n# inputs\n{inputs}\n\n# outputs\n{outputs}\n"
