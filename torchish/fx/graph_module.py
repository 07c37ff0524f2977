"""A module whose forward is generated from a graph."""

from __future__ import annotations

import contextlib
import copy
import itertools
import linecache
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from .._basics.later import later
from .._ops.call.warning import own_folders
from .._tensor.tensor import Tensor
from ..nn.modules.module import Module
from ..nn.parameter import Parameter
from .codegen import PythonCode, _custom_builtins, _PyTreeCodeGen
from .graph import Graph

_default_tracer = later("torchish.fx._symbolic_trace:default_tracer")

_counter = itertools.count()


def _forward_from_src(src: str, globals: dict[str, Any], note: str = "") -> Any:
    """The function `forward` that a source defines; tracebacks show its lines."""
    name = f"<eval_with_key>.{next(_counter)}{note}"
    linecache.cache[name] = (len(src), None, src.splitlines(True), name)
    space = dict(globals)
    exec(compile(src, name, "exec", dont_inherit=True), space)
    return space["forward"]


def _format_import_block(globals: dict[str, Any]) -> str:
    """Import statements for what generated code needs, for pickles and folders."""
    lines = {_format_import_statement(name, obj) for name, obj in globals.items()}
    return "\n".join(sorted(lines))


def _format_import_statement(name: str, obj: Any) -> str:
    if name in _custom_builtins:
        return _custom_builtins[name].import_str
    if isinstance(obj, str):  # an annotation that is a text
        return f"{name} = {obj!r}"
    module, label = obj.__module__, obj.__name__
    return f"from {module} import {label} as {name}"


