"""The CPU generator against PyTorch's: values, words consumed and state.

Floats of 32 bits and less must be equal; doubles may differ in the last places, since PyTorch and
numpy call different math libraries.
"""

from __future__ import annotations

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
import torch

from torchish._basics import devices
from torchish._random import boxmuller, draws, rejection
from torchish._random.generator import (
    Generator,
    default_generator,
    device_generator,
    seed_devices,
)

HALF, BFLOAT = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
FLOATS = {HALF: torch.float16, BFLOAT: torch.bfloat16, SINGLE: torch.float32, DOUBLE: torch.float64}
INTS = {
    np.dtype(name): getattr(torch, name)
    for name in ("bool", "uint8", "int8", "int16", "int32", "int64")
}
SIZES = (0, 1, 2, 3, 15, 16, 17, 31, 33, 100, 1001, boxmuller.CHUNK + 23)


@pytest.fixture(params=[0, 42, 2**31, 2**40 + 5, -3])
def gen(request):
    made = Generator()
    made.manual_seed(request.param)
    torch.manual_seed(request.param)
    return made


def same(gen, mine, theirs, exact=True):
    """Equal values and equal generators afterwards."""
    if mine.dtype == BFLOAT:
        mine, theirs = mine.astype(np.float32), theirs.float()
    if exact or mine.dtype != DOUBLE:
        np.testing.assert_array_equal(mine, theirs.numpy())
    else:
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(gen.state_array(), torch.get_rng_state().numpy())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_uniform(gen, dtype):
    for n in SIZES:
        same(gen, draws.uniform(gen, n, dtype), torch.rand(n, dtype=FLOATS[dtype]))
        for low, high in ((-0.3, 0.7), (1.1, 9.3), (5, 5), (0, 1000.001), (100, 101)):
            theirs = torch.empty(n, dtype=FLOATS[dtype]).uniform_(low, high)
            same(gen, draws.uniform(gen, n, dtype, low, high), theirs)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_normal(gen, dtype):
    for n in SIZES:
        for mean, std in ((0, 1), (0.5, 0.02), (-3, 7.7), (0, 0.02), (1, 0)):
            theirs = torch.empty(n, dtype=FLOATS[dtype]).normal_(mean, std)
            same(gen, draws.normal(gen, n, dtype, mean, std), theirs, exact=False)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_normal_of_a_strided_tensor_is_drawn_value_by_value(gen, dtype):
    for n in SIZES:
        theirs = torch.empty(2 * n, dtype=FLOATS[dtype])[::2].normal_(0.3, 1.7)
        same(gen, draws.normal(gen, n, dtype, 0.3, 1.7, contiguous=n < 2), theirs, exact=False)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_other_continuous_distributions(gen, dtype):
    for n in SIZES:
        empty = torch.empty(n, dtype=FLOATS[dtype])
        same(gen, draws.log_normal(gen, n, dtype, 0.3, 0.7), empty.log_normal_(0.3, 0.7), False)
        same(gen, draws.exponential(gen, n, dtype, 1.7), empty.exponential_(1.7), False)
        same(gen, draws.cauchy(gen, n, dtype, 0.2, 1.7), empty.cauchy_(0.2, 1.7), False)
        same(gen, draws.geometric(gen, n, dtype, 0.3), empty.geometric_(0.3), False)


def test_normal_polynomials_on_every_kind_of_input():
    """1.6 million values: every bit as PyTorch's fused polynomials make them."""
    gen = Generator().manual_seed(5)
    torch.manual_seed(5)
    same(gen, draws.normal(gen, 1_600_001, SINGLE), torch.randn(1_600_001))


def test_bernoulli(gen):
    for n in SIZES:
        for p in (0, 0.1, 0.5, 0.9, 1, 1 / 3):
            same(gen, draws.bernoulli(gen, n, p), torch.empty(n).bernoulli_(p).bool())
        for dtype, theirs in FLOATS.items():
            p = torch.rand(n, dtype=theirs)
            mine = draws.uniform(gen, n, dtype)
            same(gen, draws.bernoulli_each(gen, mine), torch.bernoulli(p).bool())


