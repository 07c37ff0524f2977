"""The call path: from torch's function, method, in-place or `out=` form to a recorded kernel.

This is the hot path of every script; each line here is paid once per operator call.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..._autograd import nodes
from ..._autograd.apply import apply_kernel, check_overlap, input_edges, link, write_inplace
from ..._autograd.casting import cast_kernel
from ..._autograd.forward import dual_level
from ..._autograd.gradients import constant
from ..._autograd.tensor_base import NO_GRAD, TensorBase
from ..._basics.dtypes import CPP_NAMES, SCALAR_NAMES, can_cast, dtype
from ..._basics.recorder import recorder
from ..._basics.state import process, state
from ..._basics.strides import contiguous_strides, elementwise_strides, is_dense
from ..._core import trace as tracing
from ..._core.kernels import Kernel
from ..._core.storage import Storage
from ..._core.values import aval_of
from ..._core.view import reads
from ..protocol import overriding
from .binding import MISSING, static
from .forms import MISS, form_of
from .operator import Operator
from .signatures import of_operator
from .warning import user_level


def _call(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Apply an operator: bind, specialise, record, wrap (in one step where a form can)."""
    quick = form_of(operator, len(args), kwargs)(*args, **kwargs)
    if quick is not MISS:
        return quick
    operands, key = operator.binder.bind(args, kwargs)
    found = tuple(key)
    kernel = operator.kernel_for(operands, found)
    strides: Any = None
    if operator.elementwise:
        for x in operands:
            if isinstance(x, TensorBase) and (
                x._layout is not None or x._storage.strides is not None
            ):
                if operator.layout is None:
                    strides = result_strides(kernel, operands)
                else:
                    strides = operator.layout(kernel.out_avals, operands, found)
                break
    elif operator.layout is not None:
        strides = operator.layout(kernel.out_avals, operands, found)
    made = apply_kernel(kernel, operands, strides)
    if operator.result is not None:
        return operator.result(made)
    return made[0] if kernel.n_out == 1 else tuple(made)


# In C where torchish-cpu is installed: the same where a form can, and this function for the rest.
call = _call
if recorder is not None:
    recorder.use_tensors(
        {
            "Keeping": nodes.Keeping, "SavedTensor": nodes.SavedTensor, "TensorBase": TensorBase,
            "Storage": Storage, "process": process, "sequence": nodes.sequence, "MISS": MISS,
            "MISSING": MISSING, "link": link, "call": _call, "input_edges": input_edges,
            "static": static, "leaf_node": nodes.leaf_node, "DUAL": nodes.DUAL, "reads": reads,
            "NO_GRAD": NO_GRAD,
        }
    )  # fmt: skip
    call = recorder.call


def call_strided(function: Any, args: tuple[Any, ...], strides: tuple[int, ...] | None) -> Any:
    """Call an operator whose single result has the given strides (None: row-major)."""
    made = function.operator
    operands, key = made.binder.bind(args, {})
    return apply_kernel(made.kernel_for(operands, tuple(key)), operands, strides)[0]


def result_strides(kernel: Kernel, operands: Sequence[Any]) -> tuple[int, ...] | None:
    """Strides of an elementwise result whose operands are not all row-major.

    A number that stands in for an operand counts as one of another shape, as in torch.
    """
    shape = tuple(kernel.out_avals[0].shape)
    layouts = [
        (tuple(x._aval.shape), tuple(x._strides)) for x in operands if isinstance(x, TensorBase)
    ]
    if not (kernel.wrapped and shape) and all(s == shape for s, _ in layouts):
        if all(x._is_contiguous() for x in operands if isinstance(x, TensorBase)):
            return None
        if all(st == layouts[0][1] for _, st in layouts) and is_dense(shape, layouts[0][1]):
            return layouts[0][1]
    found = elementwise_strides(shape, layouts)
    return None if found == contiguous_strides(shape) else found


_PUBLIC = __name__.split(".")[0]  # where torch's functions are found again (pickles name them)


def make_function(operator: Operator, *, out: bool) -> Callable[..., Any]:
    """The public function of an operator (`torch.add`)."""
    if out:

        def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if overriding.engaged:
                every = kwargs if out is None else {**kwargs, "out": out}
                found = overriding.look(args, every)
                if found is not None:
                    return overriding.send(function, found, args, every)
            try:
                if out is None:
                    return call(operator, args, kwargs)
                return call_out(operator, args, kwargs, out)
            except TypeError as error:
                every = kwargs if out is None else {**kwargs, "out": out}
                return overriding.refused(function, args, every, error)

    else:

        def function(*args: Any, **kwargs: Any) -> Any:
            if overriding.engaged:
                found = overriding.look(args, kwargs)
                if found is not None:
                    return overriding.send(function, found, args, kwargs)
            try:
                return call(operator, args, kwargs)
            except TypeError as error:
                return overriding.refused(function, args, kwargs, error)

    return _dress(function, operator, operator.name, has_out=out)


