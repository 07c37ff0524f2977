"""Matrix products that torchish-cpu computes in a compiled program, and its helpers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from torchish._ops.conv import onednn
from torchish._ops.rewrites import awake, products

from .rewriting import normal, run

pytestmark = pytest.mark.skipif(
    not onednn.is_available(), reason="torchish-cpu is not installed"
)  # fmt: skip


PRODUCTS = {
    "plain": (lambda a, b: a @ b, (40, 30), (30, 50)),
    "right turned": (lambda a, b: a @ b.T, (40, 30), (50, 30)),
    "left turned": (lambda a, b: a.T @ b, (30, 40), (30, 50)),
    "both turned": (lambda a, b: a.T @ b.T, (30, 40), (50, 30)),
    "result turned": (lambda a, b: (a @ b).T, (40, 30), (30, 50)),
    "all turned": (lambda a, b: (a.T @ b.T).T, (30, 40), (50, 30)),
    "square": (lambda a, b: a @ b.T, (64, 64), (64, 64)),
    "stack": (lambda a, b: a @ b, (3, 2, 20, 30), (3, 2, 30, 25)),
    "stack turned": (lambda a, b: a @ jnp.swapaxes(b, -1, -2), (6, 20, 30), (6, 25, 30)),
    "both of a stack turned": (
        lambda a, b: jnp.swapaxes(a, -1, -2) @ jnp.swapaxes(b, -1, -2), (6, 30, 20), (6, 25, 30),
    ),
    "matrix and vector": (lambda a, b: a @ b, (300, 200), (200,)),
    "vector and matrix": (lambda a, b: a @ b, (200,), (200, 300)),
    "two summed dimensions": (
        lambda a, b: jnp.einsum("abc,bcd->ad", a, b), (20, 6, 7), (6, 7, 30),
    ),
    "two summed dimensions, the other way round": (
        lambda a, b: lax.dot_general(a, b, (((1, 0), (1, 0)), ((), ()))), (6, 7, 20), (6, 7, 30),
    ),
    "behind a barrier": (
        lambda a, b: a @ lax.optimization_barrier(b.T), (300, 30), (50, 30),
    ),
    "before a barrier": (
        lambda a, b: lax.optimization_barrier(a @ b).T, (300, 30), (30, 50),
    ),
    "several threads, by rows": (lambda a, b: a @ b, (519, 130), (130, 90)),
    "several threads, by columns": (lambda a, b: a @ b.T, (33, 130), (2077, 130)),
    "a stack on several threads": (lambda a, b: a @ b, (37, 65, 40), (37, 40, 70)),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_one_call(name: str) -> None:
    function, *shapes = PRODUCTS[name]
    arrays = normal(*shapes)
    got, text = run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    assert "dot_general" not in text
    want = np.asarray(function(*(jnp.asarray(a, np.float64) for a in arrays)))
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-7 * shapes[0][-1] * np.abs(want).max())


def test_a_transpose_that_others_read_stays() -> None:
    def function(a: Any, b: Any) -> Any:
        c = a @ b
        return c.T, c + 1

    arrays = normal((40, 30), (30, 50))
    (turned, more), text = run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    np.testing.assert_allclose(turned, (arrays[0] @ arrays[1]).T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(more, arrays[0] @ arrays[1] + 1, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "shapes", "dtype"),
    [
        (lambda a, b: a @ b, ((4, 4), (4, 4)), np.float32),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), np.float64),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), jnp.bfloat16),
        (lambda a, b: a @ b, ((40, 30), (30, 50)), np.int32),
        (lambda a, b: jnp.einsum("ibk,jbk->bij", a, b), ((20, 3, 30), (25, 3, 30)), np.float32),
    ],
    ids=["small", "double", "bfloat16", "integers", "a stack that lies otherwise"],
)
def test_other_products_stay_xlas(function: Any, shapes: Any, dtype: Any) -> None:
    arrays = [jnp.asarray(a, dtype) for a in normal(*shapes)]
    got, text = run(function, arrays, products.use_onednn)
    assert onednn.MATMUL not in text
    np.testing.assert_allclose(got, function(*arrays))


def test_products_within_loops_are_calls_too() -> None:
    def function(a: Any, b: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x @ b), a)

    arrays = normal((20, 30), (30, 30))
    got, text = run(function, arrays, products.use_onednn)
    assert text.count(onednn.MATMUL) == 1
    want = arrays[0]
    for _ in range(3):
        want = np.tanh(want @ arrays[1])
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_operands_of_a_product_that_do_not_fit_are_an_error() -> None:
    call = jax.ffi.ffi_call(onednn.MATMUL, jax.ShapeDtypeStruct((4, 5), jnp.float32))
    options = dict.fromkeys(("turned_a", "turned_b", "awake"), np.int64(0))
    with pytest.raises(jax.errors.JaxRuntimeError, match="matrix product"):
        made = jax.jit(lambda a, b: call(a, b, **options))
        jax.block_until_ready(made(*normal((4, 6), (7, 5))))


# -------------------------------------------------------------------------- helpers kept awake


def _steps(a: Any, b: Any, c: Any) -> Any:
    for _ in range(6):
        a = jnp.tanh(a @ b)
    return a @ b, (a @ c).T


def _rewritten(awake_too: bool) -> Callable[[Any], None]:
    def rewrite(lowered: Any) -> None:
        products.use_onednn(lowered)
        if awake_too:
            awake.keep_awake(lowered)

    return rewrite


def test_calls_of_a_small_program_keep_helpers_awake_and_give_the_same_bits() -> None:
    arrays = normal((64, 256), (256, 256), (256, 3000))
    arrays[1] /= 16
    plain, before = run(_steps, arrays, _rewritten(False))
    kept, text = run(_steps, arrays, _rewritten(True))
    assert (before.count("awake = 1"), text.count("awake = 1")) == (0, 8)
    for one, two in zip(plain, kept, strict=True):
        np.testing.assert_array_equal(one, two)


def test_programs_with_large_loops_leave_the_cores_to_xla() -> None:
    arrays = normal((400, 256), (256, 256), (256, 300))
    assert "awake = 1" not in run(_steps, arrays, _rewritten(True))[1]
