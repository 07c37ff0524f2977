"""Counting floating-point operations of matrix products, convolutions and attention."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from .._ops.protocol.dispatching import packet
from .._tensor.tensor import Tensor
from ..nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from ._python_dispatch import TorchDispatchMode

__all__ = ["FlopCounterMode", "register_flop_formula"]

flop_registry: dict[Any, Callable[..., int]] = {}


def get_shape(x: Any) -> Any:
    """The shape of a tensor; anything else as it is."""
    return x.shape if isinstance(x, Tensor) else x


def _shapes(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return (
            type(x)(_shapes(y) for y in x)
            if not hasattr(x, "n_fields")
            else tuple(_shapes(y) for y in x)
        )
    return get_shape(x)


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Any], Any]:
    """Register a formula for operators (`torch.ops.aten.mm`).

    Args:
        targets: one operator, or a list of them.
        get_raw: whether the formula is given the tensors rather than their shapes.
    """

    def wrap(formula: Any) -> Any:
        def on_shapes(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
            shapes = {k: _shapes(v) for k, v in kwargs.items()}
            return int(formula(*_shapes(args), out_shape=_shapes(out_val), **shapes))

        for target in targets if isinstance(targets, list | tuple) else [targets]:
            if str(target) in map(str, flop_registry):
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = formula if get_raw else on_shapes
        return formula

    return wrap


@register_flop_formula(packet("mm"))
def mm_flop(a_shape: Any, b_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Multiplications and additions of `a @ b`."""
    return int(a_shape[0] * b_shape[1] * 2 * a_shape[1])


@register_flop_formula(packet("addmm"))
def addmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, *args: Any, **kwargs: Any) -> int:
    """As for `mm`."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(packet("bmm"))
def bmm_flop(a_shape: Any, b_shape: Any, *args: Any, **kwargs: Any) -> int:
    """As for `mm`, for each of a batch."""
    return int(a_shape[0] * a_shape[1] * b_shape[2] * 2 * a_shape[2])


@register_flop_formula(packet("baddbmm"))
def baddbmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, *args: Any, **kwargs: Any) -> int:
    """As for `bmm`."""
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool = False) -> int:
    """Operations of a convolution without its bias."""
    places = x_shape if transposed else out_shape
    return int(math.prod(places[2:]) * math.prod(w_shape) * x_shape[0] * 2)


@register_flop_formula(packet("convolution"))
def conv_flop(
    x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any, _dilation: Any,
    transposed: bool, *args: Any, out_shape: Any = None, **kwargs: Any,
) -> int:  # fmt: skip
    """Operations of a convolution."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed=transposed)


@register_flop_formula(packet("convolution_backward"))
def conv_backward_flop(
    grad_out_shape: Any, x_shape: Any, w_shape: Any, _bias: Any, _stride: Any, _padding: Any,
    _dilation: Any, transposed: bool, _output_padding: Any, _groups: Any, output_mask: Any,
    out_shape: Any = None,
) -> int:  # fmt: skip
    """Operations of a convolution's gradients, as far as they were asked for."""
    one = conv_flop_count(x_shape, w_shape, grad_out_shape, transposed=bool(transposed))
    return one * (int(output_mask[0]) + int(output_mask[1]))


def sdpa_flop_count(query_shape: Any, key_shape: Any, value_shape: Any) -> int:
    """Operations of the two products of attention."""
    b, h, s_q, d_q = query_shape
    _, _, s_k, _ = key_shape
    return int(b * h * 2 * (s_q * d_q * s_k + s_q * s_k * value_shape[-1]))


# As in torch, attention counts on GPUs only: the CPU's operator has no formula.
@register_flop_formula(
    [
        packet("_scaled_dot_product_efficient_attention"),
        packet("_scaled_dot_product_flash_attention"),
        packet("_scaled_dot_product_cudnn_attention"),
    ]
)
def sdpa_flop(query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, **kwargs: Any) -> int:
    """Operations of the two products of attention."""
    return sdpa_flop_count(query_shape, key_shape, value_shape)


