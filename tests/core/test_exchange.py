"""Tensors from and to other libraries: DLPack, JAX's arrays, the safetensors package."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from torchish.utils import dlpack

MAKERS = ["tensor", "as_tensor", "from_dlpack", "asarray"]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool", "complex64", "int8"])
def test_jax_arrays(make: str, dtype: str) -> None:
    array = jnp.asarray(np.arange(6).reshape(2, 3) % 2, dtype)
    made = getattr(torch, make)(array)
    assert str(made.dtype) == f"torch.{dtype}" and made.shape == (2, 3)
    assert made.float().tolist() == [[0, 1, 0], [1, 0, 1]] if dtype != "complex64" else True
    made.zero_()
    assert np.asarray(array).any(), "JAX's arrays are immutable"


def test_jax_arrays_with_options() -> None:
    array = jnp.arange(3)
    assert torch.tensor(array, dtype=torch.float64, requires_grad=True).dtype is torch.float64
    assert torch.as_tensor(array, dtype=torch.float32).tolist() == [0.0, 1.0, 2.0]
    assert torch.tensor([jnp.float32(1), jnp.float32(2)]).tolist() == [1, 2]


def test_dlpack_shares_memory() -> None:
    array = np.arange(4.0)
    shared, copied = torch.from_dlpack(array), torch.from_dlpack(array, copy=True)
    shared[0] = 5
    copied[1] = 7
    assert array.tolist() == [5, 1, 2, 3]
    theirs = oracle.arange(3)
    torch.from_dlpack(theirs)[0] = 9
    assert theirs.tolist() == [9, 1, 2]
    ours = torch.arange(3)
    oracle.from_dlpack(ours)[0] = 9
    assert ours.tolist() == [9, 1, 2]
    assert jnp.from_dlpack(torch.arange(3.0)).tolist() == [0, 1, 2]


def test_dlpack_capsules_are_used_once() -> None:
    capsule = dlpack.to_dlpack(torch.arange(3))
    assert dlpack.from_dlpack(capsule).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="can be consumed only once"):
        dlpack.from_dlpack(capsule)


@pytest.mark.parametrize("case", ["grad", "conj", "stream", "nothing"])
def test_dlpack_errors(case: str) -> None:
    def said(library: Any) -> tuple[str, str]:
        try:
            if case == "grad":
                library.ones(3, requires_grad=True).__dlpack__()
            elif case == "conj":
                library.ones(2, dtype=library.complex64).conj().__dlpack__()
            elif case == "stream":
                library.ones(2).__dlpack__(stream=1)
            else:
                library.from_dlpack(3)
        except (RuntimeError, BufferError, AssertionError) as error:
            return type(error).__name__, str(error)
        return "ran", ""

    assert said(torch) == said(oracle)


def test_dlpack_device() -> None:
    assert torch.ones(2).__dlpack_device__() == (dlpack.DLDeviceType.kDLCPU, 0)
    assert torch.from_dlpack(torch.ones(2, dtype=torch.bfloat16)).dtype is torch.bfloat16


SAFETENSORS = """
import torch, safetensors.torch as st, sys
folder = sys.argv[1]
state = {"a": torch.arange(6.).reshape(2, 3), "h": torch.ones(2, dtype=torch.bfloat16),
         "b": torch.tensor([True, False]), "i": torch.tensor(7)}
st.save_file(state, folder + "/x.safetensors", {"k": "v"})
back = st.load_file(folder + "/x.safetensors")
print(all(torch.equal(back[k], state[k]) and back[k].dtype == state[k].dtype for k in state))
back["a"].add_(1); print(back["a"].tolist(), back["a"].stride())
with st.safe_open(folder + "/x.safetensors", "pt") as f:
    print(f.metadata(), sorted(f.keys()), f.get_slice("a")[:, 1:].tolist())
print(st.load(st.save(state))["h"].tolist(), torch.load(folder + "/x.safetensors")["i"])
m = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)); m[1].weight = m[0].weight
kept = m[0].weight.detach().clone()
st.save_model(m, folder + "/m.safetensors")
with torch.no_grad(): m[0].weight.zero_()
print(st.load_model(m, folder + "/m.safetensors"), torch.equal(m[1].weight, kept))
try: st.save_file({"t": state["a"], "v": state["a"][:1]}, folder + "/y.safetensors")
except RuntimeError as e: print(str(e).strip()[:60])
"""


def ran(*start: str, code: str, folder: Any) -> str:
    call = [sys.executable, *start, "-c", code, str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_safetensors_package(tmp_path: Any) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    assert ran("-m", "torchish", code=SAFETENSORS, folder=ours) == ran(
        code=SAFETENSORS, folder=theirs
    )
    for name in ("x", "m"):
        file = f"{name}.safetensors"
        if name == "x":
            assert (ours / file).read_bytes() == (theirs / file).read_bytes()
        found = torch.load(theirs / file)
        assert {k: v.tolist() for k, v in found.items()}.keys() == torch.load(ours / file).keys()


X64 = """
import jax, jax.numpy as jnp, torchish as torch
print(jax.config.jax_enable_x64, jnp.arange(2).dtype)
x = torch.arange(3, dtype=torch.float64, requires_grad=True)
(x * x).sum().backward()
mapped = torch.func.vmap(lambda a: a * 2**40)(torch.arange(2))
print(x.grad.dtype, torch.arange(2**40, 2**40 + 2).tolist(), mapped)
print(jnp.arange(2).dtype)
"""


def test_jax_keeps_its_own_precision_where_asked(tmp_path: Any) -> None:
    os.environ["TORCHISH_JAX_X64"] = "0"
    try:
        lines = ran(code=X64, folder=tmp_path).splitlines()
    finally:
        del os.environ["TORCHISH_JAX_X64"]
    assert lines == [
        "False int32",
        "torch.float64 [1099511627776, 1099511627777] tensor([            0, 1099511627776])",
        "int32",
    ]


def test_tensors_do_not_depend_on_jax_being_switched() -> None:
    with jax.enable_x64(False):
        assert (torch.ones(2, dtype=torch.float64) / 3).sum().item() == 2 / 3
        assert torch.tensor([2**40]).mul(2).item() == 2**41
