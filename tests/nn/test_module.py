"""The contract of `nn.Module` against PyTorch's, call by call."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import pytest

from tests.oracle import agree


def net(lib: Any) -> Any:
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.norm = nn.BatchNorm2d(2)
            self.register_buffer("kept", lib.ones(2))
            self.register_buffer("dropped", lib.zeros(2), persistent=False)
            self.scale = nn.Parameter(lib.full((2,), 0.5))
            self.empty = None

        def forward(self, x: Any) -> Any:
            return self.norm(self.conv(x)) * self.scale.view(1, 2, 1, 1)

    return nn.Sequential(OrderedDict(block=Block(), relu=nn.ReLU(), tail=nn.Identity()))


QUERIES = {
    "parameters": lambda m: [tuple(p.shape) for p in m.parameters()],
    "named_parameters": lambda m: [n for n, _ in m.named_parameters(prefix="x")],
    "not recursive": lambda m: [n for n, _ in m.named_parameters(recurse=False)],
    "named_buffers": lambda m: [n for n, _ in m.named_buffers()],
    "children": lambda m: [type(c).__name__ for c in m.children()],
    "named_children": lambda m: [n for n, _ in m.block.named_children()],
    "named_modules": lambda m: [(n, type(c).__name__) for n, c in m.named_modules()],
    "state_dict": lambda m: dict(m.state_dict()),
    "prefix": lambda m: list(m.state_dict(prefix="net.")),
    "metadata": lambda m: {k: dict(v) for k, v in m.state_dict()._metadata.items()},
    "repr": repr,
    "get_submodule": lambda m: repr(m.get_submodule("block.conv")),
    "get_parameter": lambda m: m.get_parameter("block.scale"),
    "get_buffer": lambda m: m.get_buffer("block.kept"),
    "wrong submodule": lambda m: m.get_submodule("block.none"),
    "not a submodule": lambda m: m.get_submodule("block.scale"),
    "wrong parameter": lambda m: m.get_parameter("block.kept"),
    "wrong buffer": lambda m: m.get_buffer("block.scale"),
    "no attribute": lambda m: m.block.nothing,
    "train flag": lambda m: m.train("yes"),
    "modes": lambda m: [x.training for x in m.eval().modules()],
    "requires_grad_": lambda m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    "dtype": lambda m: [str(t.dtype) for t in m.double().state_dict().values()],
    "to int": lambda m: m.to(m.block.norm.num_batches_tracked.dtype),
    "apply": lambda m: _visited(m),
    "dir": lambda m: [
        n for n in dir(m.block) if not n.startswith("_") and n in ("conv", "scale", "kept")
    ],
    "forward missing": lambda m: type(m).__mro__[1]()(1),
    "constructor arguments": lambda m: type(m).__mro__[1](1),
    "constructor keywords": lambda m: type(m).__mro__[1](a=1),
}


def _visited(module: Any) -> list[str]:
    seen: list[str] = []
    module.apply(lambda m: seen.append(type(m).__name__))
    return seen


@pytest.mark.parametrize("name", QUERIES)
def test_query(name: str) -> None:
    agree(lambda lib: QUERIES[name](net(lib)))


ASSIGNMENTS = {
    "number over parameter": "m.scale = 3",
    "none over parameter": "m.scale = None",
    "tensor over parameter": "m.scale = lib.zeros(2)",
    "parameter over buffer": "m.kept = lib.nn.Parameter(lib.zeros(1))",
    "parameter over module": "m.conv = lib.nn.Parameter(lib.zeros(1))",
    "number over module": "m.conv = 3",
    "module over attribute": "m.empty = lib.nn.ReLU()",
    "module over parameter": "m.scale = lib.nn.ReLU()",
    "tensor over buffer": "m.kept = lib.zeros(3)",
    "number over buffer": "m.kept = 3",
    "none over buffer": "m.kept = None",
    "new buffer": "m.fresh = lib.nn.Buffer(lib.ones(2), persistent=False)",
    "delete parameter": "del m.scale",
    "delete buffer": "del m.dropped",
    "delete module": "del m.conv",
    "delete unknown": "del m.unknown",
    "register taken": "m.register_buffer('conv', None)",
    "register dotted": "m.register_buffer('a.b', None)",
    "register empty": "m.register_parameter('', None)",
    "register not a name": "m.register_parameter(3, None)",
    "register not a parameter": "m.register_parameter('p', lib.zeros(1))",
    "register non-leaf": "m.register_parameter('p', lib.nn.Parameter(lib.zeros(1)) * 1)",
    "register not a tensor": "m.register_buffer('b', 3)",
    "add not a module": "m.add_module('x', 3)",
    "add dotted": "m.add_module('x.y', None)",
    "add taken": "m.add_module('forward', None)",
    "set_submodule": "m.set_submodule('conv', lib.nn.Linear(1, 1))",
    "set_submodule missing": "m.set_submodule('none.x', lib.nn.Linear(1, 1))",
    "set_submodule strict": "m.set_submodule('none', lib.nn.Linear(1, 1), strict=True)",
    "set_submodule empty": "m.set_submodule('', lib.nn.Linear(1, 1))",
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assignment(name: str) -> None:
    def script(lib: Any) -> Any:
        m = net(lib).block
        exec(ASSIGNMENTS[name], {"m": m, "lib": lib})
        return [
            list(m._parameters), list(m._buffers), list(m._modules),
            sorted(m._non_persistent_buffers_set), sorted(m.state_dict()),
        ]  # fmt: skip

    agree(script)


def test_before_init() -> None:
    def script(lib: Any, value: Any) -> None:
        class Early(lib.nn.Module):
            def __init__(self) -> None:
                self.x = value(lib)

        Early()

    agree(lambda lib: script(lib, lambda lib: lib.nn.Parameter(lib.zeros(1))))
    agree(lambda lib: script(lib, lambda lib: lib.nn.ReLU()))


LOADS = {
    "missing": lambda s, lib: s.pop("block.scale"),
    "unexpected": lambda s, lib: s.update(extra=lib.zeros(1)),
    "unexpected below": lambda s, lib: s.update({"block.conv.extra": lib.zeros(1)}),
    "wrong shape": lambda s, lib: s.update({"block.scale": lib.zeros(3)}),
    "not a tensor": lambda s, lib: s.update({"block.scale": 3}),
    "scalar as vector": lambda s, lib: s.update(
        {"block.norm.num_batches_tracked": lib.tensor([4])}
    ),
    "everything": lambda s, lib: (
        s.pop("block.kept"),
        s.update(a=1, b=2, **{"block.scale": lib.zeros(9)}),
    ),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", LOADS)
def test_load_state_dict(name: str, strict: bool) -> None:
    def script(lib: Any) -> Any:
        module = net(lib)
        state = module.state_dict()
        LOADS[name](state, lib)
        result = module.load_state_dict(state, strict=strict)
        return [repr(result), list(result.missing_keys), module.state_dict()]

    agree(script)


def test_load_errors_change_what_torch_changes() -> None:
    def script(lib: Any) -> Any:
        module = net(lib)
        state = {k: v + 1 for k, v in module.state_dict().items()}
        state["block.scale"] = lib.zeros(7)
        try:
            module.load_state_dict(state)
        except RuntimeError:
            return dict(module.state_dict())

    agree(script)
    agree(lambda lib: net(lib).load_state_dict(3))


def test_assign_and_identity() -> None:
    def script(lib: Any) -> Any:
        module = net(lib)
        state = {k: v.clone() for k, v in module.state_dict().items()}
        before = module.block.scale
        module.load_state_dict(state)
        copied = module.block.scale is before
        module.load_state_dict(state, assign=True)
        return [
            copied,
            module.block.scale is before,
            module.block.scale.data_ptr() == state["block.scale"].data_ptr(),
            module.block.scale.requires_grad,
            module.state_dict()["block.scale"].requires_grad,
            module.state_dict(keep_vars=True)["block.scale"] is module.block.scale,
        ]

    agree(script)


def test_old_batchnorm_checkpoint() -> None:
    def script(lib: Any) -> Any:
        norm = lib.nn.BatchNorm1d(2)
        norm(lib.ones(3, 2))
        state = norm.state_dict()
        del state["num_batches_tracked"]
        del state._metadata
        return [repr(norm.load_state_dict(state)), norm.num_batches_tracked]

    agree(script)


def test_extra_state() -> None:
    def script(lib: Any) -> Any:
        class Extra(lib.nn.Linear):
            def get_extra_state(self) -> Any:
                return {"n": 3}

            def set_extra_state(self, state: Any) -> None:
                self.seen = state

        module = Extra(1, 1)
        state = module.state_dict()
        module.load_state_dict(state)
        keys = list(state)
        del state["_extra_state"]
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            return [keys, module.seen, str(error)]

    agree(script)


def test_state_dict_hooks() -> None:
    def script(lib: Any) -> Any:
        module, log = net(lib), []
        module.register_state_dict_pre_hook(lambda m, p, k: log.append(("pre", p, k)))
        module.register_state_dict_post_hook(lambda m, s, *rest: s.pop("block.kept"))
        module.register_load_state_dict_pre_hook(
            lambda m, s, *a: s.update({"block.kept": lib.ones(2)})
        )
        handle = module.register_load_state_dict_post_hook(
            lambda m, k: log.append(list(k.missing_keys))
        )
        state = module.state_dict()
        module.load_state_dict(state)
        handle.remove()
        module.load_state_dict(state)
        return [log, list(state)]

    agree(script)


def test_forward_hooks() -> None:
    def script(lib: Any) -> Any:
        module, log = lib.nn.Linear(2, 2), []
        x = lib.ones(1, 2)
        module.register_forward_pre_hook(lambda m, a: log.append("pre"))
        module.register_forward_pre_hook(lambda m, a: a[0] * 2, prepend=True)
        module.register_forward_pre_hook(lambda m, a, k: ((a[0] + 1,), k), with_kwargs=True)
        module.register_forward_hook(lambda m, a, out: out * 3)
        handle = module.register_forward_hook(
            lambda m, a, k, out: log.append(sorted(k)), with_kwargs=True
        )
        first = module(x)
        handle.remove()
        return [first, module(x), log]

    agree(script)


def test_always_called_hook_and_bad_pre_hook() -> None:
    def script(lib: Any) -> Any:
        module, log = lib.nn.Linear(2, 2), []
        module.register_forward_hook(lambda m, a, out: log.append(out), always_call=True)
        try:
            module(lib.ones(1, 3))
        except RuntimeError as error:
            log.append(str(error))
        return log

    agree(script)

    def bad(lib: Any) -> Any:
        module = lib.nn.Linear(2, 2)
        module.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
        module(lib.ones(1, 2))

    agree(bad)


def test_full_backward_hooks() -> None:
    def script(lib: Any) -> Any:
        module, log = lib.nn.Linear(2, 3), []
        module.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
        module.register_full_backward_hook(
            lambda m, gi, go: log.append((gi[0].clone(), go[0].clone()))
        )
        module.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
        x = lib.ones(1, 2, requires_grad=True)
        module(x).sum().backward()
        return [log, x.grad, module.weight.grad]

    agree(script)


def test_full_backward_hook_without_input_gradient() -> None:
    def script(lib: Any) -> Any:
        module, log = lib.nn.Linear(2, 3), []
        module.register_full_backward_hook(lambda m, gi, go: log.append((list(gi), list(go))))
        module(lib.ones(1, 2)).sum().backward()
        return log

    agree(script)


def test_backward_hook_kinds_do_not_mix() -> None:
    def script(lib: Any) -> Any:
        module = lib.nn.Linear(2, 3)
        module.register_backward_hook(lambda m, gi, go: None)
        module.register_full_backward_hook(lambda m, gi, go: None)

    agree(script)


def test_global_hooks() -> None:
    def script(lib: Any) -> Any:
        log: list[Any] = []
        hooks = lib.nn.modules.module
        handles = [
            hooks.register_module_forward_pre_hook(lambda m, a: log.append("pre")),
            hooks.register_module_forward_hook(lambda m, a, out: out * 2),
            hooks.register_module_parameter_registration_hook(lambda m, name, p: log.append(name)),
        ]
        module = lib.nn.Linear(2, 2)
        out = module(lib.ones(1, 2))
        for handle in handles:
            handle.remove()
        return [log, out, module(lib.ones(1, 2))]

    agree(script)


def test_conversion_keeps_parameters_and_gradients() -> None:
    def script(lib: Any) -> Any:
        module = lib.nn.Linear(2, 2)
        module(lib.ones(1, 2)).sum().backward()
        weight = module.weight
        module.double()
        return [
            module.weight is weight,
            str(module.weight.dtype),
            str(module.weight.grad.dtype),
            module.weight.grad,
            module.to(lib.float32).weight,
            repr(module.half().bias.dtype),
        ]

    agree(script)


def test_zero_grad() -> None:
    def script(lib: Any) -> Any:
        module = lib.nn.Linear(2, 2)
        module(lib.ones(1, 2)).sum().backward()
        module.zero_grad(set_to_none=False)
        first = module.weight.grad
        module.zero_grad()
        return [first, module.weight.grad]

    agree(script)


def test_shared_parameters() -> None:
    def script(lib: Any) -> Any:
        first, second = lib.nn.Linear(2, 2), lib.nn.Linear(2, 2)
        second.weight = first.weight
        both = lib.nn.Sequential(first, second, first)
        twin = copy.deepcopy(both)
        return [
            [n for n, _ in both.named_parameters()],
            [n for n, _ in both.named_parameters(remove_duplicate=False)],
            [n for n, _ in both.named_modules()],
            list(both.state_dict()),
            twin[0].weight is twin[1].weight,
            twin[0] is twin[2],
        ]

    agree(script)


def test_parameter() -> None:
    def script(lib: Any) -> Any:
        tensor = lib.zeros(2)
        param = lib.nn.Parameter(tensor)
        tensor.add_(1)
        return [
            repr(param),
            str(lib.nn.Parameter(lib.ones(2, dtype=lib.float64), requires_grad=False)),
            param.is_leaf,
            type(param * 1).__name__,
            type(param.data).__name__,
            type(param.detach()).__name__,
            isinstance(copy.deepcopy(param), lib.nn.Parameter),
            isinstance(tensor, lib.nn.Parameter),
            isinstance(lib.nn.Buffer(tensor), lib.nn.Buffer),
            type(lib.nn.Buffer(tensor)).__name__,
            [tuple(lib.nn.Parameter().shape)],
        ]

    agree(script)


def test_integer_parameter_is_refused() -> None:
    agree(lambda lib: lib.nn.Parameter(lib.zeros(2, dtype=lib.int64)))


def test_uninitialized() -> None:
    def script(lib: Any) -> Any:
        lazy = lib.nn.LazyLinear(3)
        found = [repr(lazy), repr(lazy.weight), lazy.has_uninitialized_params()]
        try:
            lazy.weight.shape
        except RuntimeError as error:
            found.append(str(error))
        lazy.load_state_dict({"weight": lib.ones(3, 4), "bias": lib.zeros(3)})
        found += [tuple(lazy.weight.shape), lazy(lib.ones(1, 4)), repr(lazy), type(lazy).__name__]
        return found

    agree(script)
