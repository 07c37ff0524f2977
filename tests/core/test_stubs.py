"""What a type checker makes of user code: types of results, and calls that cannot be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = """\
import torchish as torch
import torchish.nn.functional as F

x = torch.ones(2, 3, dtype=torch.float32)
reveal_type(x)
reveal_type(torch.add(x, 1))
reveal_type(x.abs().sum(0))
reveal_type(-x @ x[0] + 1)
reveal_type(F.relu(x))
reveal_type(torch.linalg.norm(x))
reveal_type(x.dtype)
reveal_type(x.shape)
torch.add(x, foo=1)
F.conv2d(x)
"""
TENSOR = "torchish._tensor.tensor.Tensor"
TYPES = [TENSOR] * 6 + ["torchish._basics.dtypes.dtype", "torchish._basics.size.Size"]


@pytest.mark.slow
def test_type_checker_knows_the_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy is of the dev extra")
    (tmp_path / "user.py").write_text(SOURCE)
    monkeypatch.setenv("MYPYPATH", str(Path(__file__).resolve().parents[2]))
    options = ["--follow-imports=silent", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    text, crash, _ = api.run([*options, str(tmp_path / "user.py")])
    assert not crash
    assert re.findall(r'Revealed type is "([^"]*)"', text) == TYPES, text
    assert 'Unexpected keyword argument "foo" for "add"' in text
    assert 'Missing positional argument "weight" in call to "conv2d"' in text
    assert "Found 2 errors" in text
