"""An argument that a public function never reads is a promise without effect: each has a reason.

What an argument would change is honoured or refused by name; `unused_arguments.txt` says of the
rest, each by its own name, why nothing is lost.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import torchish

ROOT = Path(torchish.__file__).parent

TABLE = Path(__file__).with_name("unused_arguments.txt")


def excused(text: str) -> dict[str, str]:
    """`{file:function(argument): reason}` of a table: `# reason`, then `file:function(a, b)`."""
    found: dict[str, str] = {}
    reason = ""
    for line in text.splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            function, _, names = line.removesuffix(")").rpartition("(")
            for name in names.split(", "):
                entry = f"{function}({name})"
                assert reason and entry not in found, entry
                found[entry] = reason
        else:
            reason = ""
    return found


def _only_raises(body: list[ast.stmt]) -> bool:
    """Whether a function refuses, or only declares."""
    rest = [b for b in body if not (isinstance(b, ast.Expr) and isinstance(b.value, ast.Constant))]
    return all(isinstance(b, ast.Raise | ast.Pass) for b in rest)


def _public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def _unread(function: ast.FunctionDef, is_method: bool) -> Iterator[str]:
    a = function.args
    names = [x.arg for x in (*a.posonlyargs, *a.args)]
    static = any("staticmethod" in ast.unparse(d) for d in function.decorator_list)
    names = names[1:] if is_method and not static else names
    names += [x.arg for x in (*a.kwonlyargs, a.vararg, a.kwarg) if x is not None]
    read = {n.id for b in function.body for n in ast.walk(b) if isinstance(n, ast.Name)}
    yield from (name for name in names if name not in read and not name.startswith("_"))


def unread_arguments(tree: ast.AST, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """`function(argument)` of what public functions never read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and _public(node.name):
            yield from unread_arguments(node, (*prefix, node.name))
        elif isinstance(node, ast.FunctionDef) and _public(node.name):
            if not _only_raises(node.body):
                path = ".".join((*prefix, node.name))
                yield from (f"{path}({name})" for name in _unread(node, bool(prefix)))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from unread_arguments(node, prefix)


def test_no_argument_is_accepted_without_effect_or_reason() -> None:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        found += [f"{name}:{entry}" for entry in unread_arguments(ast.parse(path.read_text()))]
    assert len(found) > 100
    reasons = excused(TABLE.read_text(encoding="utf-8"))
    missing = [entry for entry in found if entry not in reasons]
    assert not missing, "read it, refuse it by name, or say why nothing is lost: " + str(missing)
    assert not (over := sorted(set(reasons) - set(found))), f"these are read, or gone: {over}"


def test_the_table_is_read_exactly() -> None:
    assert excused("# why\na.py:C.f(x, y)\n\n# so\nb.py:g(z)\n") == {
        "a.py:C.f(x)": "why", "a.py:C.f(y)": "why", "b.py:g(z)": "so",
    }  # fmt: skip


def test_the_search_sees_what_is_not_read() -> None:
    code = (
        "class A:\n  def f(self, a, b, *, c=1, **rest):\n    return lambda: b\n  def _g(s, x): 1\n"
    )
    assert list(unread_arguments(ast.parse(code))) == ["A.f(a)", "A.f(c)", "A.f(rest)"]
    assert not list(unread_arguments(ast.parse("def f(a):\n  raise E")))
