"""`torch.autograd.functional`: Jacobians, Hessians and their products with vectors.

The rows of a Jacobian are backward passes over one recorded graph: a whole Jacobian is one program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._autograd.grad_mode import enable_grad, set_grad_enabled
from .._autograd.tensor_base import TensorBase
from .._basics.later import later
from .._basics.state import state
from .._ops.registry import ops

_grad = later("torchish.autograd:grad")

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

_NOT_STRICT = "This is not allowed in strict mode"
_OUTPUTS = "outputs of the user-provided function"
# What a missing gradient means, by the pass in which it is missing.
_INDEPENDENT = {
    "back": "The output of the user-provided function is independent of input {i}.",
    "back_trick": (
        "The gradient with respect to the input is independent of entry {i} in the grad_outputs "
        "when using the double backward trick to compute forward mode gradients."
    ),
    "double_back": "The jacobian of the user-provided function is independent of input {i}.",
    "double_back_trick": (
        "The hessian of the user-provided function is independent of entry {i} in the "
        "grad_jacobian."
    ),
}
_NO_GRAD = {
    "outputs": (
        "Output {i} of the user-provided function does not require gradients. The outputs must be "
        "computed in a differentiable manner from the input when running in strict mode."
    ),
    "jacobian": (
        "While computing the hessian, found that the jacobian of the user-provided function with "
        f"respect to input {{i}} is independent of the input. {_NOT_STRICT}. You should ensure "
        "that your function is twice differentiable and that the jacobian depends on the inputs "
        "(this would be violated by a linear function for example)."
    ),
    "grad_inputs": (
        "The gradient with respect to input {i} is independent of the inputs of the user-provided "
        f"function. {_NOT_STRICT}."
    ),
}


# --- shapes of arguments and results -------------------------------------------------------------


def _tensors(given: Any, what: str, caller: str) -> tuple[bool, tuple[Any, ...]]:
    """Whether `given` is a tuple, and it as one.

    Raises: TypeError for anything but a tensor or a tuple of tensors.
    """
    many = isinstance(given, tuple)
    items = given if many else (given,)
    for k, item in enumerate(items):
        if not isinstance(item, TensorBase):
            where = f"value at index {k}" if many else f"given {what}"
            raise TypeError(
                f"The {what} given to {caller} must be either a Tensor or a tuple of Tensors but "
                f"the {where} has type {type(item)}."
            )
    return many, items


def _fresh(tensors: Sequence[Any], create_graph: bool, needs: bool) -> tuple[Any, ...]:
    """New handles, told apart from tensors that the user's function may have captured."""
    return tuple(
        t.view_as(t)
        if create_graph and t.requires_grad
        else t.detach().requires_grad_(needs and t.dtype.category >= 2)
        if needs
        else t.detach()
        for t in tensors
    )


def _result(tensors: Any, many: bool, create_graph: bool) -> Any:
    kept = tuple(tensors if create_graph else (t.detach() for t in tensors))
    return kept if many else kept[0]


def _check_vector(v: Sequence[Any], like: Sequence[Any], many: bool) -> None:
    if len(v) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}."
            if many
            else "The given v should contain a single Tensor."
        )
    for k, (one, other) in enumerate(zip(v, like, strict=True)):
        if one.shape != other.shape:
            start = f"Entry {k} in v" if many else "v"
            raise RuntimeError(
                f"{start} has invalid size: should be {other.shape} but got {one.shape}."
            )


def _check_needs_grad(tensors: Sequence[Any], what: str, strict: bool) -> None:
    if not strict:
        return
    for k, t in enumerate(tensors):
        if t is None:
            raise RuntimeError(f"{_INDEPENDENT['back'].format(i=k)} {_NOT_STRICT}.")
        if not t.requires_grad:
            raise RuntimeError(_NO_GRAD[what].format(i=k))


def _gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], v: Sequence[Any] | None = None, **how: Any
) -> tuple[Any, ...]:
    """`grad` that leaves out outputs without history; None where nothing flows."""
    pairs = [
        (out, None if v is None else v[k])
        for k, out in enumerate(outputs)
        if out is not None and out.requires_grad
    ]
    if not pairs:
        return (None,) * len(inputs)
    roots, cotangents = zip(*pairs, strict=True)
    found: tuple[Any, ...] = _grad(roots, inputs, cotangents, allow_unused=True, **how)
    return found


