"""Write compat_matrix.md: PyTorch's public names, which of them torchish has, and how it is proven.

    python tools/compat_matrix.py            write the file
    python tools/compat_matrix.py --check    fail if the file is not what would be written

Names come from PyTorch itself (the `test` extra pins its version), presence from torchish,
results from `tests/compat/opinfo/results.json` (written by `make compat`), proofs by samples from
`tests/ops/samples`. Nothing is written by hand.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torchish  # noqa: E402
from tests.compat.opinfo import results as stored  # noqa: E402
from tests.compat.opinfo.known_differences import reason_for  # noqa: E402

TARGET = ROOT / "compat_matrix.md"
# Namespaces of operators: one row a name.
OPERATORS = (
    "torch", "torch.Tensor", "torch.nn.functional", "torch.linalg", "torch.fft", "torch.special",
    "torch.signal.windows",
)  # fmt: skip
# Namespaces of classes and helpers: names only, each with tests of its own.
OTHERS = (
    "torch.nn", "torch.nn.init", "torch.nn.utils", "torch.nn.utils.rnn", "torch.nn.parallel",
    "torch.optim", "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.autograd",
    "torch.autograd.functional", "torch.func", "torch.random", "torch.utils.data",
    "torch.utils.checkpoint", "torch.distributions", "torch.amp", "torch.cuda", "torch.backends",
    "torch.distributed", "torch.multiprocessing", "torch.serialization",
)  # fmt: skip
# Names below the operator namespaces that are out of scope, by reason.
OUT_OF_SCOPE = {
    "sparse": "*sparse* *coalesce* crow_* ccol_* col_indices* row_indices* indices* values* "
    "smm saddmm hspmm hsmm spmm dsmm sspaddmm",
    "quantised": "*quant* q_* q?int* qscheme int_repr per_channel_* per_tensor_* *fake_quant*",
    "nested, named": "jagged *nested* names rename* refine_names align_* has_names *padded_tensor",
    "vendor kernels": "cudnn_* miopen_* mkldnn_* *mkldnn fbgemm_* *vulkan* *_ipu* ipu *_xla_* "
    "mtia maia hpu mps xpu *scaled_mm *grouped_mm",
    "interpreter and compiler": "*Type Script* *Graph* Argument* Alias* Block Bench* Call* Capsule "
    "Code Compil* Complete* Concrete* DeepCopy* Deserial* Dispatch* Error* Exclude* Execution* "
    "FileCheck Function* IO* Inferred* JIT* Lite* *Logger* Node Operator* PyTorchFile* Serial* "
    "Static* Throughput* Tracing* Use Value parse_* import_ir* merge_type* unify_type* sym_* Sym* "
    "fork wait Await* Aggregation* AVG SUM Fatal* Future Gradient Tag TYPE_CHECKING USE_* "
    "PRIVATE_OPS classproperty get_file_path init_num_threads thread_safe_* DisableTorchFunction* "
    "handle_torch_function has_torch_function* boolean_dispatch assert_int_or_pair common_* "
    "*_common* multi_dim_common Tensor_ prepare_multi* profiler_* LinAlgError_ cond while_loop "
    "batch_norm_* slice_inverse module_load grad_dtype const_data_ptr bits* bit int1 int2 int3 "
    "int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7 float4_* StreamObj* DeviceObj*",
}


@dataclass
class Row:
    """What is known of one public name."""

    name: str
    present: bool
    forward: str = ""
    gradient: str = ""
    dtypes: list[str] = field(default_factory=list)
    inplace: str = ""
    out: str = ""
    proof: str = ""
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The table row."""
        if not self.present:
            return f"| `{self.name}` | absent | | | | | | {'; '.join(self.notes)} |"
        cells = (
            self.forward or "yes", self.gradient, " ".join(self.dtypes), self.inplace, self.out,
            self.proof, "; ".join(dict.fromkeys(self.notes)),
        )  # fmt: skip
        return f"| `{self.name}` | " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


# --- names --------------------------------------------------------------------------------------


def resolve(root: ModuleType, path: str) -> Any:
    """The object at a dotted path below `torch`, read from `root`; None if there is none."""
    found: Any = root
    name = root.__name__
    for part in path.split(".")[1:]:
        name = f"{name}.{part}"
        try:
            found = getattr(found, part)
        except (AttributeError, NotImplementedError):
            try:
                found = importlib.import_module(name)
            except ImportError:
                return None
    return found


