"""Run a program written for PyTorch on torchish: `python -m torchish script.py args...`."""

from __future__ import annotations

import os
import runpy
import sys
from types import ModuleType, TracebackType

USAGE = """\
usage: python -m torchish script.py [arguments]
       python -m torchish -m module [arguments]
       python -m torchish -c code [arguments]

Runs a program in which `import torch` and `import torchvision` find torchish.
Python processes that it starts find torchish too (not those started with -E, -I or -S)."""


def _fresh_main(path: str | None = None) -> ModuleType:
    """An empty `__main__`, as Python makes for a script."""
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    if path is not None:
        module.__file__ = path
        module.__dict__["__cached__"] = None
    sys.modules["__main__"] = module
    return module


def _search_first(folder: str) -> None:
    """Put `folder` where Python would have put it, in place of the entry for `-m torchish`."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run_script(path: str) -> None:
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _search_first(path)
        runpy.run_path(path, run_name="__main__")
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"{sys.executable}: can't open file {path!r}: {error}", file=sys.stderr)
        sys.exit(2)
    _search_first(os.path.dirname(os.path.realpath(path)))
    whole = os.path.abspath(path)  # as Python names a script in __file__ and in tracebacks
    exec(compile(source, whole, "exec"), _fresh_main(whole).__dict__)


def _run_code(code: str) -> None:
    _search_first("")
    exec(compile(code, "<string>", "exec"), _fresh_main().__dict__)


def _run_module(name: str) -> None:
    _search_first(os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _is_ours(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>", runpy.__file__)


def _hide_launcher() -> None:
    """Make tracebacks of uncaught errors begin in the program, as if Python had run it."""
    show = sys.excepthook

    def excepthook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        inner = traceback
        while inner is not None and _is_ours(inner):
            inner = inner.tb_next
        if inner is not None or isinstance(error, SyntaxError):
            traceback = inner
        show(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = excepthook


def main() -> None:
    """Install the aliases and run what the command line names."""
    from torchish import _alias

    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(f"torchish, as torch {_alias.VERSIONS['torch']}")
        return
    _alias.install()
    _alias.install_in_children()
    _hide_launcher()
    flag = arguments[0]
    if flag in ("-m", "-c"):
        if len(arguments) < 2:
            sys.exit(f"Argument expected for the {flag} option\n{USAGE}")
        sys.argv = [flag, *arguments[2:]]
        (_run_module if flag == "-m" else _run_code)(arguments[1])
        return
    if flag.startswith("-"):
        sys.exit(f"Unknown option: {flag}\n{USAGE}")
    sys.argv = arguments
    _run_script(flag)


if __name__ == "__main__":
    main()
