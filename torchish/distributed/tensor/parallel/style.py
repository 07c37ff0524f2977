"""What a plan says of one module: how its inputs and outputs lie."""

from __future__ import annotations

from typing import Any

from ...._core.placement import Placement as Layout
from ....nn import Embedding, Linear
from ..._shard import fits, lay_out_parameter, pinned, spec_of_placements
from ..placement_types import Placement, Replicate, Shard


class ParallelStyle:
    """Base of the plans."""

    src_data_rank: int | None = 0
    _shown: tuple[str, ...] = ()

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Lay the module's parameters out; returns the module."""
        raise NotImplementedError

    def __repr__(self) -> str:
        inner = ", ".join(f"{n}={getattr(self, n)}" for n in self._shown)
        return f"{type(self).__name__}({inner})"


def _lay_out(module: Any, mesh: Any, cuts: dict[str, Placement]) -> None:
    """Cut the named parameters, and leave the others in full on every device."""
    if mesh.root.size() == 1:
        return
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        spec = spec_of_placements(mesh, [cuts.get(name, Replicate())], tensor.dim())
        lay_out_parameter(name, tensor, spec if fits(mesh, spec, tensor.shape) else (), mesh.root)


def _pin(value: Any, mesh: Any, placement: Placement | None) -> Any:
    """A tensor among inputs or outputs, laid out where the parts are equal."""
    from ...._autograd.tensor_base import TensorBase

    if not isinstance(value, TensorBase) or placement is None or mesh.size() == 1:
        return value
    shape = tuple(value.shape)  # type: ignore[attr-defined]
    spec = spec_of_placements(mesh, [placement], len(shape))
    return pinned(value, Layout(mesh.root.jax, spec)) if fits(mesh, spec, shape) else value


def _pin_each(values: Any, mesh: Any, placements: Any) -> Any:
    if not isinstance(values, tuple):
        return _pin(values, mesh, placements[0])
    pairs = zip(values, (*placements, *[None] * len(values)), strict=False)
    return tuple(_pin(value, mesh, placement) for value, placement in pairs)


def _pin_outputs(module: Any, mesh: Any, placements: Any) -> None:
    module.register_forward_hook(lambda mod, args, out: _pin_each(out, mesh, placements))


def _pin_inputs(module: Any, mesh: Any, placements: Any, named: dict[str, Any]) -> None:
    def hook(mod: Any, args: Any, kwargs: Any) -> Any:
        moved = {k: _pin(v, mesh, named.get(k)) for k, v in kwargs.items()}
        return (_pin_each(args, mesh, placements) if placements else args), moved

    module.register_forward_pre_hook(hook, with_kwargs=True)


def _several(given: Any) -> Any:
    return given if isinstance(given, tuple) else (given,)


class ColwiseParallel(ParallelStyle):
    """A Linear or Embedding cut along its outputs."""

    _shown = ("input_layouts", "output_layouts", "use_local_output")
    _default: tuple[Any, Any] = (Replicate(), Shard(-1))

    def __init__(
        self, *, input_layouts: Any = None, output_layouts: Any = None,
        use_local_output: bool = True,
    ) -> None:  # fmt: skip
        self.input_layouts = (input_layouts or self._default[0],)
        self.output_layouts = (output_layouts or self._default[1],)
        self.use_local_output = use_local_output

    _cuts: tuple[dict[str, Placement], dict[str, Placement]] = (
        {"weight": Shard(0), "bias": Shard(0)}, {"weight": Shard(1)},
    )  # of a Linear, of an Embedding  # fmt: skip

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Cut the weights and lay the output out.

        Raises: NotImplementedError for another module than Linear or Embedding.
        """
        if not isinstance(module, Linear | Embedding):
            raise NotImplementedError(
                f"{type(self).__name__} currently only support nn.Linear and nn.Embedding!"
            )
        _lay_out(module, device_mesh, self._cuts[isinstance(module, Embedding)])
        _pin_inputs(module, device_mesh, self.input_layouts, {})
        _pin_outputs(module, device_mesh, self.output_layouts)
        return module


class RowwiseParallel(ColwiseParallel):
    """A Linear or Embedding cut along its inputs."""

    _default = (Shard(-1), Replicate())
    _cuts = ({"weight": Shard(1)}, {"weight": Shard(0)})


class SequenceParallel(ParallelStyle):
    """A norm or dropout over a sequence that is cut."""

    _shown = ("sequence_dim", "use_local_output")

    def __init__(self, *, sequence_dim: int = 1, use_local_output: bool = False) -> None:
        self.sequence_dim, self.use_local_output = sequence_dim, use_local_output

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Parameters stay in full; inputs and outputs are cut along the sequence."""
        _lay_out(module, device_mesh, {})
        cut = (Shard(self.sequence_dim),)
        _pin_inputs(module, device_mesh, cut, {})
        _pin_outputs(module, device_mesh, cut)
        return module


class PrepareModuleInput(ParallelStyle):
    """How a module's inputs lie, and how they should."""

    _shown = ("input_layouts", "desired_input_layouts", "input_kwarg_layouts",
              "desired_input_kwarg_layouts", "use_local_output")  # fmt: skip

    def __init__(
        self, *, input_layouts: Any = None, desired_input_layouts: Any = None,
        input_kwarg_layouts: Any = None, desired_input_kwarg_layouts: Any = None,
        use_local_output: bool = False,
    ) -> None:  # fmt: skip
        self.input_layouts = None if input_layouts is None else _several(input_layouts)
        wanted = desired_input_layouts
        self.desired_input_layouts = None if wanted is None else _several(wanted)
        self.input_kwarg_layouts = input_kwarg_layouts or {}
        self.desired_input_kwarg_layouts = desired_input_kwarg_layouts or {}
        self.use_local_output = use_local_output

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Lay the inputs out as they are desired."""
        named = self.desired_input_kwarg_layouts
        _pin_inputs(module, device_mesh, self.desired_input_layouts or (), named)
        return module


class PrepareModuleOutput(ParallelStyle):
    """How a module's outputs lie, and how they should."""

    _shown = ("output_layouts", "desired_output_layouts", "use_local_output")

    def __init__(
        self, *, output_layouts: Any, desired_output_layouts: Any, use_local_output: bool = True
    ) -> None:
        self.output_layouts = _several(output_layouts)
        self.desired_output_layouts = _several(desired_output_layouts)
        self.use_local_output = use_local_output

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Lay the outputs out as they are desired."""
        _pin_outputs(module, device_mesh, self.desired_output_layouts)
        return module


class PrepareModuleInputOutput(ParallelStyle):
    """How a module's inputs and outputs lie, and how they should."""

    def __init__(
        self, *, input_layouts: Any = None, desired_input_layouts: Any = None,
        input_kwarg_layouts: Any = None, desired_input_kwarg_layouts: Any = None,
        use_local_input: bool = False, output_layouts: Any, desired_output_layouts: Any,
        use_local_output: bool = True,
    ) -> None:  # fmt: skip
        self.prepare_module_input = PrepareModuleInput(
            input_layouts=input_layouts, desired_input_layouts=desired_input_layouts,
            input_kwarg_layouts=input_kwarg_layouts,
            desired_input_kwarg_layouts=desired_input_kwarg_layouts,
            use_local_output=use_local_input,
        )  # fmt: skip
        self.prepare_module_output = PrepareModuleOutput(
            output_layouts=output_layouts, desired_output_layouts=desired_output_layouts,
            use_local_output=use_local_output,
        )  # fmt: skip

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        """Both."""
        self.prepare_module_input._apply(module, device_mesh)
        return self.prepare_module_output._apply(module, device_mesh)