def has(space: Any, name: str) -> bool:
    """Whether torchish's namespace has the name."""
    try:
        return space is not None and hasattr(space, name)
    except (NotImplementedError, ImportError):
        return False


def scope(name: str) -> str:
    """Why a name is out of scope, or an empty text."""
    for reason, patterns in OUT_OF_SCOPE.items():
        if any(fnmatch.fnmatchcase(name, p) for p in patterns.split()):
            return reason
    return ""


def public_names(space: Any) -> list[str]:
    """Functions, classes and constants that a user of the namespace may name."""
    listed = getattr(space, "__all__", None) if isinstance(space, ModuleType) else None
    if listed is not None and space in (torch, torch.nn.functional):
        listed = None  # torch's own lists leave out what is defined in C++
    names = []
    for name in sorted(set(listed or dir(space))):
        value = getattr(space, name, None)
        if name.startswith("_") or (inspect.ismodule(value) and not listed):
            continue
        home = getattr(value, "__module__", None) or "torch"
        if isinstance(home, str) and home.split(".")[0] in (
            "typing", "builtins", "collections", "enum", "math", "__future__", "abc", "importlib",
        ):  # fmt: skip
            continue
        names.append(name)
    return names


# --- rows ---------------------------------------------------------------------------------------


def entries_of() -> dict[str, list[str]]:
    """OpInfo entries by the public path they prove (`torch.add`, `torch.linalg.inv`)."""
    from torch.testing._internal.common_methods_invocations import op_db

    from tests.compat.opinfo.excluded import label

    found: dict[str, list[str]] = {}
    for op in op_db:
        names = [op.name, *(a.name for a in op.aliases)]
        for name in names:
            found.setdefault(f"torch.{name}", []).append(label(op))
    return found


def sampled() -> set[str]:
    """Public paths with samples of their own in tests/ops/samples."""
    from tests.ops.sampling import all_samples

    return {n if n.startswith("torch.") else f"torch.{n}" for n, s in all_samples().items() if s}


def row_of(path: str, name: str, ours: Any, proofs: dict[str, list[str]], extra: set[str]) -> Row:
    """Everything known of one public name."""
    present = has(ours, name)
    row = Row(name, present)
    if not present:
        return row
    keys = [f"{path}.{name}"]
    if path == "torch.Tensor":
        keys += [f"torch.{name}", f"torch.{name.removesuffix('_')}"]
        keys += [f"torch.{n}.{name}" for n in ("linalg", "special", "nn.functional")]
    listed = next((proofs[k] for k in keys if k in proofs), [])
    listed = [e for e in listed if e in stored.load()]
    base = getattr(torchish, "Tensor", None)
    row.inplace = "yes" if has(base, name + "_") and not name.endswith("_") else ""
    if not listed:
        row.proof = "samples" if any(k in extra for k in keys) else ""
        return row
    row.proof = "OpInfo"
    good, bad = set(), set()
    for entry in listed:
        for dtype, (passed, failed) in stored.load()[entry].items():
            (bad if {"forward", "gradient"} & set(failed) else good).add(dtype)
            row.gradient = "yes" if "gradient" in passed and row.gradient != "no" else row.gradient
            row.out = "yes" if "out" in passed else row.out
            for check in failed:
                why = reason_for(entry, dtype, check) or failed[check]
                if check == "error text":
                    continue
                row.notes.append(f"{check}: {why}")
    row.forward = "yes" if good - bad else "partly" if good else "no"
    row.dtypes = sorted((good - bad) - {"-"})
    return row


def sections() -> Iterator[tuple[str, list[Row]]]:
    """The rows of each namespace."""
    proofs, extra = entries_of(), sampled()
    for path in OPERATORS:
        reference, ours = resolve(torch, path), resolve(torchish, path)
        names = [n for n in public_names(reference) if not scope(n)]
        yield path, [row_of(path, n, ours, proofs, extra) for n in names]
    for path in OTHERS:
        reference, ours = resolve(torch, path), resolve(torchish, path)
        yield path, [Row(n, has(ours, n)) for n in public_names(reference)]


