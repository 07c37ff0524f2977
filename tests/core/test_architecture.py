"""What the documents on structure name is there, and each idea of the engine has one place."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import torchish
from torchish._basics.settings import Settings
from torchish._basics.state import ProcessState, ThreadState

PACKAGE = Path(torchish.__file__).parent
ROOT = PACKAGE.parent
DOCUMENTS = ("docs/architecture.md", "docs/adding.md", "torchish/_core/README.md")
# Where a path in a document may start; in a README also at its own folder and those beside it.
STARTS = (ROOT, PACKAGE, ROOT / "docs")
# Names in examples of what a contributor would add.
INVENTED = {"name_", "swish", "swish_", "weighted_square", "celu"}


@cache
def sources() -> dict[Path, str]:
    """Every file of the package."""
    return {p: p.read_text() for p in sorted(PACKAGE.rglob("*.py"))}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(sources()[path])


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def trees(*words: str) -> list[tuple[Path, ast.Module]]:
    """Files in which one of these words stands, parsed."""
    return [(p, parsed(p)) for p, text in sources().items() if any(w in text for w in words)]


def within(path: Path, *folders: str) -> bool:
    """Whether a file of the package lies in one of these folders."""
    return path.relative_to(PACKAGE).parts[0] in folders


# --- documents ------------------------------------------------------------------------------------


def quoted(document: str) -> set[str]:
    """What stands in backticks outside of code blocks."""
    text = re.sub(r"^```.*?^```", "", (ROOT / document).read_text(), flags=re.M | re.S)
    return set(re.findall(r"`([^`\n]+)`", text))


def paths_in(token: str) -> list[str]:
    """The parts of a quoted token that look like files or folders."""
    return [
        word for word in token.split()
        if re.fullmatch(r"[\w./*<>-]+", word)
        and (re.search(r"\.(py|md|json|txt|toml|pyi)$", word) or re.search(r"\w/", word))
    ]  # fmt: skip


def is_there(word: str, document: str) -> bool:
    pattern = re.sub(r"<\w+>", "*", word.rstrip("/"))
    own = (ROOT / document).parent
    return any(
        next(start.glob(pattern), None) for start in (*STARTS, own, own.parent / "_autograd")
    )


@cache
def identifiers() -> frozenset[str]:
    """Every word of the package's code, and the names of its folders and files."""
    words: set[str] = set()
    for path, text in sources().items():
        words |= set(re.findall(r"\w+", text))
        words |= {path.stem, path.parent.name}
    words |= set(re.findall(r"[\w-]+", (ROOT / "Makefile").read_text()))
    return frozenset(words)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_are_there(document: str) -> None:
    words = [w for token in quoted(document) for w in paths_in(token)]
    assert len(words) > 5
    assert [w for w in words if not is_there(w, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_names_that_a_document_uses_are_there(document: str) -> None:
    missing = {
        word
        for token in quoted(document)
        if not paths_in(token)
        for word in re.findall(r"[A-Za-z_]\w+", token)
        if word not in identifiers() | INVENTED
    }
    assert missing == set()


def test_the_checks_notice_what_is_gone(tmp_path: Path) -> None:
    assert paths_in("_parallel/region.py") == ["_parallel/region.py"]
    assert not is_there("_parallel/region.py", DOCUMENTS[0])
    assert is_there("torchish/vision/datasets/<name>.py", DOCUMENTS[1])
    assert is_there("_core/trace.py", DOCUMENTS[0]) and is_there("trace.py", DOCUMENTS[2])
    assert "NoSuchThing" not in identifiers()


# --- one place for each idea ----------------------------------------------------------------------


def test_the_core_is_small() -> None:
    lines = sum(len(p.read_text().splitlines()) for p in (PACKAGE / "_core").glob("*.py"))
    assert lines <= 3500, lines


def callers(name: str) -> set[str]:
    """Files whose code calls a function of this name."""
    return {
        name_of(path)
        for path, tree in trees(f"{name}(")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name == (getattr(node.func, "id", None) or getattr(node.func, "attr", None))
    }


def test_one_walk_over_a_recorded_graph() -> None:
    engine = {c for c in callers("evaluate") if c.startswith("_") or c.startswith("func/")}
    assert engine == {"_core/interpreted.py", "_core/program.py", "_autograd/capture.py"}


def _writes_to(tree: ast.AST, field: str) -> bool:
    """Whether a file assigns to `state.<field>`, or to an item of it."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in [t for x in targets for t in ast.walk(x)]:
            if (
                isinstance(target, ast.Attribute)
                and target.attr == field
                and getattr(target.value, "id", None) == "state"
            ):
                return True
    return False


@pytest.mark.parametrize(
    ("field", "places"),
    [
        # A capture is the only one to replace a thread's trace, its deferred checks and who draws;
        # the observer of compiled calls looks past itself once.
        ("capture", {"_autograd/capture.py", "_dynamo/observing.py"}),
        ("checks", {"_autograd/capture.py", "_core/checks.py"}),
        ("transforms", {"_autograd/capture.py"}),
        ("traces", {"_autograd/capture.py", "_core/trace.py"}),
    ],
)
def test_running_apart_has_one_place(field: str, places: set[str]) -> None:
    found = {name_of(p) for p, tree in trees(f"state.{field}") if _writes_to(tree, field)}
    assert found == places


def test_checks_are_deferred_in_one_way() -> None:
    pattern = re.compile(r"state\.checks\.(append|extend|insert)|state\.checks \+=")
    appended = {name_of(path) for path, text in sources().items() if pattern.search(text)}
    assert appended == {"_core/checks.py"}


def test_every_field_of_the_state_is_declared() -> None:
    declared = {
        "state": set(vars(ThreadState())) | set(dir(ThreadState)),
        "process": set(vars(ProcessState())),
        "settings": set(vars(Settings())) | set(dir(Settings)),
    }
    unknown = set()
    for path, tree in trees("state import", "settings import"):
        homes = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[-1] in ("state", "settings")
            and ("_basics" in (node.module or "") or within(path, "_basics"))
            for alias in node.names
            if alias.name in declared
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                home = homes.get(node.value.id)
                if home and node.attr not in declared[home]:
                    unknown.add(f"{name_of(path)}: {home}.{node.attr}")
            is_lookup = isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "getattr",
                "setattr",
            )
            if is_lookup and isinstance(node.args[0], ast.Name) and node.args[0].id in homes:
                unknown.add(f"{name_of(path)}: by name")
    assert unknown == set()


def test_the_environment_is_read_in_one_file() -> None:
    readers = set()
    for path, tree in trees("environ", "getenv"):
        for node in ast.walk(tree):
            is_environ = isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            if is_environ and not within(path, "distributed"):  # torchrun's are a protocol
                readers.add(name_of(path))
    # What processes that this one starts will find there; neither imports anything of the package.
    assert readers - {"_alias.py", "_command/session.py"} == {"_basics/settings.py"}


def _makes_kernels(node: ast.FunctionDef) -> bool:
    made = ast.unparse(node.returns) if node.returns else ""
    return made.endswith("Kernel")


def test_kernels_are_kept_by_memos_alone() -> None:
    """Threads that ask at once must get one kernel: programs are told apart by them."""
    wrong = []
    for path, tree in trees("Kernel"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and _makes_kernels(node):
                kinds = [ast.unparse(d).split("(")[0] for d in node.decorator_list]
                if {"functools.cache", "functools.lru_cache", "cache", "lru_cache"} & set(kinds):
                    wrong.append(f"{name_of(path)}: {node.name}")
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and re.fullmatch(r"dict\[.*Kernel\]", ast.unparse(node.annotation))
            ):
                wrong.append(f"{name_of(path)}: {ast.unparse(node.target)}")
    assert wrong == []


def test_a_pass_counts_in_one_place() -> None:
    counting = {
        name_of(path)
        for path, tree in trees("def _count(")
        if within(path, "_autograd", "autograd", "func", "_parallel")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_count"
    }
    assert counting == {"_autograd/backward.py"}


def test_the_package_imports_itself_relatively() -> None:
    """`import torchish`, for the whole namespace as users have it, is the one other form."""
    absolute = {
        f"{name_of(path)}:{node.lineno}"
        for path, tree in trees("from torchish", "import torchish.")
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom)
            and not node.level and (node.module or "").split(".")[0] == "torchish")
        or (isinstance(node, ast.Import)
            and any(alias.name.startswith("torchish.") for alias in node.names))
    }  # fmt: skip
    assert absolute == set()
