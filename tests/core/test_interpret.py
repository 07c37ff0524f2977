"""The interpreter's rules against XLA: dtypes, empty and 0-d shapes, NaN, overflow, division."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch as oracle
from jax import lax

import torchish
from tests.ops import test_parity as parity
from tests.xla import QUICK
from torchish._basics.settings import settings
from torchish._core import running
from torchish._interpret import fallback, windows
from torchish._interpret.rules import Plan
from torchish._interpret.table import rule
from torchish._ops import registry
from torchish._ops.call import operator

FLOATS = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
INTS = (np.int8, np.int32, np.int64, np.uint8)
TOLERANCE = {2: 2e-2, 4: 2e-5, 8: 1e-12}


def values(dtype: Any, shape: tuple[int, ...] = (12,)) -> np.ndarray[Any, Any]:
    """Numbers of a type, its special ones first."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        base: Any = [True, False]
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        base = [0, 1, 2, 3, 7, limits.max, limits.min, limits.max - 1]
        base += [-1, -2, -7] if dtype.kind == "i" else []
    elif dtype.kind == "c":
        base = [0, 1 + 2j, -1j, 3.5, -2 - 1j, 1e-3]
    else:
        base = [0.0, -0.0, 1.0, -1.5, 0.3, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-3, 7.0]
    return np.resize(np.array(base, dtype), shape)


def same(function: Callable[..., Any], *arrays: Any) -> None:
    """What the interpreter and XLA make of `function` on the arrays."""
    all_same([(function, *arrays)])


def all_same(cases: Iterable[tuple[Any, ...]]) -> None:
    """`same` of each function and its arrays; XLA compiles one program for all of them."""
    cases = list(cases)
    inputs = [list(arrays) for _, *arrays in cases]

    def program(them: list[list[Any]]) -> list[Any]:
        return [case[0](*arrays) for case, arrays in zip(cases, them, strict=True)]

    theirs = jax.jit(program, compiler_options=QUICK)(inputs)
    for case, expected in zip(cases, theirs, strict=True):
        one_same(case[0], case[1:], jax.tree.leaves(expected))


def one_same(function: Callable[..., Any], arrays: Any, theirs: list[Any]) -> None:
    """Assert that the interpreter makes `theirs` of `function` on the arrays."""
    plan = Plan(jax.make_jaxpr(function)(*arrays))
    with np.errstate(all="ignore"):
        mine = plan.run(list(arrays))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, map(np.asarray, theirs), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        size = a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1)
        close = TOLERANCE[size] if a.dtype.kind in "fVc" else 0
        wide = np.complex128 if a.dtype.kind == "c" else np.float64
        if a.dtype.kind in "fVc":
            a, b = a.astype(wide), b.astype(wide)
        np.testing.assert_allclose(a, b, rtol=close, atol=close, err_msg=str(arrays))