@pytest.mark.parametrize(
    "low, high",
    [(0, 10), (-5, 100), (0, 2**28 - 1), (0, 2**28), (-(2**62), 2**62), (3, 2**40), (7, 8)],
)
def test_integers(gen, low, high):
    for n in SIZES:
        mine = draws.integers(gen, n, np.dtype(np.int64), high - low, low)
        same(gen, mine, torch.randint(low, high, (n,)))


@pytest.mark.parametrize("dtype", [*INTS, *FLOATS], ids=str)
def test_integers_of_every_dtype(gen, dtype):
    theirs = {**INTS, **FLOATS}[dtype]
    for n in SIZES:
        same(gen, draws.integers_default(gen, n, dtype), torch.empty(n, dtype=theirs).random_())
        mine = draws.integers(gen, n, dtype, 2 if dtype == np.bool_ else 100, 0)
        same(gen, mine, torch.randint(0, 2 if dtype == np.bool_ else 100, (n,), dtype=theirs))


def test_all_64_bits(gen):
    mine = draws.integers_full(gen, 50, np.dtype(np.int64))
    same(gen, mine, torch.empty(50, dtype=torch.int64).random_(-(2**63), None))


def test_permutation(gen):
    for n in (0, 1, 2, 3, 10, 599, 1499, 1500, 1501, 5000, 60_000):
        same(gen, draws.permutation(gen, n), torch.randperm(n))
    same(gen, draws.permutation(gen, 20, np.dtype(np.int16)), torch.randperm(20, dtype=torch.int16))


def test_long_permutation_is_a_permutation(monkeypatch):
    """PyTorch's rule for 215 million elements and more, checked against its definition."""
    monkeypatch.setattr(draws, "_LONG_PERMUTATION", 1000)
    gen = Generator().manual_seed(1)
    order = draws.permutation(gen, 1000)
    words = draws.words64(gen.manual_seed(1), 1000).tolist()
    expected: list[int] = []
    for i, word in enumerate(words):
        expected.append(i)
        j = word % (i + 1)
        expected[i], expected[j] = expected[j], i
    assert order.tolist() == expected
    assert sorted(order.tolist()) == list(range(1000))


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize("low, high", [(0, 1), (0.5, 9), (9, 12), (10, 1000), (0, 1e-3)])
def test_rejection_samplers(gen, dtype, low, high):
    rng = np.random.default_rng(0)
    for n in (1, 5, 300):
        a = (rng.random(n) * (high - low) + low).astype(dtype)
        p = rng.random(n).astype(dtype)
        theirs = torch.from_numpy(a)
        same(gen, rejection.gamma(gen, a), torch._standard_gamma(theirs), exact=False)
        same(gen, rejection.poisson(gen, a), torch.poisson(theirs))
        binomial = torch.binomial(theirs.floor(), torch.from_numpy(p))
        same(gen, rejection.binomial(gen, np.floor(a), p), binomial)
        same(gen, rejection.dirichlet(gen, a), torch._sample_dirichlet(theirs), exact=False)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_multinomial(gen, dtype):
    weights = np.random.default_rng(0).random((4, 25)).astype(np.float32).astype(dtype)
    theirs = torch.from_numpy(weights.astype(np.float64)).to(FLOATS[dtype])
    for replacement in (False, True):
        # without replacement half types tie, and torch leaves the order of ties open
        for count in (1, 7, 25) if replacement or dtype.itemsize > 2 else (1,):
            mine = rejection.multinomial(gen, weights[0], count, replacement)
            same(gen, mine, torch.multinomial(theirs[0], count, replacement))
            mine = rejection.multinomial(gen, weights, count, replacement)
            same(gen, mine, torch.multinomial(theirs, count, replacement))