def _filled(
    grads: Sequence[Any], like: Sequence[Any], strict: bool, create_graph: bool, stage: str
) -> tuple[Any, ...]:
    """Zeros where a gradient is missing.

    Raises: RuntimeError instead, in strict mode.
    """
    made = []
    for k, g in enumerate(grads):
        if strict and g is None:
            reason = (
                " as it prevents from using the double backward trick to replace forward mode AD"
                if stage == "double_back_trick"
                else ""
            )
            raise RuntimeError(f"{_INDEPENDENT[stage].format(i=k)} {_NOT_STRICT}{reason}.")
        if strict and create_graph and not g.requires_grad:
            what = "hessian" if "double" in stage else "jacobian"
            raise RuntimeError(_constant(what, k))
        made.append(ops.zeros_like(like[k]) if g is None else g)
    return tuple(made)


def _constant(what: str, k: int) -> str:
    return (
        f"The {what} of the user-provided function is independent of input {k}. {_NOT_STRICT} "
        "when create_graph=True."
    )


def _outputs(func: Callable[..., Any], inputs: Any, caller: str, strict: bool) -> Any:
    many, outputs = _tensors(func(*inputs), _OUTPUTS, caller)
    _check_needs_grad(outputs, "outputs", strict)
    return many, outputs


def _scalar_output(func: Callable[..., Any], inputs: Any, caller: str, strict: bool) -> Any:
    many, outputs = _outputs(func, inputs, caller, strict)
    if many:
        raise RuntimeError(f"The function given to {caller} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {caller} should contain a single element"
        )
    return outputs[0]


def _single(tensors: Sequence[Any]) -> bool:
    return len(tensors) == 1 and tensors[0].numel() == 1


_V_NEEDED = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor "
    "with a single element."
)


# --- products with vectors -----------------------------------------------------------------------


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`(func(*inputs), v^T J)`, J the Jacobian of `func` at `inputs`.

    Raises: RuntimeError when `v` is missing or of another shape; in strict mode also when an
    output does not depend on an input.
    """
    with enable_grad():
        many, inputs = _tensors(inputs, "inputs", "vjp")
        inputs = _fresh(inputs, create_graph, True)
        many_outs, outputs = _outputs(func, inputs, "vjp", strict)
        if v is not None:
            v = _fresh(_tensors(v, "v", "vjp")[1], create_graph, False)
            _check_vector(v, outputs, many_outs)
        elif not _single(outputs):
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single "
                "Tensor with a single element."
            )
    with set_grad_enabled(create_graph or state.grad_enabled):
        grads = _gradients(outputs, inputs, v, create_graph=create_graph)
        found = _filled(grads, inputs, strict, create_graph, "back")
    return _result(outputs, many_outs, create_graph), _result(found, many, create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`(func(*inputs), J v)`: the vector-Jacobian product is linear in its vector, and its gradient
    with respect to that vector is J v.

    Raises: as `vjp`.
    """
    with enable_grad():
        many, inputs = _tensors(inputs, "inputs", "jvp")
        inputs = _fresh(inputs, create_graph, True)
        v = _direction(v, inputs, many, create_graph, "jvp")
        many_outs, outputs = _outputs(func, inputs, "jvp", strict)
        dummies = tuple(ops.zeros_like(out, requires_grad=True) for out in outputs)
        back = _gradients(outputs, inputs, dummies, create_graph=True)
        _check_needs_grad(back, "grad_inputs", strict)
    with set_grad_enabled(create_graph or state.grad_enabled):
        grads = _gradients(back, dummies, v, create_graph=create_graph)
        found = _filled(grads, outputs, strict, create_graph, "back_trick")
    return _result(outputs, many_outs, create_graph), _result(found, many_outs, create_graph)


