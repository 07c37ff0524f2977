"""Tensors that hooks get to pack, operator by operator: PyTorch's, but where `OTHERWISE` says so.

Everywhere hooks do what they are for: what is packed is all that is kept, and gradients are made of
what is unpacked.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import torchish
from tests.autograd.saved_cases import cases

# Operators whose gradient is made of other tensors here, so that hooks see others in number, shape
# or dtype, by the reason.
OTHERWISE = {
    "one operator here, several in PyTorch": (
        "bilinear",
        "cosine_embedding",
        "triplet",
        "cosine",
        "pairwise",
        "gaussian",
        "quantile",
        "lrn",
        "rms",
        "encoder layer",
        "linalg matrix_power",
        "corrcoef",
        "cov",
        "vander",
        "combinations",
        "stft",
        "cabs",
    ),
    "matrix products and layers of recurrence, whose operands are not reshaped here": (
        "matmul3",
        "matmul33",
        "outer",
        "einsum",
        "kron",
        "tensordot",
        "lstm",
        "gru",
        "rnn",
    ),
    "what PyTorch computes on the way, which a gradient here computes again": (
        "cross_entropy",
        "nll",
        "in",
        "logsigmoid",
        "rrelu",
        "prelu",
        "l1_loss",
        "sdpa",
        "sdpa causal",
        "sdpa mask",
        "ctc",
        "embedding_bag",
        "bag max",
        "segment",
        "adaptive_max_pool2d",
        "adaptive_max1",
        "fractional",
        "grid",
    ),
    "decompositions, whose gradients take the matrix here and the factors there": (
        "linalg det",
        "linalg slogdet",
        "linalg eigh",
        "linalg eigvalsh",
        "linalg qr",
        "linalg svd",
        "linalg lu_factor",
        "linalg eig",
        "solve",
        "lstsq",
        "logdet",
    ),
    "masks: bool here, scaled numbers there": (
        "dropout",
        "alpha_dropout",
        "dropout2d",
        "feature alpha",
    ),
    "positions instead of masks, and of moves": ("masked_select", "index mask", "roll"),
    "pooling of one dim, which PyTorch does in two": ("max_pool1d", "avg_pool1d", "adaptive1"),
    "what PyTorch keeps to see whether it is complex, and what of a complex number": (
        "complex",
        "fft",
        "rfft",
        "irfft",
        "polar",
    ),
    "the operands as they are, not in the order or the shape that they meet in": (
        "copysign broadcast",
        "fmod broadcast",
        "remainder broadcast",
        "remainder number",
    ),
}
DIFFERENT = {name for names in OTHERWISE.values() for name in names}
NAMES = list(cases(torch))


def packed(m: Any, name: str, pack: Any = None, unpack: Any = None) -> tuple[list[Any], list[Any]]:
    """What hooks got, and the gradients."""
    m.manual_seed(0)
    found: list[Any] = []

    def note(tensor: Any) -> Any:
        found.append((tuple(tensor.shape), str(tensor.dtype).rpartition(".")[2]))
        return pack(tensor) if pack else tensor

    work = cases(m)[name]
    leaves = {id(c.cell_contents): c.cell_contents for c in work.__closure__ or ()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with m.autograd.graph.saved_tensors_hooks(note, unpack or (lambda tensor: tensor)):
            made = work()
        flat = made if isinstance(made, tuple) else (made,)
        smooth = [t for t in flat if isinstance(t, m.Tensor) and t.requires_grad]
        if smooth:
            sum(t.abs().sum() for t in smooth).backward()
    grads = [t.grad for t in leaves.values() if isinstance(t, m.Tensor) and t.is_leaf]
    return found, [g for g in grads if g is not None]


@pytest.mark.parametrize("start", range(0, len(NAMES), 25))
def test_what_hooks_pack(start: int) -> None:
    """The same tensors, in number, shapes and dtypes, in the same order."""
    for name in NAMES[start : start + 25]:
        theirs, ours = packed(torch, name)[0], packed(torchish, name)[0]
        assert (ours == theirs) is (name not in DIFFERENT), f"{name}: {ours}, PyTorch {theirs}"


@pytest.mark.parametrize("start", range(0, len(NAMES), 25))
def test_gradients_come_from_what_was_packed(start: int) -> None:
    """Away to the host and back: gradients are those without hooks, to the bit or nearly."""
    for name in NAMES[start : start + 25]:
        held: list[Any] = []

        def away(tensor: Any, held: list[Any] = held) -> int:
            held.append(tensor.detach().clone().resolve_conj().numpy().copy())
            return len(held) - 1

        def back(number: int, held: list[Any] = held) -> Any:
            return torchish.from_numpy(held[number])

        _, expected = packed(torchish, name)
        found, got = packed(torchish, name, away, back)
        assert len(held) == len(found) and len(got) == len(expected), name
        for a, b in zip(got, expected, strict=True):
            assert torchish.allclose(a, b, 1e-4, 1e-5, equal_nan=True), name
