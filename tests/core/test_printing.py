"""The text of tensors is PyTorch's, for any values, shape, dtype and print option."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from torchish._tensor import printing as printing

FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
COMPLEX = ["complex64", "complex128"]


@pytest.fixture(autouse=True)
def default_options():
    """Every test starts and ends with the default print options, in both libraries."""
    yield
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")


def as_array(t: torch.Tensor) -> np.ndarray:
    """The numbers of a torch tensor as our engine would hand them over."""
    t = t.detach()
    if t.dtype == torch.bfloat16:
        import ml_dtypes

        return t.float().numpy().astype(ml_dtypes.bfloat16)
    if t.dtype == torch.complex32:
        return t.to(torch.complex64).numpy()
    return t.numpy()


def ours(t: torch.Tensor, **facts) -> str:
    if t.grad_fn is not None:
        facts.setdefault("grad_fn_name", type(t.grad_fn).__name__)
    return printing.tensor_str(
        None if t.is_meta else as_array(t),
        dtype_name=str(t.dtype).removeprefix("torch."),
        shape=t.shape,
        device=str(t.device),
        default_dtype_name=str(torch.get_default_dtype()).removeprefix("torch."),
        requires_grad=t.requires_grad,
        **facts,
    )


def assert_same(t: torch.Tensor, **facts) -> None:
    assert ours(t, **facts) == repr(t)


def random_tensor(seed: int, shape: tuple[int, ...], dtype_name: str, kind: str) -> torch.Tensor:
    """Numbers of one of several looks: they decide between whole, fixed and scientific."""
    rng = np.random.default_rng(seed)
    dtype = getattr(torch, dtype_name)
    if dtype_name == "bool":
        return torch.from_numpy(np.asarray(rng.random(shape) < 0.5))
    if dtype_name in INTEGERS:
        high = {"whole": 10, "huge": 127}.get(kind, 100)
        low = 0 if dtype_name == "uint8" else -high
        return torch.from_numpy(np.asarray(rng.integers(low, high, shape))).to(dtype)

    def parts() -> np.ndarray:
        normal = rng.standard_normal(shape)
        values = {
            "normal": lambda: normal,
            "whole": lambda: np.round(normal * 3),
            "wide": lambda: normal * 10.0 ** rng.integers(-6, 7, shape),
            "tiny": lambda: normal * 1e-6,
            "huge": lambda: np.round(normal * 1e9),
            "zeros": lambda: np.zeros(shape) * np.sign(normal),
            "odd": lambda: np.where(
                rng.random(shape) < 0.4,
                rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], shape),
                np.round(normal, int(rng.integers(0, 3))),
            ),
            "hundreds": lambda: normal * 300,
        }[kind]()
        return np.asarray(values)

    if dtype_name in COMPLEX:
        return torch.complex(
            torch.from_numpy(parts().astype(np.float64)),
            torch.from_numpy(parts().astype(np.float64)),
        ).to(dtype)
    return torch.from_numpy(parts().astype(np.float64)).to(dtype)


KINDS = ["normal", "whole", "wide", "tiny", "huge", "zeros", "odd", "hundreds"]
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 10**6),
    shape=SHAPES,
    dtype_name=st.sampled_from([*FLOATS, *INTEGERS, *COMPLEX, "bool"]),
    kind=st.sampled_from(KINDS),
)
@example(seed=0, shape=(45,), dtype_name="float32", kind="zeros")
@example(seed=0, shape=(), dtype_name="complex64", kind="odd")
@example(seed=1, shape=(7, 3), dtype_name="bfloat16", kind="wide")
def test_text_of_random_tensors(seed, shape, dtype_name, kind):
    assert_same(random_tensor(seed, shape, dtype_name, kind))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 10**6),
    shape=SHAPES,
    dtype_name=st.sampled_from([*FLOATS, "int64", "bool", "complex64"]),
    kind=st.sampled_from(KINDS),
    options=st.fixed_dictionaries(
        {},
        optional={
            "precision": st.integers(0, 8),
            "threshold": st.sampled_from([0, 5, 50, math.inf]),
            "edgeitems": st.integers(0, 4),
            "linewidth": st.sampled_from([10, 40, 80, 120, 200]),
            "profile": st.sampled_from(["default", "short", "full"]),
            "sci_mode": st.sampled_from([None, True, False]),
        },
    ),
)
def test_text_under_print_options(seed, shape, dtype_name, kind, options):
    t = random_tensor(seed, shape, dtype_name, kind)
    before = printing.get_printoptions()
    with torch._tensor_str.printoptions(**options), printing.printoptions(**options):
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
        assert_same(t)
    assert printing.get_printoptions() == before


@pytest.mark.parametrize(
    "shape", [(1001,), (1000,), (40, 40), (3, 1, 500), (5, 7, 8, 9), (2000, 1)]
)
@pytest.mark.parametrize("dtype_name", ["float32", "int64", "complex64", "bool"])
def test_summaries(shape, dtype_name):
    assert_same(random_tensor(3, shape, dtype_name, "normal"))


def test_width_of_a_summary_comes_from_what_is_shown():
    t = torch.arange(2000.0)
    t[1000] = 1e30
    assert_same(t)


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (), (1,), (1, 1, 1), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("dtype_name", [*FLOATS, *INTEGERS, *COMPLEX, "bool", "complex32"])
def test_empty_and_single(shape, dtype_name):
    assert_same(torch.zeros(shape, dtype=getattr(torch, dtype_name)))


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [-0.0],
        [1e-4, 1.0],
        [9.9e-5, 1.0],
        [1.0, 1000.0],
        [1.0, 1001.0],
        [0.5, 500.0],
        [0.5, 500.5],
        [1e8],
        [1.00001e8],
        [math.nan],
        [math.nan, 1.0],
        [math.inf, 1.5],
        [-math.inf, 1e10],
        [5.5, 3],
        [0.99999],
        [1e-45, 1e38],
        [1e-300, 1e300],
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype_name", FLOATS)
def test_fixed_or_scientific(values, dtype_name):
    assert_same(torch.tensor(values, dtype=torch.float64).to(getattr(torch, dtype_name)))


@pytest.mark.parametrize("default", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype_name", [*FLOATS, *COMPLEX, "int64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(2,), (0,)])
def test_dtype_is_named_when_it_is_not_the_default(default, dtype_name, shape):
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        assert_same(torch.ones(shape, dtype=getattr(torch, dtype_name)))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("shape", [(), (3,), (2, 12), (9, 5), (0, 2)], ids=str)
def test_grad_suffixes(shape):
    t = random_tensor(1, shape, "float32", "normal").requires_grad_()
    assert_same(t)
    assert_same(t + 1)
    assert_same((t * 2).double())
    assert_same(t.reshape(-1).cos())


@pytest.mark.parametrize("linewidth", [20, 33, 34, 35, 36, 60])
def test_suffixes_wrap(linewidth):
    t = (torch.rand(2, requires_grad=True) + 1).double()
    with torch._tensor_str.printoptions(linewidth=linewidth):
        with printing.printoptions(linewidth=linewidth):
            assert_same(t)


def test_meta_tensors_have_no_numbers():
    assert_same(torch.empty(2, 3, device="meta"))
    assert_same(torch.empty((), device="meta", dtype=torch.int64))


def test_device_shows_when_it_is_not_the_default():
    text = printing.tensor_str(np.ones(2, np.float32), dtype_name="float32", device="cuda:0")
    assert text == "tensor([1., 1.], device='cuda:0')"


def test_parameters_and_subclasses():
    class Mine(torch.Tensor):
        pass

    class MyParameter(torch.nn.Parameter):
        pass

    values = torch.rand(2, 40)
    assert_same(values.as_subclass(Mine), class_name="Mine")
    plain, mine = torch.nn.Parameter(values), MyParameter(values)
    assert "Parameter containing:\n" + ours(plain) == repr(plain)
    assert f"Parameter containing:\nParameter({ours(mine, class_name='MyParameter')})" == repr(mine)


def test_given_contents():
    t = torch.rand(2, dtype=torch.float64)
    assert ours(t, contents="...") == t.__repr__(tensor_contents="...")


def test_profiles_and_sci_mode_reset():
    for module in (torch, printing):
        module.set_printoptions(profile="short", sci_mode=True)
        module.set_printoptions(precision=3)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    assert printing.get_printoptions()["sci_mode"] is None


def test_options_return_after_an_exception():
    before = printing.get_printoptions()
    with pytest.raises(KeyError), printing.printoptions(precision=1):
        raise KeyError
    assert printing.get_printoptions() == before
