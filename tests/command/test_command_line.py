"""The command line: Python's options keep their meaning, ours do what they say."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import torchish
from tests.e2e.programs import ROOT, run
from torchish import _alias
from torchish._command.options import UsageError, parse


def given_input(text, *arguments):
    """`python -m torchish arguments` with something on its stdin."""
    return subprocess.run(
        [sys.executable, "-m", "torchish", *arguments],
        input=text, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_program_from_stdin():
    done = given_input(
        "import sys, torch\nprint(sys.argv, __name__, int(torch.ones(2).sum()))", "-", "a"
    )
    assert done.stdout == "['-', 'a'] __main__ 2\n", done.stderr
    done = given_input("1/0", "-")
    assert done.stderr.splitlines()[1] == '  File "<stdin>", line 1, in <module>'


def test_interactive_after_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import torch\nx = torch.arange(3)\n")
    done = given_input("print(x.tolist(), torch.__version__)\n", "-i", str(script))
    assert done.stdout == "[0, 1, 2] 2.13.0+torchish\n", done.stderr
    done = given_input("import torch; print(torch.__version__)\n", "-i")
    assert "2.13.0+torchish" in done.stdout, done.stderr


def test_interactive_after_an_error(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import torch\nx = torch.arange(3)\nx.no_such_method()\n")
    done = given_input("print(x.tolist())\n", "-i", str(script))
    assert done.stdout == "[0, 1, 2]\n", done.stderr
    assert "has no attribute 'no_such_method'" in done.stderr


def test_pythons_own_options():
    code = (
        "import sys, warnings; print(sys.flags.dev_mode, sys.flags.optimize, sys.warnoptions[-1:])"
    )
    assert run("-Xdev", "-OW", "ignore", "-c", code, "-x").stdout == "True 1 ['ignore']\n"
    done = run("-W", "error", "-c", "import warnings; warnings.warn('raised')", ok=False)
    assert done.returncode == 1 and done.stderr.endswith("UserWarning: raised\n")
    assert "_command" not in done.stderr


def test_parsing():
    found = parse(["-uX", "utf8", "--device=cuda:1", "--eager", "-mpack", "-v", "--device"])
    assert (found.action, found.target, found.arguments) == ("module", "pack", ["-v", "--device"])
    assert found.interpreter == ["-u", "-X", "utf8"]
    assert found.rest == ["--device=cuda:1", "--eager", "-m", "pack", "-v", "--device"]
    assert (found.device, found.eager, found.explain) == ("cuda:1", True, False)
    found = parse(["--check", "a", "--eager", "b.py"])
    assert (found.action, found.arguments) == ("check", ["a", "b.py"])
    assert parse(["--cache-dir", "f", "s.py", "-i"]).interpreter == []
    for wrong in (["--check"], ["--fast"], ["-Z"], ["--device"], ["-X"], ["--eager=1"], ["-c"],
                  ["--install-kernel", "name"]):  # fmt: skip
        with pytest.raises(UsageError):
            parse(wrong)


def test_eager_explain_and_cache(tmp_path):
    code = (
        "import os, torch\n"
        "for _ in range(30): x = torch.ones(8, 8) @ torch.ones(8, 8); x.sum().item()\n"
        "from torchish._basics.settings import settings\n"
        "print(settings.eager, settings.cache_folder, os.environ['TORCHISH_CACHE'])"
    )
    folder = tmp_path / "cache"
    done = run("--eager", "--explain", "--cache-dir", folder, "-c", code, cwd=tmp_path)
    assert done.stdout == f"True {folder} {folder}\n"
    assert "torchish: " in done.stderr and "compiled 0" in done.stderr
    compiled = "import torch\nprint(torch.compile(lambda x: x.sin().sum())(torch.ones(64)).item())"
    run("--cache-dir=kept", "-c", compiled, cwd=tmp_path, env={"TORCHISH_COMPILE": "1"})
    assert any((tmp_path / "kept").iterdir())


def test_device():
    fake = {"TORCHISH_FAKE_CUDA": "1", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    code = "import torch; print(torch.ones(1).device, torch.nn.Linear(1, 1).weight.device)"
    assert run("--device", "cuda:1", "-c", code, env=fake).stdout == "cuda:1 cuda:1\n"
    done = run("--device=cuda", "-c", code, ok=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("torchish: --device cuda: Torch not compiled with CUDA enabled")
    assert "torchish[cuda]" in done.stderr or "no NVIDIA GPU" in done.stderr


@pytest.mark.parametrize("name", ["out.json", "out.json.gz"])
def test_profile(name, tmp_path):
    code = (
        "import torch\n"
        "with torch.profiler.record_function('the named block'):\n"
        "    torch.ones(4, 4).exp().sum().item()\n"
        "raise SystemExit(5)"
    )
    done = run("--profile", name, "-c", code, cwd=tmp_path, ok=False)
    assert done.returncode == 5, done.stderr
    read = gzip.open if name.endswith("gz") else open
    with read(tmp_path / name, "rt") as file:
        events = json.load(file)["traceEvents"]
    assert any(event.get("name") == "the named block" for event in events)


def test_a_profile_has_the_form_that_perfetto_reads(tmp_path):
    code = (
        "import threading, torch\n"
        "def work():\n"
        "    torch.ones(8, 8).exp().sum().item()\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join(); work()\n"
        "with torch.profiler.record_function('block'): work()"
    )
    run("--profile", "out.json", "-c", code, cwd=tmp_path)
    made = json.loads((tmp_path / "out.json").read_text())
    assert isinstance(made["traceEvents"], list)
    spans = []
    for event in made["traceEvents"]:
        if not event:
            continue  # JAX ends its list with an empty one, which viewers pass over
        assert event["ph"] in "XBEiIMCbnestfPNODv" and isinstance(event["pid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "process_sort_index", "thread_name",
                                     "thread_sort_index", "process_labels")  # fmt: skip
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event.get("dur", 0) >= 0
            assert isinstance(event["tid"], int) and isinstance(event["name"], str)
            assert isinstance(event.get("args", {}), dict)
            spans.append(event)
    block = next(e for e in spans if e["name"] == "block")
    assert block["dur"] > 0 and len({e["tid"] for e in spans}) > 1


def test_install_is_public(tmp_path):
    code = (
        "import subprocess, sys, torchish\n"
        "torchish.install(); torchish.install()\n"
        "import torch, torchvision\n"
        "print(torch is torchish)\n"
        "ask = 'import torch; print(torch.__version__)'\n"
        "sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-c', ask], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "True\n2.13.0+torchish\n", done.stderr
    import torch

    assert torch is not torchish
    with pytest.raises(RuntimeError, match="torchish cannot stand in for torch"):
        torchish.install()


def test_console_scripts_are_declared():
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {
        "torchish": "torchish.__main__:main",
        "torchrun": "torchish.distributed.run:main",
    }
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_launcher_names_itself_in_no_traceback(tmp_path):
    entry = tmp_path / "torchish"  # what pip writes for a console script
    entry.write_text("import sys\nfrom torchish.__main__ import main\nsys.exit(main())\n")
    script = tmp_path / "program.py"
    script.write_text("import sys\nprint(sys.path[0])\nraise KeyError('here')\n")
    done = subprocess.run(
        [sys.executable, str(entry), str(script)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert Path(done.stdout.strip()) == tmp_path
    assert done.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        f'  File "{script}", line 3, in <module>',
    ]


def test_the_alias_is_told_of_in_the_version():
    assert _alias.VERSIONS["torch"] in run("-V").stdout


def test_a_module_of_torch_runs_as_a_program():
    done = run("-m", "torch.utils.collect_env")
    assert done.stdout.startswith("Collecting environment information...\nPyTorch version: 2.13.0")


@pytest.mark.parametrize(
    "arguments",
    [("-m", "nope"), ("-m", "nope.sub"), ("-m", "json"), ("folder",), ("nofile.py",)],
    ids=" ".join,
)
def test_what_is_not_there_is_said_in_pythons_words(arguments, tmp_path):
    (tmp_path / "folder").mkdir()
    said = [
        subprocess.run(
            [sys.executable, *launcher, *arguments], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
        )
        for launcher in ((), ("-m", "torchish"))
    ]  # fmt: skip
    python, ours = ((d.returncode, d.stdout, d.stderr) for d in said)
    assert ours == python


def test_a_module_that_fails_to_import_something_shows_where(tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    done = subprocess.run(
        [sys.executable, "-m", "torchish", "-m", "broken"], capture_output=True, text=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and "broken.py" in done.stderr
    assert done.stderr.endswith("No module named 'nothing_of_that_name'\n")
