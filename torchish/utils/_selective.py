"""Selective checkpoints: which results the recomputation takes from the first run.

Invariant: both runs record the same operators, so what they save for backward is the same. The
recomputation of an operator whose result was kept is recorded too, for its history, and its result
is then given the kept value: nobody reads what was recorded, so no program computes it.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from .._autograd.tensor_base import TensorBase, detached
from .._basics.errors import not_supported
from .._ops.protocol.dispatching import packet
from .._ops.protocol.packets import OpOverload, OpOverloadPacket
from ._python_dispatch import TorchDispatchMode
from ._pytree import tree_leaves

__all__ = [
    "CheckpointPolicy", "SelectiveCheckpointContext", "create_selective_checkpoint_contexts",
]  # fmt: skip

_MISMATCH = (
    "This can happen if the operations in the checkpointed region are nondeterministic or depend "
    "on global state that changed between forward and backward."
)
_TWICE = (
    "Trying to backward an extra time. You are only allowed to backward once on any region "
    "computed under selective activation checkpoint."
)


class CheckpointPolicy(enum.Enum):
    """What a policy says of an operator's result: to keep it, or to compute it again."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_KEEPS = (CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE)
_OFFLOADS = (CheckpointPolicy.MUST_CPU_OFFLOAD, CheckpointPolicy.PREFER_CPU_OFFLOAD)


class SelectiveCheckpointContext:
    """What a policy is told beside the operator: its result, and which run it is (the first)."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute = is_recompute
        self.op_output = op_output


class _Kept:
    """One operator's results that were kept, with their versions."""

    def __init__(self, results: Any) -> None:
        self.tensors = [
            (detached(x), x._version_counter.version) if isinstance(x, TensorBase) else None
            for x in tree_leaves(results)
        ]

    def give(self, results: Any, args: Any, changes_allowed: bool) -> None:
        """Put the kept values into what the recomputation recorded.

        A result that lies in an operand's memory (a view, an in-place operator's) is that operand's
        already. Raises: RuntimeError where a kept tensor was written to.
        """
        taken = {id(x._storage) for x in tree_leaves(args) if isinstance(x, TensorBase)}
        for made, kept in zip(tree_leaves(results), self.tensors, strict=True):
            if kept is None:
                continue
            tensor, version = kept
            if tensor._version_counter.version != version and not changes_allowed:
                raise RuntimeError(
                    "Tensor cached during selective activation checkpoint has been mutated"
                )
            storage = made._storage
            if id(storage) not in taken and made._layout is None and storage.host is None:
                storage.set(tensor._value())


Table = dict[Any, dict[int, "_Kept | None"]]


class _Counting(TorchDispatchMode):
    """Numbers the calls of each operator; `seen` handles one."""

    def __init__(self, storage: Table) -> None:
        super().__init__()
        self.storage = storage
        self.func_counter: dict[Any, int] = defaultdict(int)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func == _DETACH:  # both runs need not detach alike
            return func(*args, **kwargs)
        number = self.func_counter[func]
        self.func_counter[func] += 1
        return self.seen(func, number, args, kwargs)

    def seen(self, func: Any, number: int, args: Any, kwargs: Any) -> Any:
        """Run the operator."""
        raise NotImplementedError


_DETACH = packet("detach").default


class _CachingTorchDispatchMode(_Counting):
    """Of the first run: asks the policy, and keeps results."""

    def __init__(self, policy_fn: Callable[..., Any], storage: Table) -> None:
        super().__init__(storage)
        self.policy_fn = policy_fn

    def seen(self, func: Any, number: int, args: Any, kwargs: Any) -> Any:
        """Run the operator and ask what becomes of its result.

        Raises: NotSupportedError for policies that offload to the CPU.
        """
        out = func(*args, **kwargs)
        context = SelectiveCheckpointContext(is_recompute=False, op_output=out)
        policy = self.policy_fn(context, func, *args, **kwargs)
        if policy in _OFFLOADS:
            raise not_supported(f"CheckpointPolicy.{policy.name}", "CheckpointPolicy.MUST_SAVE")
        keeps = policy in _KEEPS or policy is True
        self.storage[func][number] = _Kept(out) if keeps else None
        return out


class _CachedTorchDispatchMode(_Counting):
    """Of the recomputation: gives kept results."""

    def __init__(
        self, policy_fn: Any, storage: Table, allow_cache_entry_mutation: bool = False
    ) -> None:
        super().__init__(storage)
        self.policy_fn = policy_fn  # the first run has asked it: for subclasses only
        self.allow_cache_entry_mutation = allow_cache_entry_mutation
        self.taken: set[Any] = set()

    def __enter__(self) -> Any:
        self.func_counter.clear()
        return super().__enter__()

    def seen(self, func: Any, number: int, args: Any, kwargs: Any) -> Any:
        """Record the operator, and give its result the kept value.

        Raises: RuntimeError for an operator that the first run had not, and for a second backward.
        """
        calls = self.storage.get(func)
        if calls is None:
            raise RuntimeError(
                f"{func} encountered during backward but not found in storage. {_MISMATCH}"
            )
        if number not in calls:
            raise RuntimeError(
                f"{func} invocation index {number} encountered during backward but not found in "
                f"storage. {_MISMATCH}"
            )
        if (func, number) in self.taken:
            raise RuntimeError(_TWICE)
        kept = calls[number]
        out = func(*args, **kwargs)
        if kept is not None:
            kept.give(out, (args, kwargs), self.allow_cache_entry_mutation)
            calls[number] = None
            self.taken.add((func, number))
        return out


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Any, Any]:
    """The two contexts of a checkpoint that keeps some results, for ``context_fn``.

    Args:
        policy_fn_or_list: function of (context, operator, *args, **kwargs) that says what becomes
            of an operator's result; or the operators (`torch.ops.aten.mm.default`) whose are kept.
        allow_cache_entry_mutation: whether what is kept may be written to before it is used.
    Raises: TypeError for anything else, ValueError for a list of anything but overloads.
    Source: https://docs.pytorch.org/docs/stable/checkpoint.html
    Differs from torch: a kept result of `torch.library.custom_op` is recorded anew, so its Python
        runs in both runs; policies that offload to the CPU are refused.

    Example:
        >>> keep = functools.partial(
        ...     create_selective_checkpoint_contexts, [torch.ops.aten.mm.default]
        ... )
        >>> out = checkpoint(part, x, use_reentrant=False, context_fn=keep)
    """
    policy = policy_fn_or_list
    if isinstance(policy_fn_or_list, list):
        for op in policy_fn_or_list:
            _check_overload(op)

        def policy(context: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
            found = op in policy_fn_or_list
            return CheckpointPolicy.MUST_SAVE if found else CheckpointPolicy.PREFER_RECOMPUTE
    elif not callable(policy_fn_or_list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    storage: Table = defaultdict(dict)
    return (
        _CachingTorchDispatchMode(policy, storage),
        _CachedTorchDispatchMode(None, storage, allow_cache_entry_mutation),
    )


def _check_overload(op: Any) -> None:
    if isinstance(op, OpOverload):
        return
    extra = ""
    if isinstance(op, OpOverloadPacket):
        extra = (
            "Please update the OpOverloadPacket to a specific OpOverload.For example, if you have "
            "`torch.ops.aten.mm`, change it to `torch.ops.aten.mm.default`."
        )
    raise ValueError(
        f"Expected op in `op_list` to be an OpOverload but got: {op} of type {type(op)}. {extra}"
    )
