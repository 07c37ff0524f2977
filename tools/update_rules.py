"""Write the list of the update rules that torchish-cpu has compiled in (`native/src/rules.inc`).

    python tools/update_rules.py [--check]

Each rule is what a step of an optimizer becomes when its program is lowered: the operators stay in
the registry, and this file repeats what they say. `--check` writes nothing and fails where the file
is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torchish as torch
from torchish import optim
from torchish._basics.settings import settings
from torchish._core import trace
from torchish._ops.conv import onednn
from torchish._ops.rewrites import updates

FILE = Path(__file__).parent.parent / "native" / "src" / "rules.inc"
SIZE = (128, 96)  # large enough for a call, of no other array in the program
# Names in C++, and how the optimizer is made.
RULES: dict[str, Callable[[list[Any]], Any]] = {
    "Adam": lambda p: optim.Adam(p),
    "AdamDecay": lambda p: optim.Adam(p, weight_decay=0.01),
    "AdamLargest": lambda p: optim.Adam(p, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p),
    "Momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9),
    "MomentumDecay": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "NesterovDecay": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda p: optim.RMSprop(p),
    "RMSpropMomentum": lambda p: optim.RMSprop(p, momentum=0.9),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adagrad": lambda p: optim.Adagrad(p),
    "NAdam": lambda p: optim.NAdam(p),
    "Adamax": lambda p: optim.Adamax(p),
}


class Found(Exception):
    """Ends the lowering of a program once its update is seen."""


def rule_of(make: Callable[[list[Any]], Any]) -> tuple[int, int, list[int], list[int]]:
    """Arrays, numbers, instructions and results of an optimizer's step."""
    found: list[tuple[int, int, list[int], list[int]]] = []

    def note(target: str, operands: Any, results: Any, **options: Any) -> Any:
        arrays = options["arrays"]
        numbers = len(operands) - arrays * options["copies"]
        found.append((arrays, numbers, options["code"], options["outs"]))
        raise Found

    param, kept = torch.nn.Parameter(torch.ones(SIZE)), torch.ones(SIZE)
    optimizer = make([param])
    call, is_wanted, compiled = updates.call, onednn.is_wanted, settings.compiled
    settings.compiled = True
    try:
        for step in range(2):  # the first one may start what later ones go on with
            trace.forget_programs()
            if step:
                updates.call, onednn.is_wanted = note, lambda: True
            optimizer.zero_grad()
            (param * kept).sum().backward()
            optimizer.step()
    except RuntimeError:
        if not found:
            raise
    finally:
        updates.call, onednn.is_wanted, settings.compiled = call, is_wanted, compiled
    if not found:
        raise RuntimeError(f"a step of {optimizer!r} has no update that is worth a call")
    return found[-1]


def lines() -> Iterator[str]:
    """The lines of the file."""
    yield "// Written by tools/update_rules.py: what the steps of optimizers become. Do not edit."
    yield "// clang-format off"
    for name, make in RULES.items():
        arrays, numbers, code, outs = rule_of(make)
        listed = (", ".join(map(str, numbers_)) for numbers_ in (code, outs))
        yield f"RULE({name}, {arrays}, {numbers}, LIST({next(listed)}), LIST({next(listed)}))"


def main() -> int:
    """Write the file, or say whether it is up to date."""
    text = "\n".join(lines()) + "\n"
    if "--check" in sys.argv[1:]:
        return int(text != FILE.read_text())
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
