"""Adam that moves only the rows which a sparse gradient has values for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._autograd.grad_mode import enable_grad, no_grad
from .._ops.registry import ops
from .._tensor.tensor import Tensor
from .optimizer import Optimizer

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """`m += (1 - b1)(g - m)`, `v += (1 - b2)(g^2 - v)`, `p -= lr m' / (sqrt(v') + eps)`.

    All three only in the rows of `g`; their averages in other rows stay as they are.

    Args:
        params: parameters or groups.
        lr: learning rate.
        betas: `(b1, b2)`.
        eps: added to the root.
        maximize: go up instead of down.

    Raises:
        RuntimeError: a gradient is dense.

    Source: https://pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html
    """

    def __init__(
        self, params: Any, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, maximize: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in range(2):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for index, group in enumerate(self.param_groups):
            wrong = [k for k, p in enumerate(group["params"]) if p.is_sparse]
            if wrong:
                raise ValueError(
                    f"Sparse params at indices {[[index, wrong]]}: SparseAdam requires dense "
                    "parameter tensors"
                )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters once."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        self._move(group, param)
        return loss

    def _move(self, group: dict[str, Any], param: Any) -> None:
        if not param.grad.is_sparse:
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )
        state = self.state[param]
        if not state:
            state.update(step=0, exp_avg=ops.zeros_like(param), exp_avg_sq=ops.zeros_like(param))
        state["step"] += 1
        grad = param.grad.coalesce()
        places, g = tuple(grad.indices()), grad.values()
        if grad._nnz() == 0:
            return
        g = -g if group["maximize"] else g
        b1, b2 = group["betas"]
        mean, square = state["exp_avg"][places], state["exp_avg_sq"][places]
        mean = mean + (g - mean) * (1 - b1)
        square = square + (g.pow(2) - square) * (1 - b2)
        state["exp_avg"][places] = mean
        state["exp_avg_sq"][places] = square
        t = state["step"]
        size = group["lr"] * (1 - b2**t) ** 0.5 / (1 - b1**t)
        param.index_put_(places, -size * mean / (square.sqrt() + group["eps"]), accumulate=True)
