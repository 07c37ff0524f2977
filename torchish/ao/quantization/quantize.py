"""Dynamic quantisation: weights become integers once, inputs at each call.

Source: https://docs.pytorch.org/docs/stable/quantization.html
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..._basics import dtypes
from ..._basics.errors import not_supported
from ...nn import GRU, LSTM, GRUCell, Linear, LSTMCell, RNNCell
from ..nn.quantized.dynamic import Linear as DynamicLinear

__all__ = [
    "QConfig", "default_dynamic_qconfig", "float16_dynamic_qconfig", "per_channel_dynamic_qconfig",
    "quantize_dynamic",
]  # fmt: skip


class QConfig(NamedTuple):
    """How a layer is quantised; of this module's, or refused where it is used."""

    activation: Any
    weight: Any


class _Weight(NamedTuple):
    dtype: Any
    per_channel: bool = False


default_dynamic_qconfig = QConfig(None, _Weight(dtypes.qint8))
per_channel_dynamic_qconfig = QConfig(None, _Weight(dtypes.qint8, per_channel=True))
float16_dynamic_qconfig = QConfig(None, _Weight(dtypes.float16))

_BY_DTYPE = {dtypes.qint8: default_dynamic_qconfig, dtypes.float16: float16_dynamic_qconfig}
_RECURRENT = (LSTM, GRU, LSTMCell, RNNCell, GRUCell)


def quantize_dynamic(
    model: Any, qconfig_spec: Any = None, dtype: Any = dtypes.qint8, mapping: Any = None,
    inplace: bool = False,
) -> Any:  # fmt: skip
    """A copy of the model, in evaluation mode, whose linear layers compute on integers.

    Args:
        qconfig_spec: types or names of modules; or a dictionary from them to one of the settings
            of this module, or to None. What holds for a module holds for those inside of it.
        dtype: `torch.qint8`, or `torch.float16` for weights in that.
        inplace: change the model itself.
    Raises: ValueError for another dtype; NotSupportedError where it would reach a recurrent layer,
        for a `mapping`, and for other settings.

    Example:
        >>> small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    """
    if mapping is not None:
        raise not_supported("quantize_dynamic(mapping=...)", "linear layers as they are mapped")
    spec = _spec(qconfig_spec, dtype)
    model = model if inplace else copy.deepcopy(model)
    model.eval()
    found = list(_chosen(model, "", spec, spec.get(type(model), spec.get(""))))
    for _, _, module, _ in found:
        if isinstance(module, _RECURRENT):
            name = type(module).__name__
            raise not_supported(f"quantize_dynamic of {name}", "{torch.nn.Linear} as qconfig_spec")
    for parent, name, module, config in found:
        made = _converted(module, config)
        if parent is None:
            return made
        setattr(parent, name, made)
    return model


def _spec(given: Any, dtype: Any) -> dict[Any, Any]:
    """Settings by types and names.

    Raises: ValueError.
    """
    if isinstance(given, dict):
        return given
    if dtype not in _BY_DTYPE:
        raise ValueError(
            f"Don't know how to quantize with default settings for {dtype}. Provide full qconfig "
            "please"
        )
    return dict.fromkeys((Linear, *_RECURRENT) if given is None else given, _BY_DTYPE[dtype])


def _chosen(module: Any, path: str, spec: Any, config: Any) -> Iterator[tuple[Any, str, Any, Any]]:
    """(parent, name, module, setting) of what is converted; the whole model has no parent."""
    kinds = (Linear, *_RECURRENT)
    if not path and type(module) in kinds and config is not None:
        yield None, "", module, config
        return
    for name, child in module.named_children():
        full = f"{path}.{name}" if path else name
        mine = spec.get(full, spec.get(type(child), config))
        if type(child) in kinds and mine is not None:
            yield module, name, child, mine
        else:
            yield from _chosen(child, full, spec, mine)


def _converted(module: Any, config: Any) -> Any:
    """The layer on integers, with the hooks of the one before.

    Raises: NotSupportedError for settings of other kinds.
    """
    weight = getattr(config, "weight", None)
    if not isinstance(weight, _Weight):
        raise not_supported("QConfig with observers", "default_dynamic_qconfig")
    made = DynamicLinear.from_float(module, dtype=weight.dtype, per_channel=weight.per_channel)
    made._forward_pre_hooks.update(module._forward_pre_hooks)
    made._forward_hooks.update(module._forward_hooks)
    return made
