"""What a plan says of one module: how its inputs and outputs lie."""

from __future__ import annotations

from typing import Any

from ...._basics.errors import not_supported
from ..placement_types import Replicate, Shard


class ParallelStyle:
    """Base of the plans."""

    src_data_rank: int | None = 0
    _shown: tuple[str, ...] = ()

    def _apply(self, module: Any, device_mesh: Any) -> Any:
        raise not_supported(f"{type(self).__name__} (DTensor)", "torch.distributed.shard")

    def __repr__(self) -> str:
        inner = ", ".join(f"{n}={getattr(self, n)}" for n in self._shown)
        return f"{type(self).__name__}({inner})"


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


class RowwiseParallel(ColwiseParallel):
    """A Linear or Embedding cut along its inputs."""

    _default = (Shard(-1), Replicate())


class SequenceParallel(ParallelStyle):
    """A norm or dropout over a sequence that is cut."""

    _shown = ("sequence_dim", "use_local_output")

    def __init__(self, *, sequence_dim: int = 1, use_local_output: bool = False) -> None:
        self.sequence_dim, self.use_local_output = sequence_dim, use_local_output


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


class PrepareModuleOutput(ParallelStyle):
    """How a module's outputs lie, and how they should."""

    _shown = ("output_layouts", "desired_output_layouts", "use_local_output")

    def __init__(
        self, *, output_layouts: Any, desired_output_layouts: Any, use_local_output: bool = True
    ) -> None:
        self.output_layouts = _several(output_layouts)
        self.desired_output_layouts = _several(desired_output_layouts)
        self.use_local_output = use_local_output
