"""Writing a graph as Python."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import torchish

from .._basics.devices import device
from .._basics.dtypes import dtype
from .._tensor.tensor import Tensor
from ..utils import _pytree as pytree
from . import _pytree as fx_pytree
from ._magic import inplace_methods, magic_methods
from ._names import is_from_torch
from .node import Node, _get_qualified_name, _type_repr


class _CustomBuiltin(NamedTuple):
    import_str: str
    obj: Any


# Names that generated code may use without importing them itself.
_custom_builtins = {
    "inf": _CustomBuiltin("from math import inf", math.inf),
    "nan": _CustomBuiltin("from math import nan", math.nan),
    "NoneType": _CustomBuiltin("NoneType = type(None)", type(None)),
    "torch": _CustomBuiltin("import torch", torchish),
    "device": _CustomBuiltin("from torch import device", device),
    "fx_pytree": _CustomBuiltin("import torch.fx._pytree as fx_pytree", fx_pytree),
    "pytree": _CustomBuiltin("import torch.utils._pytree as pytree", pytree),
}


@dataclass
class PythonCode:
    """The source of a function, and the globals that it needs."""

    src: str
    globals: dict[str, Any]
    _lineno_map: dict[int, int | None] | None = None


def _format_target(base: str, target: str) -> str:
    """`self.a.b`, with `getattr` for what is no identifier."""
    text = base
    for atom in target.split("."):
        text = f"{text}.{atom}" if atom.isidentifier() else f'getattr({text}, "{atom}")'
    return text


class CodeGen:
    """Writes `forward`; subclasses change its signature and what it returns."""

    _func_name = "forward"

    def __init__(self) -> None:
        self._body_transformer: Callable[[list[str]], list[str]] | None = None

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The `def` line (and what unpacks the arguments)."""
        if not free_vars or free_vars[0] != "self":
            free_vars = ["self", *free_vars]
        return f"def {self._func_name}({', '.join(free_vars)}){maybe_return_annotation}:"

    def generate_output(self, output_args: Any) -> str:
        """The `return` line."""
        return f"return {output_args}"

    def process_inputs(self, *args: Any) -> Any:
        """Arguments as the placeholders take them."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """What the graph's output gives as the function returns it."""
        return outputs

    def additional_globals(self) -> list[tuple[str, Any]]:
        """Globals that this writer needs."""
        return []

    def _gen_python_code(
        self, nodes: Iterable[Node], root_module: str, namespace: Any, *, verbose: bool = False
    ) -> PythonCode:
        return _Writer(self, list(nodes), root_module, namespace, verbose).code()


