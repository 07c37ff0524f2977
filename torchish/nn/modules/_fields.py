"""The attributes of every module, which the mixins of `Module` share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

Hook = Callable[..., Any]


class ModuleFields:
    """Declarations only; `Module.__init__` sets them.

    The names are torch's: pickled modules carry them.
    """

    # parameters or None; replicas and functional calls put plain tensors in their places
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Any]
    # None until one kind of backward hook is registered; the two kinds do not mix.
    _is_full_backward_hook: bool | None
    _backward_pre_hooks: OrderedDict[int, Hook]
    _backward_hooks: OrderedDict[int, Hook]
    _forward_hooks: OrderedDict[int, Hook]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Hook]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _state_dict_hooks: OrderedDict[int, Hook]
    _state_dict_pre_hooks: OrderedDict[int, Hook]
    _load_state_dict_pre_hooks: OrderedDict[int, Hook]
    _load_state_dict_post_hooks: OrderedDict[int, Hook]
    forward: Callable[..., Any]
