"""Updates of many tensors by one operator: its results are bare values, written where they belong.

No tensor is made for a result, no history is kept, and no mode sees the operator: for what is done
under `no_grad` to lists of tensors, as optimizers' steps and clipping do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._basics.recorder import recorder
from .._core.trace import record
from .._core.values import Value
from .._ops.call.forms import form_of
from .tensor import Tensor


def run(rule: Any, *args: Any, **kwargs: Any) -> list[Value]:
    """Records an operator over lists; gives its results as bare values, which no tensor has."""
    operator = rule.operator
    if recorder is not None:
        form = form_of(operator, len(args), kwargs)
        made = recorder.values(form, args, kwargs) if type(form) is recorder.Form else None
        if made is not None:
            return made  # type: ignore[no-any-return]
    operands, key = operator.binder.bind(args, kwargs)
    kernel = operator.kernel_for(operands, tuple(key))
    return record(kernel, [x._value() if isinstance(x, Tensor) else x for x in operands])


def assign(targets: Iterable[Tensor], values: Iterable[Value]) -> None:
    """Writes new contents into tensors, as in-place operators do, outside of autograd."""
    if recorder is not None:
        recorder.assign(list(targets), list(values))
        return
    for target, value in zip(targets, values, strict=True):
        target._write(value)
        target._version_counter.version += 1