def _direction(v: Any, inputs: Sequence[Any], many: bool, create_graph: bool, caller: str) -> Any:
    if v is None:
        if not _single(inputs):
            raise RuntimeError(_V_NEEDED)
        return None
    v = _fresh(_tensors(v, "v", caller)[1], create_graph, False)
    _check_vector(v, inputs, many)
    return v


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`(func(*inputs), v^T H)`, H the Hessian of the scalar function at `inputs`.

    Raises: RuntimeError unless `func` returns one element; otherwise as `vjp`.
    """
    with enable_grad():
        many, inputs = _tensors(inputs, "inputs", "vhp")
        inputs = _fresh(inputs, create_graph, True)
        v = _direction(v, inputs, many, create_graph, "vhp")
        output = _scalar_output(func, inputs, "vhp", strict)
        jac = _gradients((output,), inputs, create_graph=True)
        _check_needs_grad(jac, "jacobian", strict)
    with set_grad_enabled(create_graph or state.grad_enabled):
        grads = _gradients(jac, inputs, v, create_graph=create_graph)
        found = _filled(grads, inputs, strict, create_graph, "double_back")
    return _result((output,), False, create_graph), _result(found, many, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """`(func(*inputs), H v)`; `vhp` gives the same of a smooth function for less work.

    Raises: as `vhp`.
    """
    with enable_grad():
        many, inputs = _tensors(inputs, "inputs", "hvp")
        inputs = _fresh(inputs, create_graph, True)
        v = _direction(v, inputs, many, create_graph, "hvp")
        output = _scalar_output(func, inputs, "hvp", strict)
        jac = _gradients((output,), inputs, create_graph=True)
        _check_needs_grad(jac, "jacobian", strict)
        dummies = tuple(ops.zeros_like(t, requires_grad=True) for t in inputs)
        back = _gradients(jac, inputs, dummies, create_graph=True)
    with set_grad_enabled(create_graph or state.grad_enabled):
        grads = _gradients(back, dummies, v, create_graph=create_graph)
        found = _filled(grads, inputs, strict, create_graph, "double_back_trick")
    return _result((output,), False, create_graph), _result(found, many, create_graph)


# --- whole matrices ------------------------------------------------------------------------------


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J[o..., i...] = d func(inputs)[o...] / d inputs[i...].

    Args:
        vectorize, strategy: accepted; all rows are reverse passes inside one program.
    Shape: (*output, *input) for each pair; nested tuples, outputs first, for tuples.
    Raises: in strict mode, RuntimeError where an output does not depend on an input.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    _check_strategy(strict, vectorize, strategy, create_graph)
    with enable_grad():
        many, inputs = _tensors(inputs, "inputs", "jacobian")
        inputs = _fresh(inputs, create_graph, True)
        many_outs, outputs = _outputs(func, inputs, "jacobian", strict)
        blocks = [_rows(k, out, inputs, create_graph, strict) for k, out in enumerate(outputs)]
    if not create_graph:
        blocks = [tuple(t.detach() for t in row) for row in blocks]
    per_output = tuple(row if many else row[0] for row in blocks)
    return per_output if many_outs else per_output[0]


def _check_strategy(strict: bool, vectorize: bool, strategy: str, create_graph: bool) -> None:
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                "torch.autograd.functional.jacobian: `create_graph=True` and "
                '`strategy="forward-mode"` are not supported together (yet). Please either set '
                '`create_graph=False` or `strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only "
                "implemented for `vectorize=True`."
            )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
            "supported together. Please either set `strict=False` or `vectorize=False`."
        )


def _rows(
    number: int, out: Any, inputs: Sequence[Any], create_graph: bool, strict: bool
) -> tuple[Any, ...]:
    """The Jacobian of one output: one tensor an input."""
    rows: list[list[Any]] = [[] for _ in inputs]
    flat = out.reshape(-1)
    for j in range(out.numel()):
        grads = _gradients((flat[j],), inputs, retain_graph=True, create_graph=create_graph)
        for k, (g, x) in enumerate(zip(grads, inputs, strict=True)):
            if strict and g is None:
                raise RuntimeError(
                    f"Output {number} of the user-provided function is independent of input {k}. "
                    f"{_NOT_STRICT}."
                )
            if strict and create_graph and not g.requires_grad:
                raise RuntimeError(_constant("jacobian", k))
            rows[k].append(ops.zeros_like(x) if g is None else g)
    return tuple(
        ops.stack(row).view((*out.shape, *x.shape)) if row else x.new_zeros((*out.shape, *x.shape))
        for row, x in zip(rows, inputs, strict=True)
    )


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H[i..., j...] = d^2 func(inputs) / d inputs[i...] d inputs[j...] of a scalar function.

    Raises: RuntimeError unless `func` returns one element; in strict mode as `jacobian`.
    """
    many, inputs = _tensors(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*xs: Any) -> Any:
        return _scalar_output(func, xs, "hessian", strict).squeeze()

    def first(*xs: Any) -> Any:
        jac = jacobian(scalar, xs, create_graph=True)
        _check_needs_grad(jac, "jacobian", strict)
        return jac

    found = jacobian(first, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if many else found[0][0]
