"""Run by .ci/run with a Python that has the built wheel and no torch: import, train, save, load."""

import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = """
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
    if step == 0:
        first = loss.item()
print(loss.item() < first / 4)
"""


def main() -> None:
    assert importlib.util.find_spec("torch") is None, "this check needs a Python without torch"
    import torchish as torch

    assert "site-packages" in str(pathlib.Path(torch.__file__)), torch.__file__
    layer = torch.nn.Linear(3, 2)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    layer.load_state_dict(torch.load(buffer))
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "train.py"
        script.write_text(SCRIPT)
        command = [sys.executable, "-m", "torchish", str(script)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == "True\n", printed
    print("wheel: imported and trained without torch")


if __name__ == "__main__":
    main()
