"""`torch.jit`: TorchScript's interface over plain Python, which XLA compiles anyway."""

from __future__ import annotations

from ..futures import Future as Future
from ._marks import (
    Attribute as Attribute,
    Error as Error,
    Final as Final,
    _overload as _overload,
    _overload_method as _overload_method,
    annotate as annotate,
    enable_onednn_fusion as enable_onednn_fusion,
    export as export,
    ignore as ignore,
    interface as interface,
    is_scripting as is_scripting,
    is_tracing as is_tracing,
    isinstance as isinstance,
    onednn_fusion_enabled as onednn_fusion_enabled,
    script_if_tracing as script_if_tracing,
    script_method as script_method,
    set_fusion_strategy as set_fusion_strategy,
    strict_fusion as strict_fusion,
    unused as unused,
)
from ._saving import load as load, save as save
from ._script import (
    RecursiveScriptModule as RecursiveScriptModule,
    ScriptFunction as ScriptFunction,
    ScriptModule as ScriptModule,
    TopLevelTracedModule as TopLevelTracedModule,
    TracedModule as TracedModule,
    fork as fork,
    freeze as freeze,
    optimize_for_inference as optimize_for_inference,
    script as script,
    trace as trace,
    trace_module as trace_module,
    wait as wait,
)

_fork, _wait = fork, wait