class _CodeOnlyModule(Module):
    """A module with another one's state and no forward of its own."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__ = body


def _globals_of_imports(block: str) -> dict[str, Any]:
    """What an import block brings; `torch` means this package."""
    space: dict[str, Any] = {}
    for line in block.splitlines():
        known = next((b for b in _custom_builtins.values() if b.import_str == line), None)
        if known is not None:
            name = next(n for n, b in _custom_builtins.items() if b is known)
            space[name] = known.obj
        elif line.strip():
            exec(line, space)
    return space


def reduce_graph_module(body: dict[str, Any], import_block: str) -> Module:
    """What a pickle calls: the graph is traced anew from the code that it holds."""
    code = body.get("_code") or body["code"]
    forward = _forward_from_src(code, _globals_of_imports(import_block))
    return _deserialize_graph_module(forward, body)


def _deserialize_graph_module(forward: Any, body: dict[str, Any]) -> Module:
    base = body.get("_tracer_cls") or _default_tracer()
    name = body.get("_graphmodule_cls_name", "GraphModule")
    holder_class = type("_CodeOnly", (_CodeOnlyModule,), {"forward": forward})
    holder = holder_class(body)

    class KeepModules(base):  # type: ignore[misc, valid-type]
        """Keeps every submodule as one node."""

        def is_leaf_module(self, _: Module, __: str) -> bool:
            """Always."""
            return True

    graph = KeepModules().trace(holder)
    graph._tracer_cls = body.get("_tracer_cls")
    made = GraphModule(holder, graph, class_name=name)
    for key, value in body.items():
        if not hasattr(made, key):
            setattr(made, key, value)
    return made


def _copy_attr(source: Any, target: Module, path: str) -> None:
    """Give `target` what `source` has at a dotted name, making modules on the way."""
    *prefix, field = path.split(".")
    for item in prefix:
        inner, present = getattr(source, item), getattr(target, item, None)
        if present is inner:
            return
        if present is None:
            present = Module()
            setattr(target, item, present)
        source, target = inner, present
    value = getattr(source, field)
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        target.register_buffer(field, value)
    else:
        setattr(target, field, value)


def _assign_attr(value: Any, target: Module, path: str) -> None:
    """Set an attribute at a dotted name, making modules on the way."""
    *prefix, field = path.split(".")
    for item in prefix:
        present = getattr(target, item, None)
        if present is None:
            present = Module()
            setattr(target, item, present)
        target = present
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        target.register_buffer(field, value)
    else:
        setattr(target, field, value)


class GraphModule(Module):
    """Runs a `Graph` as generated Python.

    Args:
        root: the module, or dict by dotted name, from which attributes are taken.
        graph: what `forward` does.
        class_name: the name under which the module prints.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> GraphModule:
        # Each instance has a class of its own, so that each has a forward of its own.
        for base in cls.__mro__:
            name = base.__qualname__.split(".")[-1]
            if name != "GraphModuleImpl":
                cls = base
                break
        made = type("GraphModuleImpl", (cls,), {})
        return super().__new__(made)

    def __init__(
        self, root: Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule"
    ) -> None:
        super().__init__()
        self.__class__.__name__ = class_name
        targets = [n.target for n in graph.nodes if n.op in ("get_attr", "call_module")]
        if isinstance(root, Module):
            if hasattr(root, "training"):
                self.training = root.training
            for target in targets:
                _copy_attr(root, self, target)
        elif isinstance(root, dict):
            for target in targets:
                if target not in root:
                    node = next(n for n in graph.nodes if n.target == target)
                    raise RuntimeError(
                        f"Node {node} referenced target {target} but that target was not "
                        "provided in ``root``!"
                    )
            for target in sorted(set(targets), key=lambda t: t.count(".")):
                _assign_attr(root[target], self, target)
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        self._graph: Graph
        self._code = ""
        self.graph = graph
        self._tracer_cls = None
        tracer = graph._tracer_cls
        if tracer and "<locals>" not in tracer.__qualname__:
            self._tracer_cls = tracer
        self._tracer_extras = graph._tracer_extras or {}
        self.meta: dict[str, Any] = {}
        self._replace_hooks: list[Any] = []

    @property
    def graph(self) -> Graph:
        """The graph; after changing it call `recompile`. Assigning one recompiles."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        if not isinstance(g, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(g)}")
        self._graph = g
        g.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The generated source."""
        if not hasattr(self, "_code"):
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self._code

    def recompile(self) -> PythonCode:
        """Generate the code anew from the graph."""
        codegen = self._graph._codegen
        if isinstance(codegen, _PyTreeCodeGen):
            self._in_spec = codegen.pytree_info.in_spec
            self._out_spec = codegen.pytree_info.out_spec
        made = self._graph.python_code(root_module="self")
        self._code = made.src
        kind: Any = type(self)
        kind.forward = _forward_from_src(made.src, made.globals)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            shown = [f for f in frames if f.filename.startswith("<eval_with_key>")]
            after = frames[frames.index(shown[-1]) + 1 :] if shown else []
            if shown and all(f.filename.startswith(own_folders()) for f in after):
                print(_where(shown[-1]), file=sys.stderr)
            raise

    # --- submodules ------------------------------------------------------------------------------

    def add_submodule(self, target: str, m: Module) -> bool:
        """Install a module at a dotted name; False if something else is in the way."""
        *prefix, field = target.split(".")
        module: Module = self
        for item in prefix:
            inner = getattr(module, item, None)
            if inner is None:
                inner = Module()
                setattr(module, item, inner)
            if not isinstance(inner, Module):
                return False
            module = inner
        module.add_module(field, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Take a module out; False if there is none of that name."""
        *prefix, field = target.split(".")
        module: Any = self
        for item in prefix:
            module = getattr(module, item, None)
            if not isinstance(module, Module):
                return False
        if not isinstance(getattr(module, field, None), Module):
            return False
        delattr(module, field)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Take out the modules that no node refers to."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            parts = node.target.split(".")
            used.update(".".join(parts[: k + 1]) for k in range(len(parts)))
            if node.op == "call_module":
                try:
                    inner = self.get_submodule(node.target)
                except AttributeError:
                    continue
                used.update(f"{node.target}.{name}" for name, _ in inner.named_modules())
        for name in [n for n, _ in self.named_modules() if n and n not in used]:
            self.delete_submodule(name)

    # --- text ------------------------------------------------------------------------------------

    def __str__(self) -> str:
        note = "# To see more debug info, please use `graph_module.print_readable()`"
        return "\n".join([super().__str__(), self._code, note])

    def print_readable(
        self, print_output: bool = True, include_stride: bool = False,
        include_device: bool = False, colored: bool = False, **options: Any,
    ) -> str:  # fmt: skip
        """Print (and return) the code as a class, those of graph submodules in it."""
        text = _readable(self, self._get_name())
        if print_output:
            print(text)
        return text

    def to_folder(self, folder: str | os.PathLike[str], module_name: str = "FxModule") -> None:
        """Write the code and the state to a folder that can be imported."""
        import torchish

        place = Path(folder)
        place.mkdir(exist_ok=True)
        torchish.save(self.state_dict(), place / "state_dict.pt")
        code = self._code.lstrip("\n").replace("\n", "\n    ")
        lines = [
            _format_import_block(self._graph.python_code("self").globals),
            "\nfrom torch.nn import *\n",
            f"class {module_name}(torch.nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
        ]
        for name, module in self.named_children():
            torchish.save(module, place / f"{name}.pt")
            lines.append(
                f"        self.{name} = torch.load(r'{place / f'{name}.pt'}', weights_only=False)"
            )
        for name, tensor in self._buffers.items():
            if tensor is not None:
                shape, kind = list(tensor.shape), str(tensor.dtype).replace("torchish.", "torch.")
                lines.append(
                    f"        self.register_buffer('{name}', torch.empty({shape}, dtype={kind}))"
                )
        for name, tensor in self._parameters.items():
            if tensor is not None:
                shape, kind = list(tensor.shape), str(tensor.dtype).replace("torchish.", "torch.")
                lines.append(
                    f"        self.{name} = torch.nn.Parameter(torch.empty({shape}, dtype={kind}))"
                )
        lines.append(f"        self.load_state_dict(torch.load(r'{place / 'state_dict.pt'}'))\n")
        (place / "module.py").write_text("\n".join(lines) + "\n    " + code + "\n")
        (place / "__init__.py").write_text("from .module import *\n")
        if self._modules:
            warnings.warn(
                "Was not able to save the following children modules as reprs -saved as pickled "
                f"files instead: {[name for name, _ in self.named_children()]}",
                stacklevel=2,
            )

    # --- copies and pickles ----------------------------------------------------------------------

    def __reduce__(self) -> Any:
        body = self.__dict__.copy()
        block = _format_import_block(self._graph.python_code(root_module="self").globals)
        del body["_graph"]
        body["_graphmodule_cls_name"] = self.__class__.__name__
        return reduce_graph_module, (body, block)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        holder = _CodeOnlyModule(copy.deepcopy(self.__dict__, memo))
        made = GraphModule(holder, holder.__dict__["_graph"], self.__class__.__name__)
        memo[id(self)] = made
        for key in ("_state_dict_hooks", "_forward_hooks", "_forward_pre_hooks", "meta"):
            if key in holder.__dict__:
                made.__dict__[key] = holder.__dict__[key]
        for key, value in holder.__dict__.items():
            if key not in made.__dict__:
                made.__dict__[key] = value
        return made

    def __copy__(self) -> GraphModule:
        made = GraphModule(self, self.graph, self.__class__.__name__)
        made.meta = getattr(self, "meta", {})
        return made

    @contextlib.contextmanager
    def _set_replace_hook(self, f: Any) -> Any:
        self._replace_hooks.append(f)
        try:
            yield
        finally:
            self._replace_hooks.remove(f)


def _where(frame: Any) -> str:
    """The place in generated code at which an exception arose."""
    lines = linecache.getlines(frame.filename)
    number = frame.lineno or 1
    before = "".join(lines[max(number - 3, 0) : number])
    after = "".join(lines[number : number + 2])
    text = f"Call using an FX-traced Module, line {number} of the traced Module's generated "
    return f"{text}forward function:\n{before}\n{'~' * 61} <--- HERE\n{after}\n"


def _readable(module: GraphModule, name: str) -> str:
    source = module._graph.python_code("self", verbose=True).src.lstrip("\n")
    lines = [f"    {line}" if line.strip() else line.strip() for line in source.split("\n")]
    parts = [f"class {name}(torch.nn.Module):\n" + "\n".join(lines)]
    for child, inner in module.named_children():
        if isinstance(inner, GraphModule):
            text = _readable(inner, child)
            parts.append(
                "\n".join(f"    {x}" if x.strip() else x.strip() for x in text.split("\n"))
            )
    return "\n".join(parts)