UNARY: dict[str, tuple[Any, Any]] = {
    "neg": (lax.neg, FLOATS + INTS), "abs": (lax.abs, (*FLOATS, *INTS[:3], np.complex64)),
    "sign": (lax.sign, (*FLOATS, *INTS, np.complex64)), "floor": (lax.floor, FLOATS),
    "ceil": (lax.ceil, FLOATS), "exp": (lax.exp, (*FLOATS, np.complex64)),
    "log": (lax.log, FLOATS), "log1p": (lax.log1p, FLOATS), "expm1": (lax.expm1, FLOATS),
    "tanh": (lax.tanh, FLOATS), "logistic": (lax.logistic, FLOATS), "sqrt": (lax.sqrt, FLOATS),
    "rsqrt": (lax.rsqrt, FLOATS), "cbrt": (lax.cbrt, FLOATS), "erf": (lax.erf, FLOATS),
    "erfc": (lax.erfc, FLOATS), "sin": (lax.sin, FLOATS), "atan": (lax.atan, FLOATS),
    "is_finite": (lax.is_finite, FLOATS), "not": (lax.bitwise_not, (*INTS, np.bool_)),
    "population_count": (lax.population_count, INTS), "clz": (lax.clz, INTS),
    "round away": (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), FLOATS),
    "round even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), FLOATS),
    "integer_pow": (lambda x: lax.integer_pow(x, 3), FLOATS + INTS),
    "integer_pow -2": (lambda x: lax.integer_pow(x, -2), FLOATS),
    "real": (lax.real, (np.complex64,)), "conj": (lax.conj, (np.complex64,)),
    "lgamma": (lax.lgamma, (np.float32, np.float64)),
    "cumsum": (lambda x: lax.cumsum(x, reverse=True), FLOATS + INTS),
    "cummax": (lambda x: lax.cummax(x), FLOATS + INTS),
    "sort": (lax.sort, (*FLOATS, *INTS, np.bool_)),
    "top_k": (lambda x: lax.top_k(x, 5), FLOATS + INTS),
    "argmax": (lambda x: lax.argmax(x, 0, np.int32), FLOATS + INTS),
    "argmin": (lambda x: lax.argmin(x, 0, np.int32), FLOATS + INTS),
    "reduce_sum": (lambda x: lax.reduce_sum(x, (0,)), INTS),
    "reduce_max": (lambda x: lax.reduce_max(x, (0,)), FLOATS + INTS),
    "reduce_min": (lambda x: lax.reduce_min(x, (0,)), FLOATS + INTS),
    "bitcast": (lambda x: lax.bitcast_convert_type(x, np.int32), (np.float32,)),
}  # fmt: skip
BINARY: dict[str, tuple[Any, Any]] = {
    "add": (lax.add, (*FLOATS, *INTS, np.complex64)), "sub": (lax.sub, FLOATS + INTS),
    "mul": (lax.mul, (*FLOATS, *INTS, np.complex64)), "div": (lax.div, FLOATS + INTS),
    "rem": (lax.rem, FLOATS + INTS), "max": (lax.max, FLOATS + INTS),
    "min": (lax.min, FLOATS + INTS), "pow": (lax.pow, (*FLOATS, np.complex64, np.complex128)),
    "eq": (lax.eq, FLOATS + INTS),
    "lt": (lax.lt, FLOATS + INTS), "ge": (lax.ge, FLOATS + INTS),
    "and": (lax.bitwise_and, (*INTS, np.bool_)), "xor": (lax.bitwise_xor, (*INTS, np.bool_)),
    "shift_left": (lax.shift_left, INTS), "atan2": (lax.atan2, (np.float32, np.float64)),
    "shift_right": (lax.shift_right_logical, INTS),
    "shift_arithmetic": (lax.shift_right_arithmetic, INTS),
    "nextafter": (lax.nextafter, (np.float32, np.float64)),
    "complex": (lax.complex, (np.float32,)),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name: str) -> None:
    function, dtypes = UNARY[name]
    all_same((function, values(dtype)) for dtype in dtypes)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays(name: str) -> None:
    function, dtypes = BINARY[name]
    cases: list[tuple[Any, ...]] = []
    for dtype in dtypes:
        x = values(dtype)
        a, b = (np.array(part).reshape(-1) for part in np.meshgrid(x, x))
        cases += [(function, a, b)]
        cases += [(function, few, few) for few in (a[:0], a[5:6].reshape(()))]
    all_same(cases)


@pytest.mark.parametrize("source", [*FLOATS, *INTS, np.bool_, np.complex64])
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_conversions(source: Any) -> None:
    all_same(
        (lambda x, target=target: lax.convert_element_type(x, target), values(source))
        for target in (*FLOATS, *INTS, np.bool_)
    )


