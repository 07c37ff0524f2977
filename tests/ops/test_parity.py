"""Every registered operator against PyTorch: values, dtype, shape, strides, gradient, forms."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
import torch

import torchish
from tests.ops.sampling import N, Sample, all_samples
from tests.oracle import HALF_KERNELS, is_tensor
from tests.xla import QUICK
from torchish._autograd.interop import host_array
from torchish._basics.settings import settings
from torchish._core import running
from torchish._ops import registry
from torchish._ops.call import operator

# Relative and absolute tolerance by dtype.
TOLERANCE = {
    "float64": (1e-9, 1e-10), "complex128": (1e-9, 1e-10), "float32": (2e-5, 2e-6),
    "complex64": (2e-5, 2e-6), "float16": (2e-3, 2e-3), "bfloat16": (1e-2, 1e-2),
}  # fmt: skip
# Gradients accumulate: this many times wider.
GRADIENT = 5.0
# `compiled` is XLA's quickest way to the same numbers; its defaults are what `make compat` runs.
TIERS = ("interpreted", "compiled", pytest.param("by default", marks=pytest.mark.compat))
SAMPLES = all_samples()
PLACES = ("torch", "nn.functional", "linalg", "fft", "special")


@pytest.fixture(autouse=True)
def strict_promotion() -> Iterator[None]:
    """Dtypes must never be left to JAX's promotion."""
    with jax.numpy_dtype_promotion("strict"):
        yield


_ran = itertools.count(1)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Drop compiled programs now and then: thousands of them would fill the machine."""
    yield
    if next(_ran) % 20 == 0:
        running._cache.clear()
        operator.forget_kernels()
        jax.clear_caches()


# --- from samples to tensors --------------------------------------------------------------------


def to_torch(array: Any, grad: bool) -> Any:
    """A fresh tensor of PyTorch with the layout of `array`."""
    array = np.copy(array, order="K")
    if array.dtype == ml_dtypes.bfloat16:
        made = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    else:
        made = torch.from_numpy(array)
    return made.requires_grad_() if grad and made.dtype.is_floating_point else made


def to_torchish(array: Any, grad: bool) -> Any:
    """A fresh tensor of torchish with the layout of `array`."""
    made = torchish.from_numpy(np.copy(array, order="K"))
    return made.requires_grad_() if grad and made.dtype.is_floating_point else made


def to_numpy(tensor: Any) -> np.ndarray[Any, Any]:
    """The contents of a tensor of either library."""
    if not isinstance(tensor, torch.Tensor):
        return host_array(tensor.detach())
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy(force=True)


def build(value: Any, library: Any, dtype: Any, grad: bool) -> Any:
    """The argument that a sample's `value` stands for."""
    if isinstance(value, np.ndarray):
        if dtype is not None and value.dtype == np.float32:
            value = value.astype(dtype)
        convert = to_torch if library is torch else to_torchish
        made = convert(value, grad)
        return made.requires_grad_() if grad and np.iscomplexobj(value) else made
    if isinstance(value, N):
        return getattr(library, value.name)
    if type(value) in (list, tuple):
        return type(value)(build(item, library, dtype, grad) for item in value)
    return value


def flat(value: Any) -> list[Any]:
    """The leaves of nested tuples and lists."""
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


# --- one call in both libraries -----------------------------------------------------------------


class Call:
    """One sample, built for one library."""

    def __init__(self, sample: Sample, library: Any, dtype: Any, grad: bool) -> None:
        self.args = [build(a, library, dtype, grad) for a in sample.args]
        self.kwargs = {k: build(v, library, dtype, grad) for k, v in sample.kwargs.items()}
        self.library = library
        self.sample = sample

    def tensors(self) -> list[Any]:
        """The tensors among the arguments."""
        return [t for t in flat([*self.args, *self.kwargs.values()]) if is_tensor(t)]

    def run(self, function: Any) -> Any:
        """The result, or the exception."""
        self.library.manual_seed(0)
        try:
            with warnings.catch_warnings():
                if self.sample.options.warns:
                    warnings.simplefilter("ignore")
                result = function(*self.args, **self.kwargs)
                for leaf in flat(result):
                    if torchish.is_tensor(leaf):
                        host_array(leaf.detach())  # errors of the program belong to this call
                return result
        except Exception as error:
            return error


def compare_leaf(own: Any, theirs: Any, sample: Sample, widen: float, strides: bool) -> str:
    """What differs between two results; empty if nothing does."""
    if not is_tensor(theirs):
        same = own == theirs or (own != own and theirs != theirs)
        return "" if same else f"{own!r} is not {theirs!r}"
    if not is_tensor(own):
        return f"{own!r} is no tensor"
    if str(own.dtype) != str(theirs.dtype):
        return f"dtype {own.dtype}, not {theirs.dtype}"
    if tuple(own.shape) != tuple(theirs.shape):
        return f"shape {tuple(own.shape)}, not {tuple(theirs.shape)}"
    options = sample.options
    if strides and options.strides and theirs.numel():
        if tuple(own.stride()) != tuple(theirs.stride()):
            return f"strides {tuple(own.stride())}, not {tuple(theirs.stride())}"
    if not options.values:
        return ""
    a, b = to_numpy(own), to_numpy(theirs)
    rtol, atol = TOLERANCE.get(str(theirs.dtype)[6:], (0, 0))
    if a.dtype == ml_dtypes.bfloat16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    scale = widen * options.scale
    if np.allclose(a, b, rtol=rtol * scale, atol=atol * scale, equal_nan=True):
        return ""
    return f"values {a.ravel()[:6]}, not {b.ravel()[:6]} (shape {a.shape})"


