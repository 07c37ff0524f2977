"""`ExportedProgram`: StableHLO, the weights it takes, and what goes in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import jax

from .._autograd.grad_mode import no_grad
from .._autograd.tensor_base import TensorBase
from .._basics.errors import not_supported
from ..func import from_jax
from ..nn.modules.module import Module
from ..nn.parameter import Parameter
from .graph_signature import ConstantArgument, ExportGraphSignature, InputKind

__all__ = ["ExportedProgram"]

_REFUSED = ("graph", "graph_module", "module_call_graph", "call_spec", "verifier", "verifiers")


@dataclass
class Plan:
    """How a call's arguments become the program's, apart from the weights.

    `constants` are the leaves that are part of the program, by their place among all leaves.
    """

    weights: list[str]
    constants: dict[int, Any]
    written: list[str] = field(default_factory=list)  # buffers that come out new
    symbols: dict[str, Any] = field(default_factory=dict)


class ExportedProgram:
    """A program as `torch.export.export` makes it; `module()` runs it.

    `exported` is JAX's own object: `exported.call(weights, *args, **kwargs)` runs it on arrays.
    """

    def __init__(
        self, exported: Any, state_dict: dict[str, Any], signature: ExportGraphSignature,
        plan: Plan, example_inputs: Any = None,
    ) -> None:  # fmt: skip
        self.exported = exported
        self.state_dict = state_dict
        self.graph_signature = signature
        self.example_inputs = example_inputs
        self.plan = plan

    @property
    def dialect(self) -> str:
        """What the program is written in."""
        return "STABLEHLO"

    @property
    def constants(self) -> dict[str, Any]:
        """Nothing: tensors that a module captured stand in the program."""
        return {}

    tensor_constants = constants

    @property
    def range_constraints(self) -> dict[str, Any]:
        """Bounds (low, high) of each symbolic size."""
        return dict(self.plan.symbols)

    def stablehlo(self) -> str:
        """The program's text."""
        return str(self.exported.mlir_module())

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Names and parameters."""
        for name in self.graph_signature.parameters:
            yield name, self.state_dict[name]

    def parameters(self) -> Iterator[Any]:
        """The parameters."""
        for _, parameter in self.named_parameters():
            yield parameter

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """Names and buffers."""
        for name in self.graph_signature.buffers:
            yield name, self.state_dict[name]

    def buffers(self) -> Iterator[Any]:
        """The buffers."""
        for _, buffer in self.named_buffers():
            yield buffer

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse, as PyTorch does."""
        raise RuntimeError(
            "Unable to call ExportedProgram directly. You should use `exported_program.module()` "
            "instead."
        )

    def module(self, check_guards: bool = True) -> Module:
        """A module with these weights that runs the program."""
        return _ProgramModule(self)

    def run_decompositions(
        self, decomp_table: Any = None, decompose_custom_triton_ops: bool = False
    ) -> ExportedProgram:
        """The program itself: StableHLO is what operators decompose into."""
        if decomp_table:
            raise not_supported("run_decompositions(decomp_table=)", "the program as it is")
        return self

    def validate(self) -> None:
        """Do nothing: JAX checked the program when it was made or loaded."""

    def __getattr__(self, name: str) -> Any:
        if name in _REFUSED:
            raise not_supported(
                f"ExportedProgram.{name} (there is no fx graph)", "ExportedProgram.stablehlo()"
            )
        raise AttributeError(f"'ExportedProgram' object has no attribute {name!r}")

    def __str__(self) -> str:
        return f"ExportedProgram:\n{self.stablehlo()}\nGraph signature: {self.graph_signature}"


class _ProgramModule(Module):
    """Runs an exported program; its weights are the program's."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self._program = program
        self._run = from_jax(program.exported.call)
        signature = program.graph_signature
        for name, tensor in program.state_dict.items():
            owner, last = _owner(self, name)
            if name in signature.parameters:
                is_own = isinstance(tensor, Parameter)
                owner.register_parameter(last, tensor if is_own else Parameter(tensor))
            else:
                kept = name not in signature.non_persistent_buffers
                owner.register_buffer(last, tensor, persistent=kept)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the exported module gives.

        Raises: ValueError for arguments of another structure, AssertionError for another constant,
            RuntimeError for shapes and dtypes that the program is not for.
        """
        plan, exported = self._program.plan, self._program.exported
        leaves, tree = jax.tree_util.tree_flatten((args, kwargs))
        self._check(leaves, plan)
        given = [x if isinstance(x, TensorBase) else None for x in leaves]
        args, kwargs = jax.tree_util.tree_unflatten(tree, given)
        weights = {name: _weight(self, name) for name in plan.weights}
        shape = jax.tree_util.tree_structure(((weights, *args), kwargs))
        if shape != exported.in_tree:
            raise ValueError(
                "the arguments are of another structure than those of the export: "
                f"{jax.tree_util.tree_structure((args, kwargs))} where the program takes "
                f"{exported.in_tree}"
            )
        try:
            out = self._run(weights, *args, **kwargs)
        except ValueError as error:
            raise RuntimeError(f"the program is not for these shapes or dtypes: {error}") from None
        if not plan.written:
            return out
        out, written = out
        with no_grad():
            for name, value in zip(plan.written, written, strict=True):
                _weight(self, name).copy_(value)
        return out

    def _check(self, leaves: list[Any], plan: Plan) -> None:
        names = [
            s.arg.name
            for s in self._program.graph_signature.input_specs
            if s.kind is InputKind.USER_INPUT and isinstance(s.arg, ConstantArgument)
        ]
        for name, (place, value) in zip(names, plan.constants.items(), strict=False):
            if place < len(leaves) and leaves[place] != value:
                raise AssertionError(f"Guard failed: {name} == {value!r}")

    def train(self, mode: bool = True) -> Any:
        """Refuse: the program is of one mode."""
        raise NotImplementedError(f"Calling {'train' if mode else 'eval'}() is not supported yet.")

    def eval(self) -> Any:
        """Refuse: the program is of one mode."""
        return self.train(False)


def _owner(root: Module, name: str) -> tuple[Module, str]:
    *folders, last = name.split(".")
    owner = root
    for folder in folders:
        if folder not in owner._modules:
            owner.add_module(folder, Module())
        owner = owner._modules[folder]
    return owner, last


def _weight(root: Module, name: str) -> Any:
    owner, last = root, name
    if "." in name:
        path, _, last = name.rpartition(".")
        owner = root.get_submodule(path)
    return getattr(owner, last)