class _Writer:
    """One run of a CodeGen over a graph."""

    def __init__(
        self, codegen: CodeGen, nodes: list[Node], root: str, namespace: Any, verbose: bool
    ) -> None:
        self.codegen, self.nodes, self.root = codegen, nodes, root
        self.namespace, self.verbose = namespace, verbose
        self.free_vars: list[str] = []
        self.body: list[str] = []
        self.globals: dict[str, Any] = {}
        self.wrapped: dict[str, None] = {}
        self.returns = ""
        self.last_trace: str | None = ""
        for name, builtin in _custom_builtins.items():
            self.add_global(name, builtin.obj)
        for name, value in codegen.additional_globals():
            self.add_global(name, value)
        self.dies_at: dict[Node, list[Node]] = {}
        seen: set[Node] = set()
        for user in reversed(nodes):
            for value in user.all_input_nodes:
                if value not in seen:
                    seen.add(value)
                    self.dies_at.setdefault(user, []).append(value)

    def add_global(self, hint: str, obj: Any) -> str:
        """The name under which generated code finds an object."""
        if is_from_torch(obj) and obj is not device and not isinstance(obj, ModuleType):
            return _qualified(obj)
        hint = hint.replace(".", "_")
        if self.globals.get(hint) is obj:
            return hint
        name: str = self.namespace.create_name(hint, obj)
        self.globals[name] = obj
        return name

    def type_repr(self, kind: Any) -> str:
        """An annotation as code."""
        if kind == ():
            return "()"
        text = _type_repr(kind)
        origin = getattr(kind, "__origin__", None)
        if origin is not None:
            args = [self.type_repr(a) for a in getattr(kind, "__args__", ())]
            base = self.add_global(_type_repr(origin), origin)
            return f"{base}[{','.join(args)}]" if args else base
        if kind is ...:
            return text
        return self.add_global(text, kind)

    def repr_of(self, arg: Any) -> str:
        """An argument as code."""
        if isinstance(arg, tuple) and hasattr(arg, "_fields"):
            name = self.add_global(_type_repr(type(arg)), type(arg))
            return f"{name}({', '.join(self.repr_of(a) for a in arg)})"
        if isinstance(arg, enum.Enum):
            cls = arg.__class__
            return f"{self.add_global(cls.__name__, cls)}.{arg.name}"
        if isinstance(arg, Node):
            return repr(arg)
        if isinstance(arg, Tensor):
            return f"torch.Tensor(size={list(arg.shape)}, dtype={arg.dtype})"
        if isinstance(arg, tuple):
            inner = ", ".join(self.repr_of(a) for a in arg)
            return f"({inner},)" if len(arg) == 1 else f"({inner})"
        if isinstance(arg, list):
            return f"[{', '.join(self.repr_of(a) for a in arg)}]"
        if isinstance(arg, dict):
            inner = ", ".join(f"{self.repr_of(k)}: {self.repr_of(v)}" for k, v in arg.items())
            return "{" + inner + "}"
        if isinstance(arg, slice):
            inner = ", ".join(self.repr_of(a) for a in (arg.start, arg.stop, arg.step))
            return f"slice({inner})"
        if isinstance(arg, type) or (callable(arg) and hasattr(arg, "__name__")):
            return self.add_global(_qualified(arg), arg)
        if isinstance(arg, dtype | device):
            return repr(arg).replace("torchish.", "torch.")
        return repr(arg)

    def call_args(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """A call's arguments as code."""
        parts = [self.repr_of(a) for a in args]
        parts += [f"{k} = {self.repr_of(v)}" for k, v in kwargs.items()]
        return ", ".join(parts)

    def delete_unused(self, user: Node) -> None:
        """Let go of values after their last use."""
        if user.op == "placeholder":
            return
        if user.op == "output":
            self.body.append("\n")
            return
        dead = list(self.dies_at.get(user, []))
        if not user.users:
            dead.append(user)
        if dead:
            names = " = ".join([repr(n) for n in dead] + ["None"])
            self.body.append(f";  {names}\n")
        else:
            self.body.append("\n")

    def emit(self, node: Node) -> None:
        """Write one node's line."""
        note = "" if node.type is None else f" : {self.type_repr(node.type)}"
        writer = getattr(self, f"_{node.op}", None)
        if writer is None:
            raise NotImplementedError(f"node: {node.op} {node.target}")
        writer(node, note)

    def _placeholder(self, node: Node, note: str) -> None:
        default = "" if not node.args else f" = {self.repr_of(node.args[0])}"
        self.free_vars.append(f"{node.target}{note}{default}")
        name = node.target.replace("*", "")
        if name != repr(node):
            self.body.append(f"{node!r} = {name}\n")

    def _call_method(self, node: Node, note: str) -> None:
        target = _format_target(self.repr_of(node.args[0]), node.target)
        args = self.call_args(node.args[1:], node.kwargs)
        self.body.append(f"{node!r}{note} = {target}({args})")

    def _call_function(self, node: Node, note: str) -> None:
        target = node.target
        name = getattr(target, "__name__", "")
        if getattr(target, "__module__", None) == "_operator":
            if name in magic_methods:
                shown = [self.repr_of(a) for a in node.args]
                self.body.append(f"{node!r}{note} = {magic_methods[name].format(*shown)}")
                return
            if name in inplace_methods:
                shown = [self.repr_of(a) for a in node.args]
                self.body.append(
                    f"{inplace_methods[name].format(*shown)};  {node!r}{note} = {shown[0]}"
                )
                return
        qualified = _qualified(target)
        used = self.add_global(qualified, target)
        if (
            used == "getattr"
            and len(node.args) == 2
            and isinstance(node.args[1], str)
            and node.args[1].isidentifier()
        ):
            text = _format_target(self.repr_of(node.args[0]), node.args[1])
            self.body.append(f"{node!r}{note} = {text}")
            return
        self.body.append(f"{node!r}{note} = {used}({self.call_args(node.args, node.kwargs)})")
        if node.meta.get("is_wrapped", False):
            self.wrapped.setdefault(used)

    def _call_module(self, node: Node, note: str) -> None:
        target = _format_target(self.root, node.target)
        self.body.append(f"{node!r}{note} = {target}({self.call_args(node.args, node.kwargs)})")

    def _get_attr(self, node: Node, note: str) -> None:
        self.body.append(f"{node!r}{note} = {_format_target(self.root, node.target)}")

    def _output(self, node: Node, note: str) -> None:
        if node.type is not None:
            self.returns = f" -> {self.type_repr(node.type)}"
        self.body.append(self.codegen.generate_output(self.repr_of(node.args[0])))

    def note_trace(self, node: Node) -> None:
        """A comment that says where the user's code made the next nodes."""
        if node.op in ("placeholder", "output"):
            return
        trace = node.stack_trace
        if trace == self.last_trace:
            return
        self.last_trace = trace
        if trace is None:
            self.body.append("\n# No stacktrace found for following nodes\n")
            return
        lines = [line.strip() for line in trace.strip().split("\n")]
        where, code = (lines[-2], lines[-1]) if len(lines) > 1 else ("", lines[-1])
        self.body.append(
            f"\n# {where.replace(', line ', ':').replace('File ', 'File: ', 1)}, code: {code}\n"
        )

    def code(self) -> PythonCode:
        """The whole function."""
        for node in self.nodes:
            if self.verbose:
                self.note_trace(node)
            self.emit(node)
            self.delete_unused(node)
        if not self.body:
            self.body.append("pass\n")
        if self.codegen._body_transformer:
            self.body = self.codegen._body_transformer(self.body)
        wraps = ""
        if self.wrapped:
            wrap = self.add_global("wrap", torchish.fx.wrap)
            wraps = "\n".join(f'{wrap}("{name}")' for name in self.wrapped)
        prologue = self.codegen.gen_fn_def(self.free_vars, self.returns)
        lines = "".join(self.body).lstrip("\n").split("\n")
        text = "\n".join("    " + line for line in lines)
        return PythonCode(f"\n{wraps}\n\n{prologue}\n{text}", self.globals)


def _qualified(obj: Any) -> str:
    if isinstance(obj, type):
        return _type_repr(obj)
    return _get_qualified_name(obj)


class _PyTreeInfo(NamedTuple):
    orig_args: list[str]
    in_spec: Any
    out_spec: Any


class _PyTreeCodeGen(CodeGen):
    """Takes and returns nested containers, whose leaves are the graph's arguments and results."""

    def __init__(self, pytree_info: _PyTreeInfo) -> None:
        super().__init__()
        self.pytree_info = pytree_info

    def process_inputs(self, *inputs: Any) -> Any:
        """The leaves of the arguments."""
        return pytree.tree_leaves(list(inputs))

    def process_outputs(self, out: Any) -> Any:
        """The leaves put back into the function's containers."""
        if not isinstance(out, list | tuple):
            out = [out]
        return pytree.tree_unflatten(out, self.pytree_info.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The `def` line, and the line that unpacks the containers."""
        names = self.pytree_info.orig_args
        has_self = bool(names) and names[0] == "self"
        given = names[1:] if has_self else names
        text = super().gen_fn_def(given, maybe_return_annotation)
        if free_vars:
            inputs = [v.split(" ")[0].split(":")[0] for v in free_vars]
            text += (
                f"\n    {', '.join(inputs)}, = fx_pytree.tree_flatten_spec("
                f"[{', '.join(given)}], self._in_spec)"
            )
        return text

    def generate_output(self, output_args: Any) -> str:
        """The `return` line."""
        return f"return pytree.tree_unflatten({output_args}, self._out_spec)"