def compare(own: Any, theirs: Any, sample: Sample, widen: float = 1.0, strides: bool = True) -> str:
    """What differs between two results of one call."""
    if isinstance(own, Exception) or isinstance(theirs, Exception):
        if isinstance(own, Exception) and isinstance(theirs, Exception):
            return "" if isinstance(own, type(theirs)) else f"{own!r}, not {theirs!r}"
        return f"{own!r}, not {theirs!r}"
    mine, other = flat(own), flat(theirs)
    if len(mine) != len(other):
        return f"{len(mine)} results, not {len(other)}"
    for a, b in zip(mine, other, strict=True):
        found = compare_leaf(a, b, sample, widen, strides)
        if found:
            return found
    return ""


def random_like(tensor: Any) -> np.ndarray[Any, Any]:
    """A fixed upstream gradient."""
    array = to_numpy(tensor)
    stream = np.random.RandomState(7)
    values = stream.uniform(-1, 1, array.shape)
    if np.iscomplexobj(array):
        values = values + 1j * stream.uniform(-1, 1, array.shape)
    return values.astype(array.dtype)


def gradients(call: Call, result: Any) -> list[Any]:
    """The gradients of a call's tensors; None where there is none."""
    outs = [t for t in flat(result) if is_tensor(t) and t.requires_grad]
    ins = [t for t in call.tensors() if t.requires_grad]
    if not ins:
        return []
    convert = to_torch if call.library is torch else to_torchish
    upstream = [convert(random_like(t), False) for t in outs]
    with warnings.catch_warnings():
        if call.sample.options.warns:
            warnings.simplefilter("ignore")
        return list(call.library.autograd.grad(outs, ins, upstream, allow_unused=True))


def compare_gradients(own: Call, mine: Any, their: Call, theirs: Any) -> str:
    """What differs between the gradients of two calls."""
    differentiable = [
        any(is_tensor(t) and t.requires_grad for t in flat(result)) for result in (mine, theirs)
    ]
    if differentiable[0] != differentiable[1]:
        return f"requires_grad {differentiable[0]}, not {differentiable[1]}"
    if not differentiable[1]:
        return ""
    for a, b in zip(gradients(own, mine), gradients(their, theirs), strict=True):
        if a is None or b is None:
            other = a if b is None else b
            if other is not None and np.any(to_numpy(other)):
                return f"gradient {a}, not {b}"
            continue
        found = compare_leaf(a, b, own.sample, GRADIENT, False)
        if found:
            return f"gradient: {found}"
    return ""


def check(function: Any, oracle: Any, sample: Sample, dtype: Any, grad: bool) -> str:
    """What differs between the libraries for one sample in one dtype."""
    grad = grad and sample.options.grad
    own, their = Call(sample, torchish, dtype, grad), Call(sample, torch, dtype, grad)
    theirs = their.run(oracle)
    if isinstance(theirs, Exception) and dtype is not None:
        return ""  # PyTorch lacks this dtype; the samples' own dtypes are what must agree
    mine = own.run(function)
    found = compare(mine, theirs, sample)
    if found or not grad or isinstance(theirs, Exception):
        return found
    return compare_gradients(own, mine, their, theirs)


# --- forms --------------------------------------------------------------------------------------


def check_inplace(name: str, sample: Sample) -> str:
    """`x.name_(...)` writes what PyTorch writes, into the tensor itself."""
    own, their = Call(sample, torchish, None, False), Call(sample, torch, None, False)
    theirs = their.run(lambda first, *rest, **kw: getattr(first, name)(*rest, **kw))
    mine = own.run(lambda first, *rest, **kw: getattr(first, name)(*rest, **kw))
    found = compare(mine, theirs, sample)
    if not found and not isinstance(theirs, Exception):
        found = compare_leaf(own.args[0], their.args[0], sample, 1.0, True)
        if not found and mine is not own.args[0]:
            found = "the result is not the tensor itself"
    return found


