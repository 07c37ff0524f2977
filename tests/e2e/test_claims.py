"""Every claim of README and manual has something that shows it: `claims.txt` says what.

The second half are claims that no other file tests.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as oracle

import torchish
from tests.e2e.programs import ROOT, run

LIST = Path(__file__).with_name("claims.txt")


def claims() -> dict[tuple[str, bool], dict[str, list[str]]]:
    """(page, whether all of it is listed) -> its words -> what shows them."""
    found: dict[tuple[str, bool], dict[str, list[str]]] = {}
    for line in LIST.read_text().splitlines():
        if line.startswith("== "):
            name = line.removeprefix("== ").removesuffix(" (all)")
            page = found[name, line.endswith(" (all)")] = {}
        elif line and not line.startswith("# "):
            words, proofs = line.split(" :: ")
            page[words] = re.findall(r"(?:bench |make )?\S+", proofs)
    return found


CLAIMS = claims()


def plain(text: str) -> str:
    """One line, one blank between words."""
    return " ".join(text.split())


def sections(text: str) -> dict[str, list[str]]:
    """Heading -> the paragraphs, items and rows below it; code is left out."""
    found: dict[str, list[str]] = {}
    open_unit = fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced, open_unit = not fenced, False
        elif fenced or re.fullmatch(r"\|[ :|-]*", line):
            continue
        elif line.startswith("#"):
            units = found[line.lstrip("# ")] = []
            open_unit = False
        elif not line.strip():
            open_unit = False
        elif open_unit and not re.match(r"- |\d+\. |\|", line):
            units[-1] += f" {line}"
        else:
            units.append(line)
            open_unit = not line.startswith("|")
    return found


def test_every_page_is_listed() -> None:
    pages = {"README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))}
    assert {name for name, _ in CLAIMS} == pages


@pytest.mark.parametrize("name, all_of_it", CLAIMS, ids=lambda x: str(x))
def test_what_a_page_claims_is_listed(name: str, all_of_it: bool) -> None:
    listed = CLAIMS[name, all_of_it]
    parts = sections((ROOT / name).read_text())
    whole = plain(" ".join(unit for units in parts.values() for unit in units))
    assert not [words for words in listed if plain(words) not in whole], "not on the page"
    for heading, units in parts.items():
        looked_at = units if all_of_it else [" ".join(units)] if units else []
        for unit in looked_at:
            assert any(plain(words) in plain(unit) for words in listed), (
                f"{name}, {heading}: nothing in claims.txt shows: {unit}"
            )


@functools.cache
def functions_of(path: Path) -> set[str]:
    return {n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)}


def test_what_shows_the_claims_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for (page, _), listed in CLAIMS.items():
        for words, proofs in listed.items():
            assert proofs, (page, words)
            for proof in proofs:
                kind, _, rest = proof.partition(" ")
                path, _, test = proof.partition("::")
                if kind == "bench":
                    assert (ROOT / "benchmarks" / f"{rest}.py").exists(), proof
                elif kind == "make":
                    assert rest in targets, proof
                elif proof == "code":
                    assert "```" in (ROOT / page).read_text(), page
                elif proof != "tells":
                    assert (ROOT / "tests" / path).exists(), proof
                    assert not test or test in functions_of(ROOT / "tests" / path), proof


# --- claims that are tested nowhere else ----------------------------------------------------------


def test_extras_of_the_package() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert extras["cuda"] == ["jax[cuda12]>=0.10"] and extras["tpu"] == ["jax[tpu]>=0.10"]
    assert extras["cpu"][0].startswith("torchish-cpu")


def test_the_first_page_s_script_prints_pytorch_s_losses(tmp_path: Path) -> None:
    code = re.search(r'```python title="train.py"\n(.*?)```', (ROOT / "docs/index.md").read_text(),
                     re.DOTALL)  # fmt: skip
    assert code
    script = tmp_path / "train.py"
    script.write_text(code[1].replace("range(201)", "range(101)"))
    ours, theirs = (
        re.findall(r"step (\d+): loss (\S+)", run(script, torchish=mine, cwd=tmp_path).stdout)
        for mine in (True, False)
    )
    assert [k for k, _ in ours] == ["0", "100"] == [k for k, _ in theirs]
    np.testing.assert_allclose([float(x) for _, x in ours], [float(x) for _, x in theirs], 1e-3)
    oracle.load(tmp_path / "net.pt")


def test_what_the_check_says_is_what_running_does(tmp_path: Path) -> None:
    code = "import torch\nx = torch.ones(2)\nx.clamp_below(0)\n"
    (tmp_path / "script.py").write_text(code)
    said = run("--check", "script.py", cwd=tmp_path, ok=False).stdout
    assert said.startswith("script.py:3:3: raises: torch.Tensor.clamp_below")
    done = run("script.py", cwd=tmp_path, ok=False)
    assert done.returncode == 1 and 'script.py", line 3' in done.stderr


def test_streams_and_events_exist() -> None:
    code = (
        "import torch\n"
        "stream = torch.cuda.Stream()\n"
        "start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))\n"
        "with torch.cuda.stream(stream):\n"
        "    start.record(); x = torch.ones(3, device='cuda') * 2; end.record()\n"
        "stream.wait_event(end); end.synchronize(); torch.cuda.synchronize()\n"
        "print(x.tolist(), start.elapsed_time(end) >= 0)"
    )
    assert run("-c", code, env={"TORCHISH_FAKE_CUDA": "1"}).stdout == "[2.0, 2.0, 2.0] True\n"


def test_precision_of_products_is_a_switch() -> None:
    assert torchish.get_float32_matmul_precision() == oracle.get_float32_matmul_precision()
    before = torchish.get_float32_matmul_precision()
    assert before == "highest"
    try:
        torchish.set_float32_matmul_precision("high")
        assert torchish.get_float32_matmul_precision() == "high"
    finally:
        torchish.set_float32_matmul_precision(before)


def test_resize_gives_zeros() -> None:
    x = torchish.ones(2)
    assert x.resize_(4).tolist() == [1, 1, 0, 0]


def test_threads_are_xla_s() -> None:
    with pytest.warns(UserWarning, match="XLA sizes its CPU thread pool"):
        torchish.set_num_threads(max(1, torchish.get_num_threads() + 1))


@pytest.mark.parametrize("name", ["quantize_per_channel", "quantize_per_tensor", "no_such_name"])
def test_what_is_refused_is_absent_to_probes(name: str) -> None:
    assert not hasattr(torchish, name)
    with pytest.raises((NotImplementedError, AttributeError), match=name):
        getattr(torchish, name)
    assert issubclass(torchish.NotSupportedError, NotImplementedError)
    with pytest.raises(NotImplementedError, match="rpc"):
        torchish.distributed.rpc.init_rpc("worker")


def test_anomalies_are_found() -> None:
    x = torchish.zeros(1, requires_grad=True)
    with (
        torchish.autograd.set_detect_anomaly(True),
        pytest.warns(UserWarning, match="Error detected in"),
        pytest.raises(RuntimeError, match="returned nan values"),
    ):
        (x.sqrt() * 0).sum().backward()


def test_the_log_of_compilations() -> None:
    code = "import torch\nprint((torch.ones(64, 64) @ torch.ones(64, 64)).sum().item())"
    env = {"TORCHISH_LOG": "compiles", "TORCHISH_COMPILE": "1"}
    done = run("-c", code, env=env)
    assert done.stdout == "262144.0\n" and "compile" in done.stderr


def test_a_breakpoint_shows_values(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import torch\nx = torch.arange(3) * 2\nbreakpoint()\nprint('went on')\n")
    done = subprocess.run(
        [sys.executable, "-m", "torchish", str(script)], input="p x\nc\n", text=True,
        capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "tensor([0, 2, 4])" in done.stdout and "went on" in done.stdout, done.stderr


def test_a_name_registered_twice_raises() -> None:
    from torchish._ops.registry import op

    with pytest.raises((ValueError, RuntimeError, TypeError), match="add"):

        @op("same")
        def add(input, other):  # type: ignore[no-untyped-def]
            return input


def test_settings_are_the_documented_ones() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    code = (ROOT / "torchish" / "_basics" / "settings.py").read_text()
    read = set(re.findall(r'"(TORCHISH_[A-Z0-9_]+)"', code))
    assert read <= set(re.findall(r"`(TORCHISH_[A-Z0-9_]+)`", page))


@pytest.mark.slow
def test_the_programs_of_the_comparison_are_pytorch_s() -> None:
    from benchmarks import peer_programs
    from benchmarks.peers import _answers, agree

    assert (len(peer_programs.PROGRAMS), len(peer_programs.ALIASING)) == (12, 13)
    for table in (peer_programs.PROGRAMS, peer_programs.ALIASING):
        ours, theirs = (_answers(table, library, "cpu") for library in (torchish, oracle))
        assert [name for name in table if not agree(ours[name], theirs[name])] == []