# Private parts of PyTorch whose modules are not worth a row: shells, but for what libraries touch.
UNTOLD = ("torch._", "torch.testing._internal", "torch.utils._", "torch.onnx._", "torch.ao.")


def module_rows() -> Iterator[str]:
    """What each of PyTorch's public modules has here: its kind, and names by what they are."""
    from torchish._layout import resolve as layout, table
    from torchish._layout.shells import Shell

    for module in sorted(table.lines()):
        entry = table.entry(module)
        if entry is None or module.startswith(UNTOLD) or "._" in module or entry.unlisted:
            continue
        kind = "paths" if isinstance(importlib.import_module(table.ours(module)), Shell) else "file"
        names = [
            n for n, home in entry.names.items() if not n.startswith("_") and home[0] == module
        ]
        found = {n: layout.status(module, n) for n in names}
        count = [sum(s == k for s in found.values()) for k in ("present", "refused", "absent")]
        yield f"| `{module}` | {kind} | {count[0]} | {count[1]} | {count[2]} |"


# --- text ---------------------------------------------------------------------------------------


def paragraph(names: list[str]) -> str:
    """Names, wrapped."""
    text = ", ".join(f"`{name}`" for name in names)
    return "\n".join(textwrap.wrap(text, 110, break_on_hyphens=False, break_long_words=False))


def counted() -> list[str]:
    """How many OpInfo entries hold, by dtype."""
    totals: dict[str, list[int]] = {}
    for found in stored.load().values():
        for dtype, (_, failed) in found.items():
            if dtype == "-":
                continue
            count = totals.setdefault(dtype, [0, 0])
            count[0] += not {"forward", "gradient"} & set(failed)
            count[1] += 1
    lines = ["| dtype | forward and gradient hold | of | share |", "| --- | --- | --- | --- |"]
    for dtype, (good, of) in sorted(totals.items(), key=lambda t: -t[1][1]):
        lines.append(f"| {dtype} | {good} | {of} | {good / of:.1%} |")
    return lines


def render() -> str:
    """The whole file."""
    version = torch.__version__.split("+")[0]
    lines = [
        "# PyTorch's names in torchish",
        "",
        f"Generated by `make compat` from PyTorch {version}, torchish and the stored results of",
        "PyTorch's own OpInfo database run through both libraries. Out of scope and not counted:",
        f"{', '.join(OUT_OF_SCOPE)} names. Using an absent name raises an error that names it.",
        "",
        "| namespace | present | of | share | proven |",
        "| --- | --- | --- | --- | --- |",
    ]
    body: list[str] = []
    for path, rows in sections():
        have = [r for r in rows if r.present]
        proven = sum(bool(r.proof) for r in have) if path in OPERATORS else "own tests"
        share = f"{len(have) / max(len(rows), 1):.0%}"
        lines.append(f"| `{path}` | {len(have)} | {len(rows)} | {share} | {proven} |")
        body += ["", f"## {path}", ""]
        if path in OPERATORS:
            body += [
                "| name | forward | gradient | dtypes | in-place | out | proof | notes |",
                "| --- | --- | --- | --- | --- | --- | --- | --- |",
                *(r.text() for r in rows),
            ]
            continue
        gone = [r.name for r in rows if not r.present]
        if have:
            body += ["Present: " + paragraph([r.name for r in have])]
        if gone:
            body += ["", "Absent: " + paragraph(gone)]
    body += [
        "", "## Modules", "",
        "Every module path of PyTorch's package can be imported. `file`: a module of torchish;",
        "`paths`: names that live elsewhere in torchish, or whose use raises NotSupportedError by",
        "name. Counted are the public names that PyTorch's module defines itself.", "",
        "| module | here | present | refused | absent |", "| --- | --- | --- | --- | --- |",
        *module_rows(),
    ]  # fmt: skip
    lines += ["", "OpInfo entries (name and variant) in scope:", "", *counted()]
    return "\n".join([*lines, *body, ""])


def main(arguments: list[str]) -> None:
    """Write the file, or check it."""
    text = render()
    if "--check" in arguments:
        if not TARGET.exists() or TARGET.read_text() != text:
            raise SystemExit("compat_matrix.md is stale: run tools/compat_matrix.py")
        return
    TARGET.write_text(text)
    print("\n".join(text.split("\n## ")[0].splitlines()[6:]))


if __name__ == "__main__":
    main(sys.argv[1:])