def make_method(operator: Operator, label: str, varargs: bool, out: bool) -> Callable[..., Any]:
    """The method form (`Tensor.add`)."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if overriding.engaged:
            found = overriding.look((self, *args), kwargs)
            if found is not None:
                return overriding.send(method, found, (self, *args), kwargs)
        if varargs and args and (len(args) > 1 or isinstance(args[0], int)):
            if all(isinstance(a, int) or isinstance(a, TensorBase) for a in args):
                args = (tuple(int(a) for a in args),)
        try:
            return call(operator, (self, *args), kwargs)
        except TypeError as error:
            return overriding.refused(method, (self, *args), kwargs, error)

    return _dress(method, operator, label, is_method=True)


def make_inplace(operator: Operator, label: str, *, is_method: bool) -> Callable[..., Any]:
    """The in-place form (`Tensor.add_`)."""

    def inplace(input: Any, *args: Any, **kwargs: Any) -> Any:
        if overriding.engaged:
            found = overriding.look((input, *args), kwargs)
            if found is not None:
                return overriding.send(inplace, found, (input, *args), kwargs)
        try:
            return call_inplace(operator, input, args, kwargs)
        except TypeError as error:
            return overriding.refused(inplace, (input, *args), kwargs, error)

    return _dress(inplace, operator, label, is_method=is_method)


def _dress(
    function: Callable[..., Any],
    operator: Operator,
    label: str,
    *,
    is_method: bool = False,
    has_out: bool = False,
) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = label
    function.__doc__ = operator.body.__doc__
    function.__module__ = _PUBLIC
    function.operator = operator  # type: ignore[attr-defined]
    if has_out:
        function.added = ("out", None)  # type: ignore[attr-defined]  # read by docstrings.py
    function.__signature__ = of_operator(  # type: ignore[attr-defined]
        operator.binder, is_method=is_method, has_out=has_out
    )
    return function


# What torch writes as it does elementwise operators: the memory is looked at before the shapes.
_AS_ELEMENTWISE = frozenset({"masked_scatter"})


def call_inplace(operator: Operator, target: Any, args: Sequence[Any], kwargs: Any) -> Any:
    """Functional form, then one write into `target`."""
    if not isinstance(target, TensorBase):
        raise TypeError(
            f"{operator.name}_(): argument 'input' (position 1) must be Tensor, not "
            f"{type(target).__name__}"
        )
    operands, key = operator.binder.bind((target, *args), kwargs)
    found = tuple(key)
    memory_first = operator.elementwise or operator.name in _AS_ELEMENTWISE
    return write_inplace(
        target, lambda: operator.written_kernel(operands, found), operands,
        overlap=operator.overlap, expanded=operator.expanded, key=found,
        first=None if memory_first else lambda: operator.fitting(found),
    )  # fmt: skip


def call_out(operator: Operator, args: Sequence[Any], kwargs: Any, out: Any) -> Any:
    """The `out=` form: no history, the result is written into the given tensors."""
    operands, key = operator.binder.bind(args, kwargs)
    targets = out if isinstance(out, tuple | list) else (out,)
    check_out_history(operator.name, targets, operands)
    if operator.elementwise and operator.expanded == "refuse":  # before shapes are looked at
        for target in targets:
            if isinstance(target, TensorBase):
                check_overlap(target, operands)
    kernel = operator.kernel_for(operands, tuple(key))
    check_out(operator, kernel.out_avals, targets, operands)
    values = [x._value() if isinstance(x, TensorBase) else x for x in operands]
    for target, value in zip(targets, tracing.record(kernel, values), strict=True):
        strides = None
        if operator.elementwise and target._aval.shape != value.aval.shape:
            strides = result_strides(kernel, operands)
        store_out(target, value, strides)
    return operator.result(targets) if operator.result is not None else out


def check_out(
    operator: Operator, avals: Sequence[Any], targets: Sequence[Any], operands: Any
) -> None:
    """Raise torch's errors for `out=` before anything is written."""
    name = operator.name
    if len(targets) != len(avals):
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(avals)} Tensors")
    for target, aval in zip(targets, avals, strict=True):
        if not isinstance(target, TensorBase):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(target).__name__}")
        home = next((x._storage.device for x in operands if isinstance(x, TensorBase)), None)
        if home is not None and "meta" in (home.type, target._storage.device.type):
            if home is not target._storage.device:
                raise RuntimeError(
                    f"Attempting to copy from device {home} to device {target._storage.device}, "
                    "but cross-device copies are not allowed!"
                )
        if operator.elementwise and target._aval.shape != aval.shape:
            if any(x is target for x in operands):  # what is read too is not resized
                raise RuntimeError(
                    f"output with shape {list(target._aval.shape)} doesn't match the broadcast "
                    f"shape {list(aval.shape)}"
                )
        if operator.expanded == "refuse":
            check_overlap(target, operands, target._aval.shape != aval.shape)
        check_out_dtype(operator.out_dtype, aval.dtype, target._aval.dtype)


