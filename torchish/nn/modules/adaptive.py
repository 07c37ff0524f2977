"""Softmax over many classes, rare ones in clusters."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..._autograd.interop import host_array
from ..._ops.registry import nnf, ops
from ..._tensor.tensor import Tensor
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probability of the target: direct for frequent classes, through a cluster for rare ones.

    Args:
        in_features: size of the input vectors.
        n_classes: number of classes, the frequent ones first.
        cutoffs: where the clusters begin.
        div_value: by how much the inner size shrinks from cluster to cluster.

    Source: Grave et al., 2017.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = {"device": device, "dtype": dtype}
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or min(cutoffs) <= 0
            or max(cutoffs) > n_classes - 1
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an "
                "increasing order, where each value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            inner = int(in_features // (div_value ** (i + 1)))
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, **options),
                    Linear(inner, high - low, bias=False, **options),
                )
            )

    def reset_parameters(self) -> None:
        """Draws all weights again."""
        self.head.reset_parameters()
        pair: Any
        for pair in self.tail:
            for layer in pair:
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        """`(log-probability of each target, mean negative log-probability)`."""
        _check_batch(input_, target_)
        self._check_range(target_)
        batched = target_.dim() > 0
        input = input_ if batched else input_.unsqueeze(0)
        target = target_ if batched else target_.unsqueeze(0)

        # every cluster is evaluated for every row, so that shapes do not depend on the targets
        in_head = target.clone()
        in_cluster = None
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            inside = (target >= low) & (target < high)
            in_head = in_head.masked_fill(inside, self.shortlist_size + i)
            relative = (target - low).clamp(0, high - low - 1)
            log_prob = nnf.log_softmax(self.tail[i](input), dim=1)
            chosen = log_prob.gather(1, relative.unsqueeze(1)).squeeze(1)
            chosen = chosen.masked_fill(~inside, 0.0)
            in_cluster = chosen if in_cluster is None else in_cluster + chosen
        head = nnf.log_softmax(self.head(input), dim=1)
        output = head.gather(1, in_head.unsqueeze(1)).squeeze(1) + in_cluster
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _check_range(self, target: Tensor) -> None:
        values = host_array(target)
        if values.size and (values.min() < 0 or values.max() >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{values.min()}, {values.max()}] were found. "
            )

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        head = nnf.log_softmax(head_output, dim=1)
        n = self.shortlist_size
        parts = [head[:, :n]]
        for i, cluster in enumerate(self.tail):
            log_prob = nnf.log_softmax(cluster(input), dim=1)
            parts.append(log_prob + head[:, n + i].unsqueeze(1))
        return ops.cat(parts, 1)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: `(N, n_classes)`."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The class of the largest log-probability, by the head alone where it is frequent."""
        head_output = self.head(input)
        by_head = ops.argmax(head_output, dim=1)
        by_all = ops.argmax(self._get_full_log_prob(input, head_output), dim=1)
        return ops.where(by_head >= self.shortlist_size, by_all, by_head)


def _check_batch(input: Tensor, target: Tensor) -> None:
    if target.dim() == 1:
        if input.size(0) != target.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input.dim() != 2:
            raise RuntimeError(
                "1D target tensor expects 2D input tensors, but found inputs with size "
                f"{input.size()}"
            )
    elif target.dim() == 0:
        if input.dim() != 1:
            raise RuntimeError(
                "0D target tensor expects 1D input tensors, but found inputs with size "
                f"{input.size()}"
            )
    else:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