def test_mixed_draws_keep_in_step(gen):
    """The kept normal value and half-used words carry over from one kind of draw to the next."""
    plan = np.random.default_rng(1)
    for _ in range(60):
        n = int(plan.integers(1, 40))
        kind = int(plan.integers(0, 6))
        if kind == 0:
            same(gen, draws.normal(gen, n, SINGLE), torch.randn(n))
        elif kind == 1:
            same(gen, draws.uniform(gen, n, SINGLE), torch.rand(n))
        elif kind == 2:
            same(gen, draws.permutation(gen, n), torch.randperm(n))
        elif kind == 3:
            same(gen, draws.log_normal(gen, n, SINGLE, 0, 1), torch.empty(n).log_normal_(0, 1))
        elif kind == 4:
            ones = np.ones(n, np.float32)
            same(gen, rejection.gamma(gen, ones), torch._standard_gamma(torch.ones(n)))
        else:
            same(gen, draws.bernoulli(gen, n, 0.3), torch.empty(n).bernoulli_(0.3).bool())


# -- state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [0, 1, 5, 623, 624, 625, 1248])
def test_state_continues_in_torch_and_back(used):
    gen = Generator().manual_seed(11)
    theirs = torch.Generator().manual_seed(11)
    gen.words(used)
    torch.rand(used, generator=theirs)
    np.testing.assert_array_equal(gen.state_array(), theirs.get_state().numpy())
    draws.normal(gen, 3, SINGLE)  # leaves a kept value
    theirs.set_state(torch.from_numpy(gen.state_array()))
    assert torch.randn(3, generator=theirs).tolist() == draws.normal(gen, 3, SINGLE).tolist()
    other = Generator()
    other.load_state_array(theirs.get_state().numpy())
    assert other.initial_seed() == 11
    assert torch.rand(700, generator=theirs).tolist() == draws.uniform(other, 700, SINGLE).tolist()


def test_state_errors():
    gen = Generator()
    with pytest.raises(RuntimeError, match="Expected a CPUGeneratorImplState of size 5056"):
        gen.load_state_array(np.zeros(10, np.uint8))
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        gen.load_state_array(np.zeros(5056, np.uint8))
    with pytest.raises(RuntimeError, match="does not use offset"):
        gen.get_offset()


def test_seeds():
    gen = Generator()
    assert gen.initial_seed() == torch.Generator().initial_seed()
    assert draws.uniform(gen, 2, SINGLE).tolist() == (
        torch.rand(2, generator=torch.Generator()).tolist()
    )
    assert gen.manual_seed(-1) is gen
    assert gen.initial_seed() == 2**64 - 1
    assert gen.seed() == gen.initial_seed()
    for bad, error in ((2**64, ValueError), (-(2**63) - 1, ValueError), (1.5, RuntimeError)):
        with pytest.raises(error) as mine:
            gen.manual_seed(bad)
        with pytest.raises(error) as theirs:
            torch.Generator().manual_seed(bad)
        assert str(mine.value) == str(theirs.value)


def test_copies_are_independent():
    gen = Generator().manual_seed(3)
    draws.normal(gen, 3, SINGLE)
    twins = [gen.clone_state(), copy.deepcopy(gen), pickle.loads(pickle.dumps(gen))]
    expected = draws.normal(gen, 5, SINGLE).tolist()
    for twin in twins:
        assert draws.normal(twin, 5, SINGLE).tolist() == expected


def test_threads_do_not_interleave_inside_a_draw():
    gen = Generator().manual_seed(0)
    pieces: list[list[float]] = []

    def work():
        for _ in range(20):
            pieces.append(draws.normal(gen, 100_000, SINGLE)[:4].tolist())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    gen.manual_seed(0)
    expected = [draws.normal(gen, 100_000, SINGLE)[:4].tolist() for _ in range(60)]
    assert sorted(pieces) == sorted(expected)


def test_device_generators_count(monkeypatch):
    with pytest.raises(RuntimeError, match="META device type"):
        Generator("meta")
    monkeypatch.setattr(devices, "jax_devices", lambda kind: [object()])
    gen = Generator("cuda")
    assert gen.manual_seed(5).next_counter() == (5, 0)
    assert gen.next_counter() == (5, 4)
    state = gen.state_array()
    assert state.size == 16
    twin = Generator("cuda")
    twin.load_state_array(state)
    assert twin.next_counter() == (5, 8)
    gen.set_offset(40)
    assert gen.get_offset() == 40
    default = device_generator(gen.device)
    seed_devices(9)
    assert default.initial_seed() == 9
    assert device_generator(default_generator.device) is default_generator