def check_out(function: Any, oracle: Any, sample: Sample) -> str:
    """`out=` receives the result and is returned."""
    own, their = Call(sample, torchish, None, False), Call(sample, torch, None, False)
    theirs = their.run(oracle)
    if isinstance(theirs, Exception) or not all(is_tensor(t) for t in flat(theirs)):
        return ""
    targets = [[torch.zeros_like(t) for t in flat(theirs)]]
    targets.append([to_torchish(to_numpy(t), False) for t in targets[0]])
    their_out, own_out = (t[0] if len(t) == 1 else tuple(t) for t in targets)
    their.kwargs["out"], own.kwargs["out"] = their_out, own_out
    theirs = their.run(oracle)
    if isinstance(theirs, TypeError):
        return ""  # no `out=` there
    found = compare(own.run(function), theirs, sample, strides=False)
    return found or compare(own_out, their_out, sample, strides=False)


def check_forms(place: str, name: str, function: Any, oracle: Any, sample: Sample) -> list[str]:
    """Differences between the method, in-place and `out=` forms."""
    found = []
    first = sample.args[0] if sample.args else None
    if place == "torch" and isinstance(first, np.ndarray):
        if name in registry.table("method") and hasattr(torch.Tensor, name):
            own, their = Call(sample, torchish, None, False), Call(sample, torch, None, False)

            def method(tensor: Any, *rest: Any, **kwargs: Any) -> Any:
                return getattr(tensor, name)(*rest, **kwargs)

            found.append(("method", compare(own.run(method), their.run(method), sample)))
        if f"{name}_" in registry.table("method") and hasattr(torch.Tensor, f"{name}_"):
            found.append(("in place", check_inplace(f"{name}_", sample)))
    if place not in ("nn.functional", "method"):
        found.append(("out=", check_out(function, oracle, sample)))
    return [f"{form}: {text}" for form, text in found if text]


# --- tests --------------------------------------------------------------------------------------


def resolve(name: str) -> tuple[str, str]:
    """The place and the bare name of a sample's key."""
    place, _, bare = name.rpartition(".")
    return ("method" if place == "Tensor" else place), bare


def oracle_of(place: str, bare: str) -> Any:
    """PyTorch's function of that name."""
    if place == "method":
        return getattr(torch.Tensor, bare)
    module = functools.reduce(getattr, [p for p in place.split(".") if p != "torch"], torch)
    return getattr(module, bare)


def in_half(bare: str, oracle: Any) -> Any:
    """PyTorch's function for bfloat16, by way of float64 where its own kernel rounds on the way.

    Of a transposed convolution half of the numbers then differ from the rounded exact ones.
    """
    if not bare.startswith("conv_transpose") or HALF_KERNELS:
        return oracle

    def exact(*args: Any, **kwargs: Any) -> Any:
        wide = [a.double() if is_tensor(a) else a for a in args]
        named = {k: a.double() if is_tensor(a) else a for k, a in kwargs.items()}
        return oracle(*wide, **named).bfloat16()

    return exact


def differences(name: str, sample: Sample) -> list[str]:
    """All that differs for one sample."""
    place, bare = resolve(name)
    function, oracle = registry.table(place)[bare], oracle_of(place, bare)
    found = [("", check(function, oracle, sample, None, True))]
    arrays = [a for a in flat([*sample.args, *sample.kwargs.values()]) if isinstance(a, np.ndarray)]
    if sample.options.half and any(a.dtype == np.float32 for a in arrays):
        half = check(function, in_half(bare, oracle), sample, ml_dtypes.bfloat16, False)
        found.append(("bfloat16: ", half))
    texts = [prefix + text for prefix, text in found if text]
    if sample.options.forms:
        texts += check_forms(place, bare, function, oracle, sample)
    return texts


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_parity(name: str, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All samples of one operator, once in each tier."""
    monkeypatch.setattr(settings, "compiled", tier != "interpreted")
    monkeypatch.setattr(settings, "eager", tier == "interpreted")
    if tier == "compiled":
        whole = jax.stages.Lowered.compile
        quick = functools.partialmethod(whole, compiler_options=QUICK)
        monkeypatch.setattr(jax.stages.Lowered, "compile", quick)
    problems = []
    for position, sample in enumerate(SAMPLES[name]):
        found = differences(name, sample)
        if sample.options.reason:
            if not found:
                problems.append(f"sample {position} no longer differs: {sample.options.reason}")
        else:
            problems += [f"sample {position}: {text}" for text in found]
    assert not problems, "\n".join(problems)


def sampled_operators() -> set[int]:
    """The operators that a sample calls directly, by any of their names."""
    found = set()
    for name in SAMPLES:
        place, bare = resolve(name)
        function = registry.table(place)[bare]
        found.add(id(getattr(function, "operator", function)))
    return found


def unsampled(place: str) -> list[str]:
    """Public names of one place whose operator no sample calls."""
    covered = sampled_operators()
    return sorted(
        f"{place}.{name}"
        for name, function in registry.table(place).items()
        if hasattr(function, "operator") and id(function.operator) not in covered
    )


@pytest.mark.parametrize("place", [*PLACES, "method"])
def test_every_operator_has_samples(place: str) -> None:
    """An operator without samples is not proven."""
    assert unsampled(place) == []


def test_names_are_torchs() -> None:
    """Every sampled name exists in PyTorch too."""
    for name in SAMPLES:
        assert callable(oracle_of(*resolve(name))), name