suffixes = ["", "K", "M", "B", "T"]


def get_suffix_str(number: int) -> str:
    """The unit in which a number has at most three digits more than needed."""
    index = max(0, min(len(suffixes) - 1, (len(str(number)) - 2) // 3))
    return suffixes[index]


def convert_num_with_suffix(number: int, suffix: str) -> str:
    """`number` in units of `suffix`."""
    return f"{number / 1000 ** suffixes.index(suffix):.3f}{suffix}"


def convert_to_percent_str(num: int, denom: int) -> str:
    """A share as text."""
    return "0%" if denom == 0 else f"{num / denom:.2%}"


class FlopCounterMode(TorchDispatchMode):
    """Counts the floating-point operations inside, by module and operator.

    Args:
        mods: deprecated, not needed.
        depth: how deep the printed table goes.
        display: whether a table is printed at the end (needs the package tabulate).
        custom_mapping: further operators and their formulas.
    """

    def __init__(
        self, mods: Any = None, depth: int = 2, display: bool = True,
        custom_mapping: dict[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self.depth, self.display = depth, display
        if mods is not None:
            import warnings

            warnings.warn(
                "mods argument is not needed anymore, you can stop passing it", stacklevel=2
            )
        self._formulas = {str(k): f for k, f in flop_registry.items()}
        for target, formula in (custom_mapping or {}).items():
            self._formulas[str(target)] = _raw(formula)
        self._parents: list[str] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Any:
        self.flop_counts.clear()
        self._parents = ["Global"]
        self._names: dict[int, str] = {}
        self._handles = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, always_call=True),
        ]
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for handle in self._handles:
            handle.remove()
        if self.display:
            print(self.get_table(self.depth))

    def _enter_module(self, module: Any, args: Any) -> None:
        name = self._names.get(id(module))
        if name is None:
            name = self._names[id(module)] = type(module).__name__
        for child, inner in module.named_children():
            self._names[id(inner)] = f"{name}.{child}"
        self._parents.append(name)

    def _leave_module(self, module: Any, args: Any, out: Any) -> None:
        self._parents.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = self._formulas.get(str(func.overloadpacket))
        if formula is not None:
            count = formula(*args, **kwargs, out_val=out)
            for parent in dict.fromkeys(self._parents):
                self.flop_counts[parent][func.overloadpacket] += count
        return out

    def get_total_flops(self) -> int:
        """All operations."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """Operations by module, then by operator."""
        return {k: dict(v) for k, v in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The counts as a table."""
        from tabulate import tabulate

        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        unit = get_suffix_str(total)
        rows: list[list[str]] = []

        def add(name: str, level: int) -> None:
            mine = sum(self.flop_counts[name].values())
            pad = " " * level
            rows.append([
                pad + name, convert_num_with_suffix(mine, unit), convert_to_percent_str(mine, total)
            ])  # fmt: skip
            for op, count in self.flop_counts[name].items():
                rows.append([
                    pad + " - " + str(op), convert_num_with_suffix(count, unit),
                    convert_to_percent_str(count, total),
                ])  # fmt: skip

        for name in sorted(self.flop_counts):
            if name == "Global":
                continue
            level = name.count(".") + 1
            if level <= depth:
                add(name, level - 1)
        if "Global" in self.flop_counts and (not rows or total):
            rows, others = [], rows
            add("Global", 0)
            rows += [[" " + r[0], *r[1:]] for r in others]
        if not rows:
            rows = [["Global", "0", "0%"]]
        return str(tabulate(rows, headers=["Module", "FLOP", "% Total"],
                            colalign=("left", "right", "right")))  # fmt: skip


def _raw(formula: Any) -> Any:
    if getattr(formula, "_get_raw", False):
        return formula

    def on_shapes(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        shapes = {k: _shapes(v) for k, v in kwargs.items()}
        return int(formula(*_shapes(args), out_shape=_shapes(out_val), **shapes))

    return on_shapes