def grid(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Different numbers, ties among them."""
    count = int(np.prod(shape))
    return ((np.arange(count) * 7) % 11 - 4).astype(dtype).reshape(shape)


GATHERS = {
    "rows": lambda x, i: x[i], "columns": lambda x, i: x[:, i], "pairs": lambda x, i: x[i, i],
    "fill": lambda x, i: x.at[i].get(mode="fill", fill_value=9),
    "clip": lambda x, i: x.at[i].get(mode="clip"),
    "along": lambda x, i: jnp.take_along_axis(x, i[:, None] % 3, 1),
    "windows": lambda x, i: jax.vmap(lambda k: lax.dynamic_slice(x, (k, 0), (2, 2)))(i),
}  # fmt: skip


@pytest.mark.parametrize("name", GATHERS)
def test_gather(name: str) -> None:
    for index in ([0, 2, 3, -1], [7, -9, 1, 1], []):
        x = grid((4, 4))[: len(index)] if name == "along" else grid((4, 4))
        same(GATHERS[name], x, np.array(index, np.int64))


@pytest.mark.parametrize("how", ["set", "add", "multiply", "min", "max"])
@pytest.mark.parametrize("mode", ["drop", "clip"])
def test_scatter(how: str, mode: str) -> None:
    def rows(x: Any, i: Any, u: Any) -> Any:
        return getattr(x.at[i], how)(u, mode=mode)

    index = [0, 2, 3, 9] if how == "set" else [0, 2, 2, 9]
    same(rows, grid((4, 3)), np.array(index), grid((4, 3)) + 1)
    same(rows, grid((4, 3)), np.array([], np.int64), grid((0, 3)))


def test_updates_never_show_in_their_operand() -> None:
    def twice(x: Any) -> Any:
        y = lax.dynamic_update_slice(x, jnp.ones((1, 3), x.dtype), (1, 0))
        return y, lax.dynamic_update_slice(y, jnp.zeros((1, 3), x.dtype), (5, 0)), y * 2

    x = grid((4, 3))
    before = x.copy()
    same(twice, x)
    assert np.array_equal(x, before)


def test_an_update_of_what_nobody_else_holds_is_in_place() -> None:
    def update(x: Any) -> Any:
        return lax.dynamic_update_slice(x + 1, jnp.ones((1, 3), x.dtype), (1, 0))

    plan = Plan(jax.make_jaxpr(update)(grid((4, 3))))
    made: list[int] = []
    kind, add, ins, out = plan.steps[0]

    def noted(*arrays: Any) -> Any:
        made.append(id(result := add(*arrays)))
        return result

    plan.steps[0] = (kind, noted, ins, out)
    (found,) = plan.run([grid((4, 3))])
    assert id(found) == made[0]


CONVOLUTIONS = [
    {"window_strides": (1, 1), "padding": ((0, 0), (0, 0))},
    {"window_strides": (2, 1), "padding": ((1, 2), (0, 1)), "rhs_dilation": (1, 2)},
    {"window_strides": (1, 2), "padding": ((2, 2), (3, 1)), "lhs_dilation": (2, 1)},
    {"window_strides": (1, 1), "padding": ((-1, 0), (0, -1))},
    {"window_strides": (1, 1), "padding": ((1, 1), (1, 1)), "feature_group_count": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS)
def test_convolution(options: dict[str, Any]) -> None:
    groups = options.get("feature_group_count", 1)
    x, w = grid((2, 4, 6, 7)), grid((6, 4 // groups, 3, 2))
    convolve = partial(lax.conv_general_dilated, **options)
    same(convolve, x, w)
    same(convolve, x.astype(ml_dtypes.bfloat16), w.astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("pads", ["VALID", "SAME"])
def test_windows(pads: str) -> None:
    x = grid((1, 2, 7, 6))
    for operation, initial in ((lax.max, -np.inf), (lax.min, np.inf), (lax.add, 0.0)):
        same(
            lambda x, f=operation, i=initial: lax.reduce_window(
                x, np.float32(i), f, (1, 1, 3, 2), (1, 1, 2, 2), pads
            ),
            x,
        )
    pool = partial(
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (1, 1, 3, 2), (1, 1, 2, 2), pads)
    )
    same(jax.grad(lambda x: (pool(x) * 2.0).sum()), x)


MATRICES = [
    (((1,), (0,)), ((), ())), (((0,), (0,)), ((), ())), (((1,), (1,)), ((), ())),
    (((), ()), ((), ())), (((0, 1), (1, 0)), ((), ())), (((1,), (1,)), ((0,), (0,))),
]  # fmt: skip


@pytest.mark.parametrize("numbers", MATRICES)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.int32, np.complex64])
def test_products(numbers: Any, dtype: Any) -> None:
    x, y = grid((3, 3), dtype), grid((3, 3), dtype) + np.dtype(dtype).type(1)
    same(lambda a, b: lax.dot_general(a, b, numbers), x, y)


def test_long_sums_of_convolutions_are_as_exact_as_pytorchs() -> None:
    """Errors against float64 of 2304 and 512 terms, with sums that do not cancel."""
    rng = np.random.default_rng(0)
    x = rng.random((2, 256, 12, 12), np.float32)
    w = rng.random((512, 256, 3, 3), np.float32)
    g = rng.random((2, 512, 10, 10), np.float32)
    ones, none = (1, 1), ((0, 0), (0, 0))

    def maps(x: Any, w: Any, g: Any) -> list[Any]:
        return [
            windows.convolve(x, w, ones, none, ones, 1, (10, 10)),
            windows.convolve_input_grad(g, w, (12, 12), ones, none, ones, 1),
        ]

    def pytorchs() -> list[Any]:
        a, b = oracle.from_numpy(x).requires_grad_(), oracle.from_numpy(w)
        y = oracle.nn.functional.conv2d(a, b)
        return [y.detach().numpy(), oracle.autograd.grad(y, a, oracle.from_numpy(g))[0].numpy()]

    exact = maps(*(v.astype(np.float64) for v in (x, w, g)))
    for ours, theirs, true in zip(maps(x, w, g), pytorchs(), exact, strict=True):
        assert np.abs(ours - true).mean() <= 1.5 * np.abs(theirs - true).mean()


def test_short_sums_of_convolutions_are_exact() -> None:
    """A hundred smooth terms that cancel, as noise through DCGAN's first layer: rounded once."""
    g = np.cos(np.arange(1600) * 0.7391).astype(np.float32).reshape(16, 100, 1, 1)
    w = np.sin(np.arange(51200) * 0.37).astype(np.float32).reshape(100, 32, 4, 4)
    ones, none = (1, 1), ((0, 0), (0, 0))

    def spread(g: Any, w: Any) -> Any:
        return windows.convolve_input_grad(g, w, (4, 4), ones, none, ones, 1)

    exact = spread(g.astype(np.float64), w.astype(np.float64))
    np.testing.assert_array_equal(spread(g, w), exact.astype(np.float32))


def test_products_of_nothing() -> None:
    for shapes in (((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0))):
        same(lax.dot, *(np.ones(s, np.float32) for s in shapes))


def test_factorisations() -> None:
    a = np.array([[4.0, 1, 2], [1, 5, 3], [2, 3, 6]])
    stack = np.stack([a, a + np.eye(3), -a])
    cases: list[tuple[Any, ...]] = [(lax.linalg.cholesky, stack), (lax.linalg.lu, stack)]  # -a: NaN
    for left, lower, transposed in itertools.product((True, False), repeat=3):
        options = {"left_side": left, "lower": lower, "transpose_a": transposed}
        solve = partial(lax.linalg.triangular_solve, **options)
        cases.append((solve, stack, stack[:, ::-1]))
    all_same(cases)


def matrices(dtype: Any, *shape: int) -> np.ndarray[Any, Any]:
    stream = np.random.RandomState(3)
    made = stream.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        made = made + 1j * stream.standard_normal(shape)
    return made.astype(dtype)


LINALG_TYPES = (np.float32, np.float64, np.complex64, np.complex128)


@pytest.mark.parametrize("dtype", LINALG_TYPES)
def test_orthogonal_factorisations(dtype: Any) -> None:
    """Vectors have the signs and phases that XLA's have."""
    cases: list[tuple[Any, ...]] = []
    tall = matrices(dtype, 2, 4, 3)
    shapes = [tall, tall.swapaxes(1, 2)]
    if dtype == np.float32:
        shapes += [tall[:0], tall[:, :0], tall[..., :0]]
    for x in shapes:
        for full in (True, False):
            cases.append((partial(lax.linalg.svd, full_matrices=full), x))
            cases += [
                (partial(lax.linalg.qr, full_matrices=full, pivoting=pivoting), x)
                for pivoting in (True, False)
            ]
        cases.append((partial(lax.linalg.svd, compute_uv=False), x))
    cases.append((partial(lax.linalg.svd, algorithm=lax.linalg.SvdAlgorithm.QR), tall))
    cases.append((lax.linalg.svd, np.where(tall == tall[0, 0, 0], np.nan, tall)))
    all_same(cases)


@pytest.mark.parametrize("dtype", LINALG_TYPES)
def test_spectral_factorisations(dtype: Any) -> None:
    square = matrices(dtype, 2, 4, 4)
    sizes = [square, square[:, :1, :1]]
    if dtype == np.float64:
        sizes += [square[:0], square[:, :0, :0]]
    cases: list[tuple[Any, ...]] = []
    for x in sizes:
        cases.append((lax.linalg.eigh, x))
        cases.append((partial(lax.linalg.eigh, lower=False, symmetrize_input=False), x))
        cases += [(lax.linalg.eig, x), (lax.linalg.schur, x)]
        if x.size:
            cases.append((lax.linalg.hessenberg, x))
            cases += [(partial(lax.linalg.tridiagonal, lower=k), x) for k in (True, False)]
    cases.append((partial(lax.linalg.schur, compute_schur_vectors=False), square))
    for left in (False, True):
        vectors = {"compute_left_eigenvectors": left, "compute_right_eigenvectors": False}
        cases.append((partial(lax.linalg.eig, **vectors), square))
    cases.append((lax.linalg.eig, np.where(square == square[0, 0, 0], np.nan, square)))
    all_same(cases)


@pytest.mark.parametrize("dtype", LINALG_TYPES)
def test_solvers(dtype: Any) -> None:
    square = matrices(dtype, 2, 4, 4)
    d = square[:, 0]
    cases: list[tuple[Any, ...]] = [
        (jnp.linalg.solve, square, square[:, ::-1]),
        (lax.linalg.tridiagonal_solve, d, d + np.dtype(dtype).type(5), d, square),
        (lax.linalg.tridiagonal_solve, d * 0, d * 0, d * 0, square),  # NaN
    ]
    for shape in ((0, 3, 3), (2, 0, 0)):
        cases += [(f, np.ones(shape, dtype)) for f in (lax.linalg.cholesky, lax.linalg.lu)]
    all_same(cases)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_reduced_precision(dtype: Any) -> None:
    stream = np.random.RandomState(0)
    around = [1e-5, 6e-8, 65504, 65519.9, 3e-8, 240, 250, 247.9, 248.1, -7.9]
    scales = [300, 1, 0.002]
    numbers = [values(dtype), np.array(around, dtype)]
    numbers += [(stream.standard_normal(50) * k).astype(dtype) for k in scales]
    all_same(
        (lambda x, bits=bits: lax.reduce_precision(x, *bits), np.concatenate(numbers))
        for bits in ((5, 10), (8, 7), (4, 3), (8, 23), (5, 2), (11, 52), (3, 5))
    )


def test_general_reductions() -> None:
    def two(a: Any, b: Any) -> Any:
        return a[0] + b[0], jnp.maximum(a[1], b[1])

    x, zero, one = grid((4, 5)), np.float32(0), np.float32(1)
    same(lambda x: lax.reduce((x, x * 2), (zero, one), two, (0,)), x)
    same(lambda x: lax.reduce(x, one, lambda a, b: a * b - 1, (0, 1)), x[:2, :2])
    same(lambda x: lax.reduce(x, one, lambda a, b: a * b - 1, (1,)), x[:, :0])
    same(lambda x: lax.reduce_window((x, x + 1), (zero, zero), two, (2, 3), (1, 2), "SAME"), x)
    pads, dilations = ((1, 0), (0, 2)), ((2, 1), (1, 2))
    same(lambda x: lax.reduce_window(x, one, lax.mul, (2, 3), (1, 2), pads, *dilations), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_derivatives_of_the_incomplete_gamma_function(dtype: Any) -> None:
    a = np.array([0, 0.3, 1, 2.5, 10, 50, -1, np.nan], dtype)
    x = np.array([0, 0.1, 1, 3, 9, 60, -1, np.inf, np.nan], dtype)
    pairs = [np.array(part).reshape(-1) for part in np.meshgrid(a, x)]
    all_same((function, *pairs) for function in (lax.igamma_grad_a, lax.random_gamma_grad))


def test_control_flow() -> None:
    same(lambda x: lax.cond(x[0] > 0, lambda y: y + 1, lambda y: y * 2, x), values(np.int32))
    same(lambda x: lax.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, s[1] * 2), (0, x)), 1.5)
    same(lambda x: lax.scan(lambda c, r: (c + r, c * r), x[0], x, reverse=True), grid((4, 3)))


