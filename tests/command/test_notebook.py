"""Notebooks: the extension in any kernel, and the kernel that the command installs."""

import json
import os
import sys

import pytest

from tests.e2e.programs import ROOT, run

nbclient = pytest.importorskip("nbclient", reason="nbclient is of the test extra")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

pytestmark = [
    pytest.mark.slow,
    # Jupyter's own: its client leaves sockets and event loops to the end of the process.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def outputs(kernel, *cells, allow_errors=False):
    """What each cell of a notebook prints."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = nbclient.NotebookClient(
        book, kernel_name=kernel, timeout=120, allow_errors=allow_errors
    )
    client.execute()
    return [
        "".join(o.get("text", "") or o.get("evalue", "") for o in cell.outputs)
        for cell in book.cells
    ]


@pytest.fixture
def path(monkeypatch):
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_the_extension(path):
    first, second, third, fourth = outputs(
        "python3",
        "%load_ext torchish",
        "import torch, torchvision\nprint(torch.__version__, torch.ones(2).sum().item())",
        "from IPython.core.completer import provisionalcompleter\n"
        "ip = get_ipython()\n"
        "with provisionalcompleter():\n"
        "    print(*[c.text for c in ip.Completer.completions('torch.nn.Lin', 12)])\n"
        "print(ip.inspector.info(torch.add)['definition'])",
        "import subprocess, sys\n"
        "code = 'import torch; print(torch.__version__)'\n"
        "done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)\n"
        "print(done.stdout)",
    )
    assert first == ""
    assert second == "2.13.0+torchish 2.0\n"
    assert third.startswith("Linear ") and "input, other, *, alpha=1, out=None" in third
    assert fourth.strip() == "2.13.0+torchish", "processes that the notebook starts"


def test_the_installed_kernel(path, tmp_path, monkeypatch):
    done = run("--install-kernel", "--prefix", tmp_path, env=dict(os.environ))
    folder = tmp_path / "share" / "jupyter" / "kernels" / "torchish"
    assert done.stdout == f"installed the kernel 'torchish' in {folder}\n"
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][:3] == [sys.executable, "-m", "torchish"]
    assert spec["display_name"] == "Python (torchish)" and spec["metadata"] == {"debugger": True}
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    printed = outputs(
        "torchish",
        "import torch\nprint(torch.__version__)",
        "torch.ones(2, 3) @ torch.ones(4, 5)",
        "x = torch.ones(3, requires_grad=True)\n(x * x).sum().backward()\nprint(x.grad)",
        allow_errors=True,
    )
    assert printed[0] == "2.13.0+torchish\n"
    assert "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)" in printed[1]
    assert printed[2] == "tensor([2., 2., 2.])\n"


def test_an_interrupted_cell(path):
    recorded, interrupted, after = outputs(
        "python3",
        "%load_ext torchish\nimport torch\nx = torch.arange(4.0, requires_grad=True)\ny = x * 2",
        "import _thread, threading, time\n"
        "threading.Timer(0.5, _thread.interrupt_main).start()\n"
        "z = y + 1\n"
        "for _ in range(10_000):\n"
        "    z = z * 0.5; time.sleep(0.01)",
        "(y * y).sum().backward()\nprint(y.tolist(), x.grad.tolist())",
        allow_errors=True,
    )
    assert recorded == "" and interrupted == ""  # KeyboardInterrupt has no text
    assert after == "[0.0, 2.0, 4.0, 6.0] [0.0, 8.0, 16.0, 24.0]\n"
