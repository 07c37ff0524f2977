"""The command: read the arguments, then run, check or install."""

from __future__ import annotations

import os
import sys

from .options import USAGE, Options, UsageError, parse


def main() -> None:
    """What `torchish` and `python -m torchish` do."""
    try:
        options = parse(sys.argv[1:])
    except UsageError as error:
        print(f"{error}\n{USAGE}", file=sys.stderr)
        sys.exit(2)
    if options.interpreter:
        _start_again(options)
    if options.action in ("help", ""):
        print(USAGE, file=sys.stdout if options.action else sys.stderr)
        sys.exit(0 if options.action else 2)
    if options.action == "version":
        from .._alias import VERSIONS

        print(f"torchish, as torch {VERSIONS['torch']}")
    elif options.action == "check":
        from .check import check

        sys.exit(check(options.arguments))
    elif options.action == "kernel":
        from .kernel import install

        install(options.prefix)
    else:
        _run(options)


def _start_again(options: Options) -> None:
    """Python's own options are for a fresh interpreter, which takes this one's place."""
    command = [sys.executable, *options.interpreter, "-m", "torchish", *options.rest]
    os.execv(sys.executable, command)


def _run(options: Options) -> None:
    from .. import _alias
    from .running import run
    from .session import prepare

    _alias.install()
    _alias.install_in_children()
    try:
        prepare(options)
    except ValueError as error:
        print(f"torchish: {error}", file=sys.stderr)
        sys.exit(2)
    run(options)
