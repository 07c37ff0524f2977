"""Samples of tensor creation."""

from __future__ import annotations

from tests.ops.sampling import N, S, Sample, b, c, f, i

_WINDOWS = ("hann", "hamming", "blackman", "bartlett", "kaiser")


def _filled() -> list[Sample]:
    return [
        S(2, 3), S((2, 3)), S(()), S(0, 2), S(2, dtype=N("int64")), S(2, dtype=N("bool")), S(-1),
        S(size=(2,)), S("a"), S(2, device="cpu", requires_grad=True), S(2, dtype=N("bfloat16")),
        S(1, 2, 3, 4, memory_format=N("channels_last")),
    ]  # fmt: skip


def _like(*args: object) -> list[Sample]:
    return [
        S(f(2, 3), *args), S(f(2, 3).T, *args), S(i(3), *args), S(i(3), *args, dtype=N("float32")),
        S(f(), *args), S(f(2, 3).T, *args, memory_format=N("contiguous_format")),
    ]  # fmt: skip


SAMPLES = {
    "torch.zeros": _filled(),
    "torch.ones": _filled(),
    "torch.empty": [s.only_shapes().no_forms() for s in _filled()],
    "torch.full": [
        S((2, 3), 1.5),
        S((2,), 1),
        S((), True),
        S((2,), 2.7, dtype=N("int32")),
        S(2, 1),
        S((2,), 1j),
        S((2,), 300, dtype=N("uint8")),
    ],
    "torch.zeros_like": _like(),
    "torch.ones_like": _like(),
    "torch.empty_like": [s.only_shapes() for s in _like()],
    "torch.full_like": _like(2),
    "Tensor.new_zeros": [S(i(2), 2, 3), S(f(2), (2, 3)), S(f(2), 2, dtype=N("int64")), S(f(2))],
    "Tensor.new_ones": [S(i(2), 2, 3), S(f(2), (2, 3)), S(f(2), 2, dtype=N("int64")), S(f(2))],
    "Tensor.new_empty": [S(i(2), 2, 3).only_shapes(), S(f(2), (2, 3)).only_shapes()],
    "Tensor.new_full": [S(i(2), (2, 3), 7), S(f(2), (2,), 7), S(i(2), (2,), 1.9)],
    "Tensor.new_empty_strided": [S(f(1), (2, 3), (1, 2)).only_shapes()],
    "torch.empty_strided": [S((2, 3), (1, 2)).only_shapes(), S((2, 3), (1,))],
    "torch.empty_permuted": [S((2, 3, 4), (1, 0, 2)).only_shapes(), S((2,), (1,))],
    "torch.arange": [
        S(5),
        S(1, 4),
        S(1, 2.5, 0.5),
        S(5, 1, -1),
        S(0, 1, 0.1),
        S(3.0),
        S(0, 5, 0),
        S(5, 0),
        S(start=1, end=7, step=2),
        S(4, dtype=N("float16")),
        S(True),
        S(0, 5, 2, dtype=N("int32")),
        S(-0.9, 2.1, 2.0, dtype=N("int64")),
        S(0, 5, 0.5, dtype=N("int32")),
        S(0, 5, 0.5, dtype=N("int64")),
    ],
    "torch.range": [S(0, 3).warns(), S(1, 2, 0.25).warns(), S(3, 1, -1).warns()],
    "torch.linspace": [
        S(0, 1, 5),
        S(-3, 7, 9),
        S(0, 10, 5, dtype=N("int64")),
        S(4.3, -3, 50, dtype=N("int64")),
        S(-1.7, 4.3, 7, dtype=N("int32")),
        S(1, 1, 1),
        S(0, 1, 0),
        S(0, 1, -1),
        S(1.0, 0.0, 6, dtype=N("float64")),
    ],
    "torch.logspace": [
        S(0, 2, 5),
        S(-1, 1, 4, 2.0),
        S(0, 3, 4, dtype=N("float64")),
        S(0.5, 3.0, 4, 2.7, dtype=N("int64")),
        S(1.5, 3.0, 1, dtype=N("int32")),
    ],
    "torch.eye": [S(3), S(2, 4), S(3, dtype=N("int64")), S(-1), S(0)],
    "torch.tril_indices": [S(3, 4), S(3, 3, 1), S(2, 3, -1, dtype=N("int32"))],
    "torch.triu_indices": [S(3, 4), S(3, 3, 1), S(2, 3, -1, dtype=N("int32"))],
    "torch.tril": [S(f(3, 4)), S(f(2, 3, 3), 1), S(i(3, 3), -1), S(f(3)), S(b(3, 3))],
    "torch.triu": [S(f(3, 4)), S(f(2, 3, 3), 1), S(i(3, 3), -1), S(f(3)), S(c(3, 3))],
    "torch.meshgrid": [
        S(f(2), f(3), indexing="ij"),
        S([f(2), f(3), f(4)], indexing="xy"),
        S(f(2), i(3), indexing="ij"),
        S(f(2, 2), indexing="ij"),
    ],
    "torch.cartesian_prod": [S(f(2), f(3)), S(i(3)), S(i(2), i(2), i(3)), S(f(2, 2))],
    "torch.combinations": [S(f(4)), S(i(4), 3), S(f(3), 2, True), S(f(3), 0), S(f(2, 2))],
    "torch.vander": [S(f(3)).no_grad(), S(i(3), 4), S(f(3), increasing=True).no_grad(), S(f(2, 2))],
    **{
        f"torch.{name}_window": [S(5), S(6, False), S(1), S(0), S(-1), S(4, dtype=N("float64"))]
        for name in _WINDOWS
    },
}
