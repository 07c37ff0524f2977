"""The calls of one compiled function: replayed where they can be, observed until they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._basics.devices import CPU
from .._basics.state import process, state
from ..nn.modules import _hooks as hooks
from ..optim import optimizer
from ..utils import _pytree as pytree
from . import config, stance
from .guards import World
from .observing import LIVE, Observation, Seen
from .purity import Code, Impure
from .replay import Replay, match

_SIMPLE = (int, float, complex, str, bytes, bool, type(None))
_LEAVES = (TensorBase, *_SIMPLE)
ATTEMPTS = 6  # observed calls of one kind before it is left alone
_KEPT = 8  # replays of one kind of arguments
_RECENT = 3


class _Site:
    """Calls with one kind of arguments."""

    def __init__(self) -> None:
        self.ready: list[Replay] = []
        self.recent: list[Seen] = []  # a loop may go through several states in turn
        self.attempts = 0
        self.reason = ""

    @property
    def is_hopeless(self) -> bool:
        """Whether observing goes on for nothing."""
        return self.attempts >= ATTEMPTS


class Whole:
    """What is known of one compiled function.

    `reason` says why its last call was not replayed.
    """

    def __init__(self, function: Callable[..., Any], dynamic: bool | None, limit: int | None):
        self.function = function
        self.dynamic, self.limit = dynamic, limit
        self.sites: dict[Any, _Site] = {}
        self.families: set[Any] = set()
        self.code: Code | None = None
        self.reason = ""
        self.last: tuple[Any, _Site | None] = None, None  # what was found the last time
        self.calls = 0
        self.replayed = 0
        stance.remember(self)

    def clear(self) -> None:
        """Forget every program."""
        self.sites.clear()
        self.last = None, None
        self.families.clear()
        self.calls = 0

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function. Raises: RuntimeError for a stance that forbids to compile."""
        self.calls += 1
        try:
            leaves, key = self._kind(args, kwargs)
        except Impure as impure:
            return self._plain(args, kwargs, str(impure))
        if key == self.last[0]:  # without its hash, which is made of many
            site = self.last[1]
        else:
            site = self.sites.get(key)
            self.last = key, site
        if site is not None:
            for replay in site.ready:
                if replay.fits(leaves):
                    self.replayed += 1
                    return replay.run(self.device, leaves)
        if site is not None and site.is_hopeless and not site.ready:
            return self._plain(args, kwargs, site.reason)
        if not stance.may_compile(self.calls):
            return self._plain(args, kwargs, "the stance")
        if site is None:
            family = self._family(leaves, key)
            if family not in self.families and len(self.families) >= self._most():
                return self._plain(args, kwargs, "recompile_limit")
            self.families.add(family)
            site = self.sites[key] = _Site()
            self.last = key, site
        if site.is_hopeless:
            return self._plain(args, kwargs, site.reason)
        return self._observed(site, leaves, args, kwargs)

    def _family(self, leaves: Sequence[Any], key: Any) -> Any:
        """The kind of arguments, but for the sizes that may change."""
        every = bool(self.dynamic)
        kinds = [
            stance.family(x, every) if isinstance(x, TensorBase) else kind
            for x, kind in zip(leaves, key[1], strict=True)
        ]
        return key[0], tuple(kinds), key[2]

    def _most(self) -> int:
        return config.recompile_limit if self.limit is None else self.limit

    def _plain(self, args: Any, kwargs: Any, reason: str) -> Any:
        self.reason = reason
        return self.function(*args, **kwargs)

    # --- arguments -------------------------------------------------------------------------------

    def _kind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
        """The leaves of the arguments, and what has to be equal for a replay to fit them."""
        if (
            state.transforms or state.function_modes or state.dispatch_modes or state.saved_hooks
            or state.capture is not None or state.anomaly
            or process.interpret_only or process.spmd_used or process.laid_out or _global_hooks()
        ):  # fmt: skip
            raise Impure("a mode is on that has to see every operator")
        leaves: list[Any]
        if not kwargs and all(isinstance(x, _LEAVES) for x in args):
            leaves, spec = list(args), ""  # as most calls are: nothing to take apart
        else:
            leaves, tree = pytree.tree_flatten((args, kwargs))
            spec = str(tree)
        kinds: list[Any] = []
        places: dict[int, int] = {}
        for k, x in enumerate(leaves):
            if isinstance(x, TensorBase):
                storage = x._storage
                grad = x._grad is not None
                if grad or x._grad_fn is not None or x._base is not None or x._inference:
                    raise Impure("an argument has a history or a gradient, or is a view")
                same = places.setdefault(id(storage), k)
                kinds.append(
                    (type(x), x._aval, x._layout, storage.aval, storage.strides, storage.device,
                     x._requires_grad, same)
                )  # fmt: skip
            elif isinstance(x, _SIMPLE):
                kinds.append((type(x), x))
            else:
                kinds.append(id(x))
        return leaves, (spec, tuple(kinds), _modes())

    # --- observing -------------------------------------------------------------------------------

    def _world(self, leaves: Sequence[Any]) -> World:
        if self.code is None:
            self.code = Code()
            self.code.add(self.function)
        world = World(self.code)
        owner = getattr(self.function, "__self__", None)
        objects = [x for x in leaves if not isinstance(x, (*_SIMPLE, TensorBase))]
        if owner is not None:
            objects.append(owner)
        # Classes of what is found bring code, and code brings globals: until nothing is new.
        seen = -1
        while seen != len(self.code.roots):
            seen = len(self.code.roots)
            world = World(self.code)
            world.look([(objects, k, x) for k, x in enumerate(objects)])
            world.look(list(self.code.roots))
        return world

    def _observed(self, site: _Site, leaves: Sequence[Any], args: Any, kwargs: Any) -> Any:
        site.attempts += 1
        try:
            world = self._world(leaves)
            dev = self._device(world, leaves)
        except Impure as impure:
            site.attempts, site.reason = ATTEMPTS, str(impure)
            return self._plain(args, kwargs, site.reason)
        watching = Observation(dev, world, leaves)
        result, seen = watching.run(lambda: self.function(*args, **kwargs))
        if seen is None:
            site.reason = watching.reason or ""
            if watching.reason == LIVE:
                site.attempts = ATTEMPTS
        else:
            self._matched(site, seen)
        self.reason = site.reason
        return result

    def _matched(self, site: _Site, seen: Seen) -> None:
        for earlier in reversed(site.recent):
            try:
                replay = match(earlier, seen)
            except Impure as impure:
                site.reason = str(impure)
                continue
            site.ready = [replay, *site.ready][:_KEPT]
            site.attempts, site.reason, site.recent = 0, "", []
            return
        site.recent = [*site.recent, seen][-_RECENT:]

    def _device(self, world: World, leaves: Sequence[Any]) -> Any:
        devices = {s.device for _, s, _, _ in world.tensors if s.aval.ndim}
        devices |= {x._storage.device for x in leaves if isinstance(x, TensorBase) and x._aval.ndim}
        if len(devices) > 1:
            raise Impure("its tensors lie on several devices")
        self.device = devices.pop() if devices else CPU
        if self.device.type == "meta":
            raise Impure("its tensors have no data")
        return self.device


def _global_hooks() -> bool:
    """Whether something is called for every module or optimizer."""
    return any(_HOOKS)


_HOOKS = (
    hooks.global_forward_pre_hooks, hooks.global_forward_hooks, hooks.global_backward_pre_hooks,
    hooks.global_backward_hooks, hooks.global_buffer_registration_hooks,
    hooks.global_module_registration_hooks, hooks.global_parameter_registration_hooks,
    optimizer._global_pre_hooks, optimizer._global_post_hooks,
)  # fmt: skip


def _modes() -> tuple[Any, ...]:
    casts = state.autocast
    return (
        state.grad_enabled, state.inference, None if casts is None else tuple(casts.items()),
        process.default_dtype, process.default_device, tuple(state.device_stack),
        process.matmul_precision, state.deterministic, state.cuda_index, state.overriding_off,
    )  # fmt: skip