def test_pads_and_slices() -> None:
    x = grid((4, 5))
    for low, high, interior in ((1, 2, 0), (0, -2, 0), (-1, 3, 2), (-6, 1, 1), (-1, -4, 3)):
        config = ((low, high, interior), (0, 1, 0))
        same(lambda x, c=config: lax.pad(x, np.float32(3), c), x)
    same(lambda x: lax.slice(x, (1, 0), (4, 5), (2, 3)), x)
    same(lambda x: lax.rev(x, (1,)), x)
    same(lambda x: lax.reshape(x, (2, 10), (1, 0)), x)
    for reps in ((2, 3), (1, 0)):
        same(lambda x, reps=reps: lax.tile(x, reps), x)
    for axis in (0, 1):
        same(lambda x, axis=axis: lax.unstack(x, axis), x)
    for at in (-3, 0, 2, 9):
        same(lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 3)), x, np.int64(at))


def test_fourier_transforms() -> None:
    x = grid((3, 8)).astype(np.complex64)
    same(jnp.fft.fft2, x)
    same(jnp.fft.ifft, x)
    same(jnp.fft.rfft, grid((3, 8)))
    same(lambda x: jnp.fft.irfft(x, 9), x)


def test_a_second_rule_for_a_primitive_is_refused() -> None:
    with pytest.raises(ValueError, match="'add' has a rule already"):
        rule("add")(lambda params, ins, outs: None)


