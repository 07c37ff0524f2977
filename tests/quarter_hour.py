"""A stranger's quarter hour, run by .ci/run with a Python that has the built wheel and no torch.

Install (done), run a script, ask what it lacks, read a refusal, export, open a notebook. Jupyter's
part is left out where nbclient and ipykernel are not installed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(sys.executable).parent

TRAIN = """
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
x = torch.randn(64, 2)
y = x[:, :1] * x[:, 1:]
for step in range(60):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
torch.save(net.state_dict(), "net.pt")
print(loss.item() < 0.1)
"""
REFUSED = """
import torch

torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
"""
EXPORT = """
import torch

net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
net.load_state_dict(torch.load("net.pt"))
net.eval()
program = torch.export.export(net, (torch.ones(3, 2),))
torch.export.save(program, "net.pt2")
print(net(torch.ones(3, 2)).tolist())
"""
# In a process that imports JAX alone.
LOADED = """
import sys, zipfile
import jax, numpy, safetensors.numpy

sys.modules["torchish"] = None
with zipfile.ZipFile("net.pt2") as archive:
    loaded = jax.export.deserialize(bytearray(archive.read("program")))
    weights = safetensors.numpy.load(archive.read("weights.safetensors"))
print(loaded.call(weights, numpy.ones((3, 2), numpy.float32)).tolist())
"""


def run(*command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run one of the commands that the wheel installed; its exit code must be `code`."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], text=True, capture_output=True, timeout=300
    )
    assert done.returncode == code, (command, done.stdout, done.stderr)
    return done


def scripts() -> None:
    """Train, look for what is missing, be refused, export, load without torchish."""
    for name, text in (("train", TRAIN), ("refused", REFUSED), ("export", EXPORT),
                       ("loaded", LOADED)):  # fmt: skip
        Path(f"{name}.py").write_text(text)
    assert "2.13.0" in run("torchish", "--version").stdout
    assert "all are here" in run("torchish", "--check", "train.py").stdout
    assert run("torchish", "--explain", "train.py").stdout == "True\n"
    said = run("torchish", "--check", "refused.py", code=1).stdout
    assert "refused.py:4:7: raises: torch.quantize_per_tensor" in said, said
    refusal = run("torchish", "refused.py", code=1).stderr
    assert 'File "' in refusal and 'refused.py", line 4' in refusal, refusal
    assert "torchish does not support torch.quantize_per_tensor" in refusal, refusal
    assert "--check" in refusal and "Nearest: " in refusal, refusal
    ours, plain = (
        [float(x) for x in run(*command).stdout.replace("[", "").replace("]", "").split(",")]
        for command in (("torchish", "export.py"), ("python", "loaded.py"))
    )
    assert len(ours) == 3 and max(abs(a - b) for a, b in zip(ours, plain, strict=True)) < 1e-5
    assert "--nproc-per-node" in run("torchrun", "--help").stdout


def notebook() -> None:
    """A notebook in the kernel that the command installs."""
    import nbclient
    import nbformat

    run("torchish", "--install-kernel", "--prefix", "kernels")
    os.environ["JUPYTER_PATH"] = str(Path("kernels/share/jupyter").resolve())
    cell = nbformat.v4.new_code_cell("import torch\nprint(torch.ones(3).sum().item())")
    book = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(book, kernel_name="torchish", timeout=120).execute()
    assert book.cells[0].outputs[0]["text"] == "3.0\n", book.cells[0].outputs


def main() -> None:
    """All of it, in an empty folder."""
    assert importlib.util.find_spec("torch") is None, "this check needs a Python without torch"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        scripts()
        jupyter = all(map(importlib.util.find_spec, ("nbclient", "ipykernel")))
        if jupyter:
            notebook()
        os.chdir("/")
    print("quarter hour: ran, checked, refused, exported" + ", notebook" * jupyter)


if __name__ == "__main__":
    main()
