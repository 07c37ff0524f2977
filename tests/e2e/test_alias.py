"""`python -m torchish`: a program finds torchish as torch, and notices nothing else."""

import contextlib
import sys
import textwrap

import pytest
import torch

import torchish
from tests.e2e.programs import run
from torchish import _alias
from torchish.__main__ import main


def script(folder, text, name="script.py"):
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def test_a_script_runs_as_python_runs_it(tmp_path):
    (tmp_path / "neighbour.py").write_text("value = 3\n")
    path = script(
        tmp_path,
        '''
        """Its docstring."""
        import sys
        import neighbour
        import __main__
        print(__name__, __file__, __doc__, __spec__, __package__)
        print(sys.argv, sys.path[0], __main__.neighbour.value)
        ''',
    )
    printed = run(path, "a", "--b", cwd=tmp_path.parent).stdout.splitlines()
    assert printed == [
        f"__main__ {path} Its docstring. None None",
        f"{[str(path), 'a', '--b']} {tmp_path} 3",
    ]


@pytest.mark.smoke
def test_aliases_are_the_same_modules(tmp_path):
    path = script(
        tmp_path,
        """
        import importlib.metadata, importlib.util, sys
        import torchvision.transforms.functional as TF
        import torch
        import torch.nn.functional as F
        from torch.utils.data import DataLoader
        from torch import nn
        import torchish, torchish.utils.data, torchish.vision
        assert torch is torchish and torch.__name__ == "torch"
        assert F is torchish.nn.functional is sys.modules["torch.nn.functional"]
        assert DataLoader is torchish.utils.data.DataLoader
        assert TF is torchish.vision.transforms.functional
        assert torch.__spec__.name == "torchish" and nn.__spec__.name == "torchish.nn"
        assert importlib.util.find_spec("torch.optim").origin == torchish.optim.__file__
        assert importlib.util.find_spec("numpy").origin
        print(importlib.metadata.version("torch"), importlib.metadata.version("numpy") > "1")
        try:
            import torch.nonsense
        except ModuleNotFoundError as error:
            print(error, error.name)
        """,
    )
    assert run(path).stdout.splitlines() == [
        "2.13.0+torchish True",
        "No module named 'torch.nonsense' (torchish has no torchish.nonsense) torch.nonsense",
    ]


def test_children_inherit(tmp_path):
    path = script(
        tmp_path,
        """
        import multiprocessing, subprocess, sys

        def version(_):
            import torch
            return torch.__version__

        if __name__ == "__main__":
            code = "import torch, torchish; print(torch is torchish)"
            subprocess.run([sys.executable, "-c", code], check=True)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(version, [0]))
        """,
    )
    # from elsewhere, so that the children find torchish by the alias's own means
    assert run(path, cwd=tmp_path).stdout == "True\n['2.13.0+torchish']\n"


def test_children_do_not_import_what_they_do_not_use(tmp_path):
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        '\'import sys; print([m for m in sys.modules if m.startswith(("jax", "torch"))])\'])'
    )
    assert run("-c", code).stdout == "[]\n"


def test_children_that_are_not_reached(tmp_path):
    path = script(
        tmp_path,
        """
        import os, subprocess, sys
        ask = (
            "import importlib.util; s = importlib.util.find_spec('torch'); "
            "print(s is not None and 'torchish' in s.origin)"
        )

        def child(*options, **changed):
            env = {**os.environ, **changed.pop("env", {})} if "env" in changed else None
            done = subprocess.run([sys.executable, *options, "-c", ask], env=env, **changed,
                                  capture_output=True, text=True, check=True)
            return done.stdout.strip()

        print(child(), *[child(option) for option in ("-E", "-I", "-S")])
        kept = [f for f in os.environ["PYTHONPATH"].split(os.pathsep) if not f.endswith("_site")]
        print(child(env={"PYTHONPATH": os.pathsep.join(kept)}), child(env={"PYTHONPATH": ""}))
        """,
    )
    assert run(path, cwd=tmp_path).stdout == "True False False False\nFalse False\n"


def test_modules_code_and_folders(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    script(package, "import sys, torch\nprint(__name__, __package__, sys.argv[1:])", "__main__.py")
    assert run("-m", "pack", "x", cwd=tmp_path).stdout == "__main__ pack ['x']\n"
    assert (
        run("-c", "import sys; print(sys.argv, __name__)", "y").stdout == "['-c', 'y'] __main__\n"
    )
    assert run(package, "z").stdout == "__main__  ['z']\n"


def test_tracebacks_and_exit_codes(tmp_path):
    path = script(tmp_path, "def f():\n    raise KeyError('here')\nf()\n")
    done = run(path, ok=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 3, in <module>',
    ]
    assert "torchish" not in done.stderr
    assert run(script(tmp_path, "import sys; sys.exit(7)"), ok=False).returncode == 7
    broken = run(script(tmp_path, "x = ("), ok=False)
    assert broken.stderr.startswith(f'  File "{tmp_path}/script.py", line 1')
    missing = run(tmp_path / "absent.py", ok=False)
    assert missing.returncode == 2
    assert "can't open file" in missing.stderr


USAGE = "usage: torchish [options] script.py"


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--help"], 0, USAGE, ""),
        (["--version"], 0, "2.13.0+torchish", ""),
        ([], 2, "", USAGE),
        (["--fast"], 2, "", "Unknown option: --fast"),
        (["-m"], 2, "", "Argument expected for the -m option"),
    ],
    ids=str,
)
def test_command_line_errors(arguments, code, out, err, monkeypatch, capsys):
    """In this process: none of them runs a program."""
    monkeypatch.setattr(sys, "argv", ["torchish", *arguments])
    with contextlib.suppress(SystemExit) if code == 0 else pytest.raises(SystemExit, match="^2$"):
        main()
    said = capsys.readouterr()
    assert out in said.out and err in said.err
    assert bool(said.out) == bool(out) and bool(said.err) == bool(err)


def test_refuses_when_torch_is_imported_already():
    assert torch.__version__.startswith("2.13.0") and torch is not torchish
    with pytest.raises(RuntimeError, match="torchish cannot stand in for torch: .*imported"):
        _alias.install()


def test_another_sitecustomize_still_runs(tmp_path, monkeypatch):
    other = tmp_path / "site"
    other.mkdir()
    (other / "sitecustomize.py").write_text("print('other sitecustomize')\n")
    code = (
        "import os, subprocess, sys; "
        f"os.environ['PYTHONPATH'] += os.pathsep + {str(other)!r}; sys.stdout.flush(); "
        "subprocess.run([sys.executable, '-c', 'import torch; print(torch.__version__)'])"
    )
    assert run("-c", code).stdout == "other sitecustomize\n2.13.0+torchish\n"


VERSIONS = [
    "2.13",
    "2.13.0",
    "2.13.0+cpu",
    "1.10.0",
    "2.14.0a0",
    "2.13.1rc1",
    (2, 13),
    (3,),
    "parrot",
]


@pytest.mark.parametrize("other", VERSIONS, ids=str)
def test_versions_compare_as_pytorchs_do(other):
    theirs = torch.torch_version.TorchVersion("2.13.0+torchish")
    ours = torchish.__version__
    assert isinstance(ours, str) and str(ours) == str(theirs)
    for method in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        assert getattr(ours, method)(other) == getattr(theirs, method)(other)