# Primitives that run by XLA although the trace is interpreted, and why. Add rules, not names.
BY_XLA: dict[str, str] = {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_operators_use_no_primitive_without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample of each operator and its gradient: what has no rule fails in forked children."""
    monkeypatch.setattr(settings, "compiled", False)
    monkeypatch.setattr(settings, "eager", True)
    monkeypatch.setattr(fallback, "missing", Counter())
    running._cache.clear()
    operator.forget_kernels()  # plans are made anew, and counted
    users: dict[str, str] = {}
    for name, samples in parity.SAMPLES.items():
        place, bare = parity.resolve(name)
        sample = next((s for s in samples if not s.options.reason), samples[0])
        call = parity.Call(sample, torchish, None, sample.options.grad)
        made = call.run(registry.table(place)[bare])
        if isinstance(made, Exception):
            continue  # a sample of an error
        tensors = [t for t in parity.flat(made) if parity.is_tensor(t)]
        if any(t.requires_grad for t in tensors):
            tensors += [g for g in parity.gradients(call, made) if g is not None]
        for tensor in tensors:
            parity.to_numpy(tensor)
        for primitive in fallback.missing:
            users.setdefault(primitive, name)
    assert {p: u for p, u in users.items() if p not in BY_XLA} == {}
    assert set(users) == set(BY_XLA)