def check_out_history(name: str, targets: Sequence[Any], operands: Any) -> None:
    """Raise torch's error for `out=` where a gradient would be due."""
    if state.forward is not None:
        if any(isinstance(t, TensorBase) and dual_level(t) for t in (*operands, *targets)):
            raise NotImplementedError(
                f"Trying to use forward AD with {name}_out that does not support it because it is "
                "an out= function"
            )
    if not state.grad_enabled:
        return
    if any(isinstance(t, TensorBase) and t._needs_grad() for t in (*operands, *targets)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )


# Rule -> torch's text, and the names of dtypes that it uses.
_OUT_TEXTS = {
    "cast": ("result type {0} can't be cast to the desired output type {1}", SCALAR_NAMES),
    "cat": ("torch.cat(): input types can't be cast to the desired output type {1}", SCALAR_NAMES),
    "found": ("Found dtype {1} but expected {0}", SCALAR_NAMES),
    "exact": ("Expected out tensor to have dtype {0}, but got {1} instead", CPP_NAMES),
    "type": ("Expected out type to be {0} but got {1}", SCALAR_NAMES),
    "multinomial": ("multinomial expects Long tensor out, got: {1}", SCALAR_NAMES),
    "tensordot": (
        "tensordot: Expected the output tensor to have dtype {0}, but got an output tensor with "
        "dtype {1}",
        SCALAR_NAMES,
    ),
}


def check_out_dtype(rule: str, made: dtype, out: dtype) -> None:
    """Raise torch's error if a result may not be written to an `out=` of another dtype.

    "any" allows every dtype, "cast" and "cat" those of the same or a higher category; the other
    rules, which differ in their texts only, allow none but that of the result.
    """
    if made is out or rule == "any" or (rule in ("cast", "cat") and can_cast(made, out)):
        return
    text, names = _OUT_TEXTS[rule]
    error = TypeError if rule == "cat" else RuntimeError
    raise error(text.format(names[made], names[out]))


def store_out(target: Any, value: Any, strides: tuple[int, ...] | None = None) -> None:
    """Write a result into an `out=` tensor, resizing it if its shape differs.

    `strides` are those of a resized one, where they are not row-major.
    """
    resize_output(target, tuple(value.aval.shape), warn_level=5)
    if strides is not None:
        target._layout = (strides, target._offset, False)
    if value.aval.dtype is not target._aval.dtype:
        (value,) = tracing.record(cast_kernel(value.aval, target._aval.dtype), (value,))
    target._write(value)
    target._version_counter.version += 1


def resize_output(target: Any, shape: tuple[int, ...], warn_level: int = 0) -> None:
    """Resize an output tensor of another shape; one with elements is warned about."""
    if target._aval.shape == shape:
        return
    if target._aval.numel and warn_level:
        warnings.warn(
            "An output with one or more elements was resized since it had shape "
            f"{list(target._aval.shape)}, which does not match the required output shape "
            f"{list(shape)}. This behavior is deprecated, and in a future PyTorch release outputs "
            "will not be resized unless they have zero elements. You can explicitly reuse an out "
            "tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            stacklevel=user_level(),
        )
    storage = target._storage
    # References: the attribute, the local name, getrefcount's argument.
    count = math.prod(shape)
    if target._layout is not None or sys.getrefcount(storage) > 3 or count < storage.numel:
        target.resize_(shape)  # goes on showing the memory that others see too
        return
    aval = aval_of(shape, target._aval.dtype)
    target._aval = aval
    storage.reset(constant(aval, 0, storage.device))
    target._memo = None


__all__ = ["call", "call_inplace", "call_out",
           "make_function", "make_inplace", "make_method", "result_strides"]  # fmt: skip
