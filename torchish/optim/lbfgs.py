"""Limited-memory BFGS.

The algorithm decides by numbers after every evaluation, so its vectors live on the host in numpy;
only the closure runs as a program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._autograd.grad_mode import enable_grad, no_grad
from .._autograd.interop import host_array, wrap_host
from .._tensor.tensor import Tensor
from ._rule import check_lr
from .optimizer import Optimizer

__all__ = ["LBFGS"]

Vector = np.ndarray[Any, Any]
Evaluate = Callable[[float], tuple[float, Vector]]


def _cubic_minimum(
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    bounds: tuple[float, float] | None = None,
) -> float:
    """Where the cubic through two points `(x, f, f')` is least, within `bounds`.

    Points that have met divide by zero, which gives infinities and NaN as in torch's tensors.
    """
    (x1, f1, g1), (x2, f2, g2) = (tuple(map(np.float64, point)) for point in (low, high))
    least, most = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    with np.errstate(all="ignore"):
        d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
        square = d1 * d1 - g1 * g2
        if not square >= 0:
            return float(least + most) / 2.0
        d2 = np.sqrt(square)
        if x1 <= x2:
            found = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
        else:
            found = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return float(min(max(found, least), most))


class _Point:
    """The function along a line: position, value, gradient, slope."""

    __slots__ = ("f", "g", "slope", "t")

    def __init__(self, t: float, f: float, g: Vector, slope: float) -> None:
        self.t, self.f, self.g, self.slope = t, f, g, slope

    @property
    def cubic(self) -> tuple[float, float, float]:
        return self.t, self.f, self.slope


class _StrongWolfe:
    """A step length that satisfies the strong Wolfe conditions (Nocedal & Wright, 3.5 and 3.6)."""

    def __init__(
        self, evaluate: Evaluate, d: Vector, start: _Point, tolerance: float, limit: int
    ) -> None:
        self.evaluate = evaluate
        self.d = d
        self.start = start
        self.tolerance = tolerance
        self.limit = limit
        self.evaluations = 0
        self.rounds = 0

    def point(self, t: float) -> _Point:
        f, g = self.evaluate(t)
        self.evaluations += 1
        return _Point(t, f, g, float(g.dot(self.d)))

    def rises(self, p: _Point) -> bool:
        """Too little decrease."""
        return p.f > self.start.f + 1e-4 * p.t * self.start.slope

    def is_flat(self, p: _Point) -> bool:
        return abs(p.slope) <= -0.9 * self.start.slope

    def run(self, t: float) -> _Point:
        previous, now = self.start, self.point(t)
        while self.rounds < self.limit:
            if self.rises(now) or (self.rounds > 1 and now.f >= previous.f):
                return self.zoom(previous, now)
            if self.is_flat(now):
                return now
            if now.slope >= 0:
                return self.zoom(previous, now)
            bounds = (now.t + 0.01 * (now.t - previous.t), now.t * 10)
            t = _cubic_minimum(previous.cubic, now.cubic, bounds)
            previous, now = now, self.point(t)
            self.rounds += 1
        return now if now.f < self.start.f else self.start

    def zoom(self, a: _Point, b: _Point) -> _Point:
        """Shrinks the bracket `[a, b]` around a good point; gives its better end."""
        bracket = [a, b]
        low, high = (0, 1) if a.f <= b.f else (1, 0)
        stuck = False
        size = float(np.abs(self.d).max())
        while self.rounds < self.limit:
            first, last = bracket
            if abs(last.t - first.t) * size < self.tolerance:
                break
            t = _cubic_minimum(first.cubic, last.cubic)
            t, stuck = self._inside(t, min(first.t, last.t), max(first.t, last.t), stuck)
            now = self.point(t)
            self.rounds += 1
            if self.rises(now) or now.f >= bracket[low].f:
                bracket[high] = now
                low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
                continue
            done = self.is_flat(now)
            if not done and now.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
            if done:
                break
        return bracket[low]

    @staticmethod
    def _inside(t: float, least: float, most: float, stuck: bool) -> tuple[float, bool]:
        """Moves `t` off the ends of the bracket if it came too close twice."""
        margin = 0.1 * (most - least)
        if min(most - t, t - least) >= margin:
            return t, False
        if not (stuck or t >= most or t <= least):
            return t, True
        nearer_end = abs(t - most) < abs(t - least)
        return (most - margin if nearer_end else least + margin), False


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last `history_size` gradient differences.

    Args:
        params: parameters, one group.
        lr: step length.
        max_iter: iterations in a step.
        max_eval: evaluations in a step; `max_iter * 1.25` if None.
        tolerance_grad, tolerance_change: when to stop.
        history_size: number of differences kept.
        line_search_fn: `'strong_wolfe'` or None.

    `step` needs a closure.

    Source: Liu & Nocedal, 1989.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    # Parameters and gradients as one vector

    def _flat(self, tensors: list[Tensor | None]) -> Vector:
        parts = []
        for param, tensor in zip(self._params, tensors, strict=True):
            if tensor is None:
                array = np.zeros(tuple(param.shape), param.dtype.np)
            else:
                array = host_array(tensor)
            if np.iscomplexobj(array):
                array = np.stack([array.real, array.imag], -1)
            parts.append(array.reshape(-1))
        return np.concatenate(parts)

    def _flat_grad(self) -> Vector:
        return self._flat([param.grad for param in self._params])

    def _write(self, vector: Vector) -> None:
        start = 0
        for param in self._params:
            size = param.numel() * (2 if param.is_complex() else 1)
            part = vector[start : start + size].astype(vector.dtype)
            if param.is_complex():
                part = (part[0::2] + 1j * part[1::2]).astype(param.dtype.np)
            part = part.astype(param.dtype.np).reshape(tuple(param.shape))
            param.copy_(wrap_host(part, param.device))
            start += size

    # The algorithm

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; returns the loss at the start."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")

        def evaluate() -> Any:
            with enable_grad():
                return closure()

        with no_grad():
            return self._run(evaluate)

    def _run(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if np.abs(grad).max() <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"])
        lr = float(group["lr"])
        for n_iter in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = memory.direction(grad, state["n_iter"] == 1)
            previous = loss
            t = lr
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / float(np.abs(grad).sum())) * lr
            slope = float(grad.dot(d))
            memory.t = t
            if slope > -group["tolerance_change"]:
                break
            x = self._flat(self._params)
            used, small = 0, False
            if group["line_search_fn"] is not None:
                start = _Point(0.0, loss, grad, slope)
                limit = group["max_eval"] - evaluations
                found, used = self._search(closure, x, t, d, start, group, limit)
                loss, grad, t = found.f, found.g, found.t
                memory.t = t
                self._write(x + t * d)
                small = np.abs(grad).max() <= group["tolerance_grad"]
            else:
                self._write(x + np.asarray(t, x.dtype) * d)
                if n_iter != group["max_iter"]:
                    loss, used = float(closure()), 1
                    grad = self._flat_grad()
                    small = np.abs(grad).max() <= group["tolerance_grad"]
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or small
                or np.abs(d * t).max() <= group["tolerance_change"]
                or abs(loss - previous) < group["tolerance_change"]
            ):
                break
        memory.save(state, previous)
        return first_loss

    def _search(
        self,
        closure: Callable[[], Any],
        x: Vector,
        t: float,
        d: Vector,
        start: _Point,
        group: dict[str, Any],
        limit: int,
    ) -> tuple[_Point, int]:
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")

        def evaluate(step: float) -> tuple[float, Vector]:
            self._write(x + np.asarray(step, x.dtype) * d)
            loss = float(closure())
            grad = self._flat_grad()
            self._write(x)
            return loss, grad

        search = _StrongWolfe(evaluate, d, start, group["tolerance_change"], limit)
        return search.run(t), search.evaluations


class _Memory:
    """The differences that stand for the inverse Hessian."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        def vector(name: str) -> Any:
            value = state.get(name)
            return None if value is None else host_array(value)

        self.size = size
        self.d = vector("d")
        self.t = 0.0 if state.get("t") is None else float(state["t"])
        self.dirs = [host_array(v) for v in state.get("old_dirs") or []]
        self.steps = [host_array(v) for v in state.get("old_stps") or []]
        self.ro = [float(v) for v in state.get("ro") or []]
        self.scale = 1.0 if state.get("H_diag") is None else float(state["H_diag"])
        self.grad = vector("prev_flat_grad")
        self.al: list[Any] = []

    def direction(self, grad: Vector, first: bool) -> Vector:
        """The next direction: minus the gradient times the inverse Hessian (two loops)."""
        if first:
            self.d, self.dirs, self.steps, self.ro, self.scale = -grad, [], [], [], 1.0
        else:
            self._add(grad - self.grad, self.d * np.asarray(self.t, self.d.dtype))
            q = -grad
            al = [0.0] * len(self.dirs)
            for i in reversed(range(len(self.dirs))):
                al[i] = float(self.steps[i].dot(q)) * self.ro[i]
                q = q - np.asarray(al[i], q.dtype) * self.dirs[i]
            r = q * np.asarray(self.scale, q.dtype)
            for i in range(len(self.dirs)):
                be = float(self.dirs[i].dot(r)) * self.ro[i]
                r = r + np.asarray(al[i] - be, r.dtype) * self.steps[i]
            self.d, self.al = r, al
        self.grad = grad
        return self.d

    def _add(self, y: Vector, s: Vector) -> None:
        ys = float(y.dot(s))
        if ys <= 1e-10:
            return
        if len(self.dirs) == self.size:
            self.dirs.pop(0)
            self.steps.pop(0)
            self.ro.pop(0)
        self.dirs.append(y)
        self.steps.append(s)
        self.ro.append(1.0 / ys)
        self.scale = ys / float(y.dot(y))

    def save(self, state: dict[str, Any], loss: float) -> None:
        """Back into the optimizer's state, as torch keeps it."""

        def number(value: float) -> Tensor:
            return wrap_host(np.array(value, self.grad.dtype))

        if self.al or "al" in state:
            kept = [number(v) for v in self.al]
            state["al"] = kept + [None] * (self.size - len(kept))
        state["d"] = wrap_host(np.array(self.d))
        state["t"] = self.t
        state["old_dirs"] = [wrap_host(np.array(v)) for v in self.dirs]
        state["old_stps"] = [wrap_host(np.array(v)) for v in self.steps]
        state["ro"] = [number(v) for v in self.ro]
        state["H_diag"] = number(self.scale) if self.dirs else 1
        state["prev_flat_grad"] = wrap_host(np.array(self.grad))
        state["prev_loss"] = loss
