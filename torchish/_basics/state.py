"""Everything that is thread-wide, in one thread-local object.

Invariant: each field is changed by context managers that restore it on exceptions; a new thread
starts from the defaults, except for the default dtype and device, which are process-wide as in
torch.
"""

from __future__ import annotations

import threading
from typing import Any

from . import dtypes


class ThreadState(threading.local):
    """Grad mode, traces and the other thread-wide fields."""

    def __init__(self) -> None:
        self.grad_enabled = True
        self.inference = False
        self.anomaly = False
        self.anomaly_check_nan = True
        # Current trace per JAX device index key; the CPU's is looked up at every operator call.
        self.traces: dict[Any, Any] = {}
        # Deferred checks: (flag value, function that builds the exception).
        self.checks: list[Any] = []
        # Devices chosen by `with torch.device(...)`.
        self.device_stack: list[Any] = []
        # Default generator of this thread, when it has one of its own (DataLoader workers).
        self.generator: Any = None
        # The backward pass that runs now (hooks over several tensors ask it).
        self.backward_pass: Any = None
        # Pairs of functions that pack and unpack what grad nodes keep; the last one counts.
        self.saved_hooks: list[Any] = []
        # The text of the error that setting such a pair raises now.
        self.saved_hooks_refused: str | None = None
        # The innermost level of forward-mode derivatives (torchish/_autograd/forward.py).
        self.forward: Any = None
        # The one of them that `torch.autograd.forward_ad` has begun.
        self.dual_level: Any = None
        # Who captures what the user's Python does now, the innermost (_autograd/capture.py): it
        # is asked for random numbers, and told of values that are looked at.
        self.capture: Any = None
        # Rules of the transformations of functions that run now (capture.py), the innermost last.
        self.transforms: list[Any] = []
        # Whether a 0-dim tensor stands for itself in an index, rather than for its number.
        self.index_by_tensors = False
        # What a running backward pass calls at its end.
        self.after_backward: list[Any] = []
        # The dtype table of autocast (torchish/_ops/call/autocast.py) while it is on, else None.
        self.autocast: Any = None
        # Active function modes, innermost last, and how much of `__torch_function__` is off
        # (0: nothing, 1: arguments', 2: modes' too); see torchish/_ops/protocol/overriding.py.
        self.function_modes: list[Any] = []
        self.overriding_off = 0
        # Active dispatch modes, innermost last (torchish/_ops/protocol/dispatching.py).
        self.dispatch_modes: list[Any] = []
        # Which of this thread's structures are compiled (policy.py).
        self.policy: Any = None
        self.heir: Any = None
        # The call of a compiled function that runs now (torchish/_dynamo/eval_frame.py).
        self.compiled: Any = None
        # The current CUDA device.
        self.cuda_index = 0
        # What `use_deterministic_algorithms` was told.
        self.deterministic = False
        self.deterministic_warns_only = False
        # Autocast's dtypes, cache flag and depth of nesting (torchish/amp), once asked for.
        self.autocast_switches: dict[str, Any] = {}

    def is_captured(self) -> bool:
        """Whether the compiled call that runs now builds a graph of what is called."""
        return self.compiled is not None and self.compiled.capture is not None


class ProcessState:
    """Defaults that torch keeps for the whole process."""

    def __init__(self) -> None:
        self.default_dtype = dtypes.float32
        self.default_device: Any = None
        # The user's Tensor class, set once by torchish/_tensor/tensor.py (the engine makes results
        # with it).
        self.tensor_class: Any = None
        # What grad nodes keep for a kernel, in torch's names (torchish/autograd/_saving.py), and
        # what lets hooks pack the operands of a node that backward made (saved.py).
        self.plan_of: Any = None
        self.pack_values: Any = None
        # Whether some program spans several devices: arrays may then lie on more than one.
        self.spmd_used = False
        # Whether XLA must not be touched (forking.py): everything is interpreted.
        self.interpret_only = False
        # Whether some storage is laid out over a mesh: programs may then be partitioned.
        self.laid_out = False
        # Precision of float32 matrix products: "highest", "high" or "medium".
        self.matmul_precision = "highest"
        # Whether constructors of sparse tensors check their indices unasked (torchish/sparse).
        self.sparse_invariants = False
        # What `set_warn_always` was told.
        self.warn_always = False
        # What `get_num_threads` says, where it is not the number of processors.
        self.num_threads: int | None = None


state = ThreadState()
process = ProcessState()
