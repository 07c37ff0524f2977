"""PowerSGD: gradients exchanged as products of thin matrices, M ~ P Q^T.

Each step is one power iteration that starts from the last Q: P = M Q is averaged over processes and
orthogonalised, Q = M^T P is averaged. What the product misses is added to the next gradient.

Source: Vogels et al., PowerSGD, 2019, https://arxiv.org/abs/1905.13727
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...._basics import dtypes
from ...._ops.registry import ops
from ...._random.generator import Generator
from ....futures import Future
from ....linalg import qr
from ..._collectives import all_reduce
from ..._group import resolve
from .default_hooks import average

__all__ = ["PowerSGDState", "batched_powerSGD_hook", "powerSGD_hook"]


class PowerSGDState:
    """Options and memory of the hook.

    Args:
        matrix_approximation_rank: columns of P and Q.
        start_powerSGD_iter: steps that are averaged in full before.
        min_compression_rate: how many times smaller P and Q together must be than M.
        use_error_feedback: add what was missed to the next gradient.
        warm_start: start from the last step's Q rather than from random numbers.
        orthogonalization_epsilon: added to norms, against columns of zeros.
        random_seed: of the first Q; the same in all processes.
        compression_stats_logging_frequency: kept for `compression_stats`.
        batch_tensors_with_same_shape: changes nothing here, products are one program anyway.

    Raises: ValueError for a start before step 2 with feedback or warm start.
    """

    def __init__(
        self,
        process_group: Any,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1_000,
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        orthogonalization_epsilon: float = 0,
        random_seed: int = 0,
        compression_stats_logging_frequency: int = 10_000,
        batch_tensors_with_same_shape: bool = False,
    ) -> None:
        if (use_error_feedback or warm_start) and start_powerSGD_iter <= 1:
            raise ValueError(
                "Expect `start_powerSGD_iter` > 1 if `use_error_feedback` or `warm_start` is "
                "enabled, because PowerSGD can only be applied after the first two iterations in "
                "DDP."
            )
        self.process_group = process_group
        self.matrix_approximation_rank = matrix_approximation_rank
        self.start_powerSGD_iter = start_powerSGD_iter
        self.min_compression_rate = min_compression_rate
        self.use_error_feedback = use_error_feedback
        self.warm_start = warm_start
        self.orthogonalization_epsilon = orthogonalization_epsilon
        self.rng = np.random.RandomState(random_seed)
        self.error_dict: dict[int, Any] = {}
        self.p_memory_dict: dict[int, Any] = {}
        self.q_memory_dict: dict[int, Any] = {}
        self.iter = 0
        self.total_numel_before_compression = 0
        self.total_numel_after_compression = 0
        self.compression_stats_logging_frequency = max(1, compression_stats_logging_frequency)
        self.next_stats_report = 0
        self.batch_tensors_with_same_shape = batch_tensors_with_same_shape

    def __getstate__(self) -> dict[str, Any]:
        """All but the process group, which cannot be saved."""
        return {k: v for k, v in self.__dict__.items() if k != "process_group"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.process_group = resolve(None)
        self.__dict__.update(state)

    def maybe_increase_iter(self, bucket: Any) -> None:
        """Count a step when its last bucket comes."""
        if bucket.is_last():
            self.iter += 1

    def compression_stats(self) -> tuple[float, int, int]:
        """(rate, elements before, elements after) since the start."""
        before, after = self.total_numel_before_compression, self.total_numel_after_compression
        return (before / after if after > 0 else 0, before, after)

    def _starts(
        self, index: int, shapes: Sequence[tuple[int, int]], matrices: Sequence[Any]
    ) -> list[Any]:
        """The Q, of these shapes, to start from: the last step's, or orthonormal random ones."""
        like = matrices[0]
        if self.warm_start and index in self.q_memory_dict:
            return list(self.q_memory_dict[index])
        generator = Generator().manual_seed(int(self.rng.randint(1_000_000_000)))
        made: list[Any] = [None] * len(shapes)
        for places in self._groups([tuple(m.shape) for m in matrices]):
            size = (len(places), *shapes[places[0]])
            drawn = ops.randn(size, generator=generator, dtype=like.dtype).to(like.device)
            for place, q in zip(places, drawn.unbind(0), strict=True):
                made[place] = _orthogonal(q, self.orthogonalization_epsilon)
        return made

    def _groups(self, shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
        """Positions of the matrices in the order in which torch draws them, those drawn at once."""
        found: dict[tuple[int, ...], list[int]] = {}
        for place, shape in enumerate(shapes):
            found.setdefault(shape, []).append(place)
        if self.batch_tensors_with_same_shape:
            return list(found.values())
        return [[place] for places in found.values() for place in places]


def _orthogonal(matrix: Any, epsilon: float) -> Any:
    """The columns made orthonormal, by Gram-Schmidt for few or half-precision columns."""
    few = matrix.shape[1] <= 2 or matrix.dtype in (dtypes.float16, dtypes.bfloat16)
    if not few:
        return qr(matrix)[0]
    columns: list[Any] = []
    for k in range(matrix.shape[1]):
        column = matrix[:, k]
        for earlier in columns:
            column = column - (earlier * column).sum() * earlier
        columns.append(column / (column.norm() + epsilon))
    return ops.stack(columns, 1)


def _averaged(tensors: Sequence[Any], group: Any) -> list[Any]:
    """Tensors averaged over the group in one exchange."""
    return [t.div_(group.size()) for t in _summed(tensors, group)]


def _summed(tensors: Sequence[Any], group: Any) -> list[Any]:
    """Tensors summed over the group in one exchange."""
    if not tensors:
        return []
    flat = ops.cat([t.reshape(-1) for t in tensors])
    all_reduce(flat, group=group)
    found, start = [], 0
    for t in tensors:
        found.append(flat[start : start + t.numel()].view(t.shape))
        start += t.numel()
    return found


def _feedback(state: PowerSGDState, bucket: Any) -> Any:
    """Add to the buffer what the last step missed; what the step should give, kept."""
    if not state.use_error_feedback:
        return None
    buffer = bucket.buffer()
    missed = state.error_dict.get(bucket.index())
    if missed is not None:
        buffer.add_(missed)
    return buffer.clone()


def _factored(
    state: PowerSGDState, index: int, matrices: Sequence[Any], group: Any
) -> list[tuple[Any, Any]]:
    """(P, Q) of each matrix, averaged over the group."""
    ranks = [min(*m.shape, state.matrix_approximation_rank) for m in matrices]
    shapes = [(int(m.shape[1]), r) for m, r in zip(matrices, ranks, strict=True)]
    qs = state._starts(index, shapes, matrices)
    if state.warm_start and index in state.q_memory_dict:
        qs = [_orthogonal(q, state.orthogonalization_epsilon) for q in qs]
    ps = _summed([m @ q for m, q in zip(matrices, qs, strict=True)], group)
    ps = [_orthogonal(p, state.orthogonalization_epsilon) for p in ps]
    qs = _averaged([m.t() @ p for m, p in zip(matrices, ps, strict=True)], group)
    if state.warm_start:
        state.p_memory_dict[index], state.q_memory_dict[index] = ps, qs
    return list(zip(ps, qs, strict=True))


def _result(state: PowerSGDState, bucket: Any, wanted: Any) -> Any:
    if wanted is not None:
        state.error_dict[bucket.index()] = wanted - bucket.buffer()
    state.maybe_increase_iter(bucket)
    made: Future[Any] = Future()
    made.set_result(bucket.buffer())
    return made


def powerSGD_hook(state: PowerSGDState, bucket: Any) -> Any:
    """Each parameter's gradient as a product; small ones and vectors are averaged in full."""
    group = resolve(state.process_group)
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return average(group, bucket.buffer())
    wanted = _feedback(state, bucket)
    matrices: list[Any] = []
    rest: list[Any] = []
    for gradient in bucket.gradients():
        matrix = gradient.view(gradient.shape[0] if gradient.dim() else 1, -1)
        n, m = matrix.shape
        size = (n + m) * min(n, m, state.matrix_approximation_rank)
        is_worth = size * state.min_compression_rate < n * m
        (matrices if is_worth else rest).append(matrix)
        state.total_numel_before_compression += n * m
        state.total_numel_after_compression += size if is_worth else n * m
    for whole, mean in zip(rest, _averaged(rest, group), strict=True):
        whole.copy_(mean)
    if matrices:
        factors = _factored(state, bucket.index(), matrices, group)
        for matrix, (p, q) in zip(matrices, factors, strict=True):
            matrix.copy_(p @ q.t())
    return _result(state, bucket, wanted)


def batched_powerSGD_hook(state: PowerSGDState, bucket: Any) -> Any:
    """The whole bucket as one square matrix, padded with zeros: faster, less accurate."""
    group = resolve(state.process_group)
    buffer = bucket.buffer()
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return average(group, buffer)
    length = buffer.numel()
    side = math.ceil(math.sqrt(length))
    rank = min(side, state.matrix_approximation_rank)
    state.total_numel_before_compression += length
    state.total_numel_after_compression += 2 * side * rank
    wanted = _feedback(state, bucket)
    padded = ops.cat([buffer, buffer.new_zeros(side * side - length)])
    ((p, q),) = _factored(state, bucket.index(), [padded.view(side, side)], group)
    buffer.copy_((p @ q.t()).reshape(-1)[:length])
    return _result(state, bucket, wanted)
