"""Run a program as Python would: its `__main__`, `sys.argv`, `sys.path[0]` and tracebacks."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from .options import Options

_HERE = __file__
_RUNPY = ("<frozen runpy>", runpy.__file__)


def run(options: Options) -> None:
    """Run what the command line names."""
    _hide_launcher()
    if options.action == "script":
        sys.argv = [options.target, *options.arguments]
        _run_script(options.target)
    elif options.action == "stdin":
        sys.argv = ["-", *options.arguments]
        _run_code(sys.stdin.read(), "<stdin>")
    elif options.action == "module":
        sys.argv = ["-m", *options.arguments]
        _search_first(os.getcwd())
        _run_found(runpy.run_module, options.target, alter_sys=True)
    else:
        sys.argv = ["-c", *options.arguments]
        _run_code(options.target, "<string>")


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
    """Put `folder` where Python would have put it, in place of the entry for the launcher."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run_script(path: str) -> None:
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _search_first(path)
        _run_found(runpy.run_path, os.path.join(os.getcwd(), path))
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        whole = os.path.join(os.getcwd(), path)
        why = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {whole!r}: {why}", file=sys.stderr)
        sys.exit(2)
    _search_first(os.path.dirname(os.path.realpath(path)))
    whole = os.path.abspath(path)  # as Python names a script in __file__ and in tracebacks
    exec(compile(source, whole, "exec"), _fresh_main(whole).__dict__)


def _run_found(run: Callable[..., Any], target: str, **more: Any) -> None:
    """Run a module, folder or archive; one that is not there is said in a line, as Python does."""
    try:
        run(target, run_name="__main__", **more)
    except ImportError as error:
        if _of_program(error.__traceback__) is not None:
            raise
        sys.exit(f"{sys.executable}: {error}")


def _run_code(code: str, name: str) -> None:
    _search_first("")
    exec(compile(code, name, "exec"), _fresh_main().__dict__)


def _of_program(traceback: TracebackType | None) -> TracebackType | None:
    """The frames after the launcher's; None if there are no others."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_code.co_filename != _HERE:
        inner = inner.tb_next
    while inner is not None and inner.tb_frame.f_code.co_filename in (_HERE, *_RUNPY):
        inner = inner.tb_next
    return inner


def _hide_launcher() -> None:
    """Make tracebacks of uncaught errors begin in the program, as if Python had run it."""
    show = sys.excepthook

    def excepthook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        inner = _of_program(traceback)
        if inner is not None or isinstance(error, SyntaxError):
            traceback = inner
        show(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = excepthook
