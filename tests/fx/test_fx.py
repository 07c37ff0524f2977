"""`torch.fx`: the same programs under PyTorch and torchish; code and graphs are equal texts."""

from __future__ import annotations

import copy
import importlib
import math
import operator
import pickle
from typing import Any

import pytest

import torchish
from tests import oracle


def both(program: Any) -> None:
    """Run `program(torch, nn, nnf, fx, say)` on both; what it says must be equal."""

    def run(torch: Any, say: Any) -> None:
        root = torch.__name__
        nn, nnf, fx = (
            importlib.import_module(f"{root}.{m}") for m in ("nn", "nn.functional", "fx")
        )
        importlib.import_module(f"{root}.fx.passes.shape_prop")
        importlib.import_module(f"{root}.fx.passes.split_module")
        program(torch, nn, nnf, fx, say)

    oracle.tell(run, least=2)


def models(torch: Any, nn: Any, nnf: Any, fx: Any) -> dict[str, Any]:
    """Modules and functions of many kinds, each with example arguments."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 4)
            self.w = nn.Parameter(torch.ones(4))
            self.register_buffer("b", torch.ones(4))
            self.seq = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x):
            a = nnf.relu(self.lin(x) + self.w * self.b)
            a = a.view(a.shape[0], -1)[:, 1:3]
            c = self.seq(torch.cat([a, a], dim=1)).sum(dim=(0, 1))
            a += 1
            torch.neg(a)
            q, _ = torch.max(a, 0)
            e = a @ a.t() - 3.5 ** a[:, :1]
            g = float("inf") * a
            return nnf.softmax(a, dim=1), {"k": a, "l": [c, (a,)]}, q, -e, a.T, ~(a > 0), g

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 3, 3, padding=1, bias=False)
            self.bn = nn.BatchNorm2d(3)
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            y = nnf.relu(self.bn(self.a(x)), inplace=True)
            y = nnf.max_pool2d(y + x, 2)
            y = nnf.adaptive_avg_pool2d(y, 1).flatten(1)
            return self.fc(nnf.dropout(y, 0.5, self.training))

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(4, 12)
            self.norm = nn.LayerNorm(4)

        def forward(self, x, mask=None):
            b, t, c = x.shape
            q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(4))
            att = nnf.softmax(att, dim=-1)
            return x + (att @ v).reshape(b, t, c).contiguous()

    class Star(nn.Module):
        def forward(self, x, *args, scale=2, **kw):
            return x * scale + args[0]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])
            self.emb = nn.Embedding(5, 2)

        def forward(self, i):
            h = self.emb(i)
            for block in self.blocks:
                h = torch.tanh(block(h)) + torch.ones(2)
            return nnf.gelu(h).mean(1), torch.einsum("bij->bi", h), torch.linalg.norm(h)

    def annotated(x: torch.Tensor, y: int = 2) -> torch.Tensor:
        return torch.clamp(x, min=0) + y

    def functions(x, y):
        z = torch.where(x > 0, x, y).masked_fill(x < 1, 0.0)
        z = torch.stack([z, y], 1)[..., None, ::2]
        z = nnf.pad(z.squeeze(-1), (1, 1)) * torch.zeros(1, dtype=torch.float32)
        z = nnf.linear(z, torch.ones(1, 3)), nnf.logsigmoid(y), torch.fft.fft(y)
        return z, torch.special.entr(y), torch.split(x, 1)[0], x.size(0) // 2, x is None

    def methods(x):
        y = (
            x.clone()
            .add_(1)
            .mul(
                2,
            )
            .div(x + 1, rounding_mode="floor")
        )
        return y.to(torch.float64), y.permute(1, 0).unsqueeze(0), x.new_zeros(2), y.shape[0] == 2

    def wrapped(x):
        return math.sqrt(x.shape[0]) * operator.add(x, 1), operator.getitem(x, 0), abs(x)

    def shadowing(input, sum, type):
        return input + sum - type

    square = torch.ones(2, 2)
    return {
        "Mixed": (Mixed(), torch.ones(2, 3)), "Residual": (Residual(), torch.ones(2, 3, 4, 4)),
        "Attention": (Attention(), torch.ones(2, 3, 4)), "Net": (Net(), torch.tensor([[1, 2]])),
        "Sequential": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), None),
        "Star": (Star(), None), "annotated": (annotated, torch.ones(2)),
        "functions": (functions, square, square + 1), "methods": (methods, square),
        "wrapped": (wrapped, square), "shadowing": (shadowing, square, square, square),
        "Rnn": (nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Softmax(-1)), square[None]),
    }  # fmt: skip


def test_code_and_graphs_of_a_dozen_models() -> None:
    def program(torch, nn, nnf, fx, say):
        for name, (model, *_) in models(torch, nn, nnf, fx).items():
            gm = fx.symbolic_trace(model)
            gm.graph.lint()
            say(name, gm.code, gm.graph)
            say(
                [
                    (n.name, n.op, str(n.target) if n.op != "call_function" else "")
                    for n in gm.graph.nodes
                ]
            )
            again = fx.symbolic_trace(gm)
            say("again", again.code == gm.code)
            say(copy.deepcopy(gm).code == gm.code)

    both(program)


def test_traced_modules_compute_what_the_modules_compute() -> None:
    torchish.manual_seed(0)
    for name, (model, *args) in models(
        torchish, torchish.nn, torchish.nn.functional, importlib.import_module("torchish.fx")
    ).items():
        if not args or args[0] is None:
            continue
        if isinstance(model, torchish.nn.Module):
            model.eval().requires_grad_(False)
        gm = torchish.fx.symbolic_trace(model)
        want = repr(model(*args))
        assert repr(gm(*args)) == want, name
        assert repr(torchish.fx.Interpreter(gm).run(*args)) == want, name
        assert repr(torchish.fx.Transformer(gm).transform()(*args)) == want, name
        assert repr(pickle.loads(pickle.dumps(gm))(*args)) == want, name
        assert repr(copy.deepcopy(gm)(*args)) == want, name


def test_what_cannot_be_traced() -> None:
    def program(torch, nn, nnf, fx, say):
        def kept(x):
            return x

        for f in (
            lambda x: 1 if x > 0 else 2, lambda x: [2 * i for i in x], lambda x: len(x),
            lambda x: int(x), lambda x: range(x), lambda x: dict(**x), lambda x: 3 in x,
            lambda x: {x: 1}, lambda x: object(), lambda x: x.add(object()), lambda x: kept(*x),
            lambda x: torch.ones(2)[x], lambda x: torch.zeros(x), lambda x: f"{x}",
            lambda x: x.foo.bar(2) + x.foo, lambda x: x.foo,
        ):  # fmt: skip
            try:
                say(fx.symbolic_trace(f).code)
            except Exception as error:
                say(type(error).__name__, error)
        for value in (3, "len"):
            try:
                (lambda value=value: fx.wrap(value))()
            except Exception as error:
                say(type(error).__name__, error)

    both(program)


def test_concrete_arguments() -> None:
    def program(torch, nn, nnf, fx, say):
        def f(x, y=None):
            return x if y is None else x + y

        for args in ({"y": None}, {"y": 2}, {"y": True}):
            gm = fx.symbolic_trace(f, concrete_args=args)
            say(gm.code, gm.graph, gm(torch.ones(1), args["y"]))
            try:
                gm(torch.ones(1), 5)
            except AssertionError as error:
                say(error)
        gm = fx.symbolic_trace(lambda x, y: x["a"] + y, concrete_args={"x": {"a": fx.PH}})
        say(gm.code, gm({"a": torch.ones(1)}, 2))

    both(program)


def test_editing_a_graph() -> None:
    def program(torch, nn, nnf, fx, say):
        g = fx.Graph()
        x = g.placeholder("x", default_value=3)
        y = g.call_function(torch.relu, (x,))
        for bad in (
            lambda: g.erase_node(x), lambda: g.create_node("foo", "a"), lambda: g.call_function(3),
            lambda: g.find_nodes(op="call_function"), lambda: fx.GraphModule({}, None),
            lambda: fx.Graph().inserting_before(x), lambda: y.kwargs.update(a=1),
            lambda: y.replace_all_uses_with(fx.Graph().placeholder("z")) or g.lint(),
        ):  # fmt: skip
            try:
                bad()
            except Exception as error:
                say(type(error).__name__, error)
        g.output(y)
        with g.inserting_before(y):
            z = g.call_method("neg", (x,))
            y.args = (z,)
        with g.inserting_after(y):
            w = g.create_node("call_function", operator.add, (y, 1), {}, name="plus")
        y.replace_all_uses_with(w, delete_user_cb=lambda u: u is not w)
        say(g, g.python_code("self").src, g.find_nodes(op="placeholder"), list(reversed(g.nodes)))
        say(w.all_input_nodes, y.users, x.next, w.prev, x < w, len(g.nodes), w.format_node())
        dead = g.call_function(torch.neg, (x,))
        say(g.eliminate_dead_code(), dead in list(g.nodes))
        w.insert_arg(1, z)
        w.update_arg(2, 7)
        w.update_kwarg("alpha", 2)
        say(w.args, w.kwargs, w.name)
        w.kwargs, w.args = {}, (y, 2)
        gm = fx.GraphModule({}, g, "Mine")
        say(gm, gm(torch.ones(2)))
        h = fx.Graph()
        say(h.graph_copy(g, {}), h)
        with gm.graph.on_generate_code(lambda old: lambda body: ["import sys\n", *body]):
            gm.recompile()
            say(gm.code)
        gm.recompile()
        say(gm.code)
        p = fx.Proxy(w)
        say(p, p.foo, (p + 1).node, [n.name for n in g.nodes])

    both(program)


def test_submodules_of_graph_modules() -> None:
    def program(torch, nn, nnf, fx, say):
        gm = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
        say(gm.add_submodule("a.b", nn.Linear(2, 3)), [n for n, _ in gm.named_modules()])
        say(gm.delete_submodule("a.b"), gm.delete_submodule("zz"))
        gm.add_submodule("c", nn.Tanh())
        gm.delete_all_unused_submodules()
        say([n for n, _ in gm.named_modules()], list(gm.state_dict()))
        say(gm.print_readable(print_output=False))
        for bad in (lambda: gm.graph.call_module("nope"), lambda: fx.GraphModule({}, gm.graph)):
            try:
                bad()
            except Exception as error:
                say(type(error).__name__, error)
        gm.training = False
        say(copy.deepcopy(gm).training, type(gm).__name__, isinstance(gm, fx.GraphModule))

    both(program)


def test_interpreters() -> None:
    def program(torch, nn, nnf, fx, say):
        class Swap(fx.Transformer):
            def call_function(self, target, args, kwargs):
                if target is torch.sigmoid:
                    target = torch.tanh
                return super().call_function(target, args, kwargs)

            def call_method(self, target, args, kwargs):
                return super().call_method("relu" if target == "neg" else target, args, kwargs)

        class Log(fx.Interpreter):
            def run_node(self, n):
                out = super().run_node(n)
                say(n.op, n.name, type(out).__name__)
                return out

        gm = fx.symbolic_trace(lambda x, y=2: torch.sigmoid(x).neg() + y)
        say(Swap(gm).transform().code, Log(gm).run(torch.zeros(2)))
        try:
            fx.Interpreter(gm).run()
        except RuntimeError as error:
            say(str(error).split("\nUse tlparse")[0])
        shape = importlib.import_module(f"{fx.__name__}.passes.shape_prop")
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(0), nn.Linear(8, 2))
        gm = fx.symbolic_trace(model)
        shape.ShapeProp(gm).propagate(torch.ones(1, 4, 4))
        for n in gm.graph.nodes:
            say(n.name, n.meta["tensor_meta"])

    both(program)


def test_replacing_patterns() -> None:
    def program(torch, nn, nnf, fx, say):
        rewriter = importlib.import_module(f"{fx.__name__}.subgraph_rewriter")
        gm = fx.symbolic_trace(lambda x, y: torch.relu(x + y) + torch.relu(y + x) * 2)
        found = fx.replace_pattern(
            gm, lambda a, b: torch.relu(a + b), lambda a, b: torch.sigmoid(a * b).neg()
        )
        say(len(found), found[0].anchor, gm.code, gm.graph)
        gm = fx.symbolic_trace(lambda x: torch.cat([x.sum(1), x.sum(0)]) + x.sum(1))
        found = rewriter.replace_pattern_with_filters(
            gm, lambda a: a.sum(1), lambda a: a.mean(1),
            [lambda match, g, p: match.returning_nodes[0].name != "sum_1"],
        )  # fmt: skip
        say(len(found), found[0].replacements, gm.code)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(2, 2)

            def forward(self, x):
                return nnf.relu(self.lin(x)) - nnf.relu(x)

        gm = fx.symbolic_trace(Net())
        say(len(fx.replace_pattern(gm, lambda a: nnf.relu(a), lambda a: nnf.gelu(a))), gm.code)

    both(program)


def test_splitting() -> None:
    def program(torch, nn, nnf, fx, say):
        split = importlib.import_module(f"{fx.__name__}.passes.split_module").split_module

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(2, 2))
                self.lin = nn.Linear(2, 2)

            def forward(self, x, y):
                z = self.lin(x + self.w).clamp(min=0.0)
                return self.lin(z) + y, z

        net = Net()
        gm = fx.symbolic_trace(net)
        number = [0]

        def part(node):
            number[0] += 1
            return (number[0] - 1) // 2

        cut = split(gm, net, part)
        say(cut.code, cut.submod_0.code, cut.submod_1.code, cut.graph)
        args = torch.ones(2, 2), torch.ones(2)
        say([torch.equal(a, b) for a, b in zip(cut(*args), net(*args), strict=True)])

    both(program)


@pytest.mark.parametrize("constant", [False, True])
def test_tracers(constant: bool) -> None:
    def program(torch, nn, nnf, fx, say):
        class Keep(fx.Tracer):
            def is_leaf_module(self, m, name):
                return isinstance(m, nn.Sequential) or super().is_leaf_module(m, name)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.seq = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
                self.w = nn.Parameter(torch.ones(2, 2))

            def forward(self, x):
                return self.seq(x) * self.w.shape[0] + self.w.shape[1] if constant else self.seq(x)

        tracer = Keep(param_shapes_constant=constant)
        net = Net()
        graph = tracer.trace(net)
        say(
            graph,
            tracer.path_of_module(net.seq) if tracer.submodule_paths else "",
            graph._tracer_cls.__name__,
        )
        say(fx.GraphModule(net, graph, "Net").code)

    both(program)
