"""Joblib's workers after tensor work: prints what each backend gave."""

from __future__ import annotations

from typing import Any

from joblib import Parallel, delayed

import torchish as torch
from torchish import nn


def work(x: Any, model: nn.Module) -> tuple[Any, Any]:
    leaf = x.clone().requires_grad_()
    model(torch.linalg.inv(leaf)).sum().backward()
    return (x * 2 + 1).sum(), leaf.grad


def mistake(x: Any) -> Any:
    return torch.linalg.inv(x * 0).tolist()


def main() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    x = torch.eye(3) * 2
    model(x).sum().item()
    torch._basics.devices.jax_device(torch._basics.devices.CPU)  # type: ignore[attr-defined]
    pending = x + 0.5  # recorded, not run
    large = torch.ones(600, 600)  # joblib maps large arrays from files
    total, grad = work(pending, model)
    for backend in ("loky", "multiprocessing", "threading"):
        pool = Parallel(n_jobs=2, backend=backend)
        made = pool(delayed(work)(pending, model) for _ in range(4))
        same = all(torch.allclose(s, total) and torch.allclose(g, grad) for s, g in made)
        sums = [int(t) for t in pool(delayed(torch.sum)(large) for _ in range(2))]
        try:
            pool(delayed(mistake)(x) for _ in range(2))
        except RuntimeError as error:
            print(backend, same, sums, type(error).__name__.strip("_"))


if __name__ == "__main__":
    main()
