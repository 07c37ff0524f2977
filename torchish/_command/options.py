"""The arguments of the command line.

Python's own options keep Python's meaning; whatever follows the program is the program's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

USAGE = """\
usage: torchish [options] script.py [arguments]      ("python -m torchish" is the same)
       torchish [options] -m module [arguments]
       torchish [options] -c code [arguments]
       torchish [options] - [arguments]              the program is read from stdin
       torchish --check PATH...
       torchish --install-kernel [--prefix FOLDER]

Runs a program in which `import torch` and `import torchvision` find torchish.
Python processes that it starts find torchish too (not those started with -E, -I or -S).

  --check PATH...      do not run: list the names of torch and torchvision that scripts or packages
                       use and torchish lacks, by file and line; exit code 1 if there are any
  --device DEVICE      the device of new tensors (cpu, cuda, cuda:1, xla:0)
  --eager              interpret operator by operator, compile nothing
  --cache-dir FOLDER   where compiled programs are kept
  --explain            when the program ends, print what was compiled and why, to stderr
  --profile FILE       write a trace that Perfetto and chrome://tracing open (.json or .json.gz)
  --install-kernel     a Jupyter kernel in which `import torch` finds torchish; for this user, or
                       below the folder of --prefix
  -i -W arg -X opt     as Python's, and so are -b -B -d -E -I -O -OO -P -q -s -u -v
  -V --version, -h --help"""

# Python's own options: alone, and with an argument.
_FLAGS = "bBdEiIOPqsuv"
_VALUED = "WX"


class UsageError(Exception):
    """The command line makes no sense; the text says why."""


@dataclass
class Options:
    """What the command line asks for."""

    action: str = ""  # script, module, code, stdin, check, kernel, help, version
    target: str = ""
    arguments: list[str] = field(default_factory=list)  # the program's sys.argv[1:], or paths
    interpreter: list[str] = field(default_factory=list)  # for Python itself
    rest: list[str] = field(default_factory=list)  # all the others, as they were given
    device: str | None = None
    cache_folder: str | None = None
    profile: str | None = None
    prefix: str | None = None
    eager: bool = False
    explain: bool = False


_LONG_VALUED = {
    "--device": "device", "--cache-dir": "cache_folder", "--profile": "profile",
    "--prefix": "prefix",
}  # fmt: skip
_LONG_FLAGS = {"--eager": "eager", "--explain": "explain"}
_ACTIONS = {
    "--check": "check", "--install-kernel": "kernel", "--help": "help", "--version": "version",
}  # fmt: skip


def parse(arguments: list[str]) -> Options:
    """Read the command line.

    Raises: UsageError.
    """
    found = Options()
    left = list(arguments)
    while left and not found.action:
        first = left.pop(0)
        if first == "-" or not first.startswith("-"):
            found.action = "stdin" if first == "-" else "script"
            found.target = first
            found.arguments = left
            found.rest += [first, *left]
        elif first.startswith("--"):
            _long(found, first, left)
        else:
            _short(found, first, left)
    if found.action in ("check", "kernel"):
        _after_action(found, left)
    if not found.action and "-i" in found.interpreter:
        found.action, found.rest = "code", [*found.rest, "-c", ""]
    return found


def _long(found: Options, option: str, left: list[str]) -> None:
    name, has_value, value = option.partition("=")
    if name in _LONG_VALUED:
        if not has_value:
            value = _argument(name, left)
        setattr(found, _LONG_VALUED[name], value)
        found.rest.append(f"{name}={value}")
    elif name in _LONG_FLAGS and not has_value:
        setattr(found, _LONG_FLAGS[name], True)
        found.rest.append(name)
    elif name in _ACTIONS and not has_value:
        found.action = _ACTIONS[name]
        found.rest.append(name)
    else:
        raise UsageError(f"Unknown option: {option}")


def _short(found: Options, option: str, left: list[str]) -> None:
    """A group of Python's options: `-i`, `-uB`, `-W error`, `-Werror`, `-m pack`, `-c code`."""
    for place, letter in enumerate(option[1:], 1):
        tail = option[place + 1 :]
        if letter in _FLAGS:
            found.interpreter.append(f"-{letter}")
            continue
        if letter in "hV":
            found.action = {"h": "help", "V": "version"}[letter]
            return
        if letter not in f"{_VALUED}mc":
            raise UsageError(f"Unknown option: -{letter}")
        value = tail or _argument(f"-{letter}", left)
        if letter in _VALUED:
            found.interpreter += [f"-{letter}", value]
        else:
            found.action = {"m": "module", "c": "code"}[letter]
            found.target, found.arguments = value, list(left)
            found.rest += [f"-{letter}", value, *left]
        return


def _after_action(found: Options, left: list[str]) -> None:
    """`--check` and `--install-kernel` take paths and options in any order."""
    while left:
        first = left.pop(0)
        if first.startswith("--") and len(first) > 2:
            _long(found, first, left)
        else:
            found.arguments.append(first)
    if found.action == "check" and not found.arguments:
        raise UsageError("Argument expected for the --check option")
    if found.action == "kernel" and found.arguments:
        raise UsageError(f"--install-kernel takes no {found.arguments[0]!r}")


def _argument(option: str, left: list[str]) -> str:
    if not left:
        raise UsageError(f"Argument expected for the {option} option")
    return left.pop(0)
