"""Two hundred small programs as people write them, generated: twenty families, ten of each.

Every program is plain Python over the public API: its structure depends on data, on recursion or on
sizes that change. Each family is run in one process by each library, from an empty compilation
cache, and timed program by program. Programs that branch on numbers compute in float64, so that no
branch hangs on the last bit of a float32.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

EACH = 10  # programs of a family
FLOOR = 0.25  # seconds; what takes PyTorch less counts as this much
ALLOWED = 10.0  # times slower than PyTorch

Program = Callable[[Any, random.Random], float]
FAMILIES: dict[str, Program] = {}


def family(function: Program) -> Program:
    """Add a family: a function of the library and of the random choices that make a program."""
    FAMILIES[function.__name__] = function
    return function


def _noise(torch: Any, *shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64)


# --- generated arithmetic -------------------------------------------------------------------------


@family
def expressions(torch: Any, r: random.Random) -> float:
    """A loop over a random chain of elementwise functions and reductions."""
    steps = [
        lambda x: torch.tanh(x) * 1.5, lambda x: x - x.mean(0), lambda x: x.abs().sqrt(),
        lambda x: torch.sigmoid(x) + x, lambda x: x * x.std(), lambda x: x.cumsum(1) / 4,
        lambda x: torch.where(x > 0, x, -0.5 * x), lambda x: x.flip(0), lambda x: x.clamp(-2, 2),
    ]  # fmt: skip
    chain = [r.choice(steps) for _ in range(r.randint(3, 8))]
    x = _noise(torch, r.randint(3, 20), r.randint(3, 20))
    for _ in range(r.randint(20, 60)):
        for step in chain:
            x = step(x)
        x = x / (1 + x.norm())
    return float(x.sum())


@family
def gradients(torch: Any, r: random.Random) -> float:
    """Gradient descent on a random smooth function, stopping when it moves little."""
    n = r.randint(2, 12)
    a = _noise(torch, n, n) / n
    x = _noise(torch, n).requires_grad_()
    rate = r.uniform(0.01, 0.1)
    for _ in range(r.randint(30, 90)):
        y = torch.cos(a @ x).sum() + (x**2).sum() * r.uniform(0.4, 0.6)
        (g,) = torch.autograd.grad(y, x)
        with torch.no_grad():
            x -= rate * g
        if g.norm() < 1e-3:
            break
    return float(x.norm())


@family
def slices(torch: Any, r: random.Random) -> float:
    """A stencil over random windows of a grid, written in place."""
    n = r.randint(8, 40)
    u = _noise(torch, n, n)
    for _ in range(r.randint(20, 60)):
        i, j = r.randint(1, n - 4), r.randint(1, n - 4)
        h, w = r.randint(1, n - 2 - i), r.randint(1, n - 2 - j)
        u[i : i + h, j : j + w] = 0.25 * (
            u[i - 1 : i - 1 + h, j : j + w] + u[i + 1 : i + 1 + h, j : j + w]
            + u[i : i + h, j - 1 : j - 1 + w] + u[i : i + h, j + 1 : j + 1 + w]
        )  # fmt: skip
    return float(u.square().mean())


# --- branches on data -----------------------------------------------------------------------------


@family
def branches(torch: Any, r: random.Random) -> float:
    """Steps that are chosen by what the last one gave."""
    x, low, high = _noise(torch, r.randint(2, 30)), r.uniform(-1, 0), r.uniform(0, 1)
    taken = 0
    for _ in range(r.randint(40, 120)):
        m = x.mean().item()
        if m > high:
            x = x - x.abs() * 0.5
        elif m < low:
            x, taken = x * -0.7 + 0.3, taken + 1
        else:
            x = x + torch.sin(3 * x) * 0.4 + 0.05
        if (x.abs() > 4).any():
            x = x / 2
    return float(x.sum()) + taken


@family
def newton(torch: Any, r: random.Random) -> float:
    """Newton's method with a line search, until it converges."""
    n = r.randint(2, 8)
    q = _noise(torch, n, n)
    a, b = q @ q.T + torch.eye(n, dtype=torch.float64), _noise(torch, n)
    x = torch.zeros(n, dtype=torch.float64)

    def f(x: Any) -> Any:
        return torch.logsumexp(x, 0) + 0.5 * x @ a @ x - b @ x

    for _ in range(30):
        p = torch.softmax(x, 0)
        g = p + a @ x - b
        if g.norm() < 1e-9:
            break
        step = torch.linalg.solve(torch.diag(p) - torch.outer(p, p) + a, g)
        t = 1.0
        while f(x - t * step) > f(x) - 0.1 * t * (g @ step) and t > 1e-6:
            t /= 2
        x = x - t * step
    return float(f(x))


@family
def primes(torch: Any, r: random.Random) -> float:
    """Integer work: a sieve, and Collatz sequences until all have ended."""
    n = r.randint(60, 400)
    marks = torch.ones(n, dtype=torch.bool)
    marks[:2] = False
    for k in range(2, int(n**0.5) + 1):
        if marks[k]:
            marks[k * k :: k] = False
    x = torch.arange(1, r.randint(10, 40))
    count = torch.zeros_like(x)
    while (x > 1).any():
        count += x > 1
        x = torch.where(x > 1, torch.where(x % 2 == 0, x // 2, 3 * x + 1), x)
    return float(marks.sum() + count.sum())


# --- ragged and changing shapes -------------------------------------------------------------------


@family
def ragged(torch: Any, r: random.Random) -> float:
    """Sets of different sizes through one network, pooled, a gradient step each."""
    nn = torch.nn
    net, head = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.02)
    for _ in range(r.randint(8, 20)):
        rows = [torch.randn(r.randint(1, 9), 4) for _ in range(r.randint(2, 6))]
        pooled = torch.stack([net(x).mean(0) for x in rows])
        loss = (head(pooled).squeeze(1) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


@family
def growing(torch: Any, r: random.Random) -> float:
    """A sequence that grows by one step at a time, attention over all of it."""
    width = r.choice([4, 8, 16])
    q, k, v = (_noise(torch, width, width) / width**0.5 for _ in range(3))
    seen = _noise(torch, 1, width)
    for _ in range(r.randint(20, 60)):
        scores = (seen[-1:] @ q) @ (seen @ k).T / width**0.5
        new = torch.softmax(scores, -1) @ (seen @ v)
        seen = torch.cat([seen, torch.tanh(new + 0.1 * seen[-1:])])
    return float(seen.sum())


@family
def filtered(torch: Any, r: random.Random) -> float:
    """Boxes kept by a mask and by suppression: sizes that only the data knows."""
    n = r.randint(20, 60)
    boxes = torch.rand(n, 4, dtype=torch.float64)
    boxes[:, 2:] = boxes[:, :2] + boxes[:, 2:] * 0.5
    scores = torch.rand(n, dtype=torch.float64)
    boxes, scores = boxes[scores > 0.2], scores[scores > 0.2]
    order, kept = scores.argsort(descending=True), []
    while order.numel():
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = torch.maximum(boxes[first, :2], boxes[order, :2])
        high = torch.minimum(boxes[first, 2:], boxes[order, 2:])
        overlap = (high - low).clamp(min=0).prod(1)
        areas = (boxes[order, 2:] - boxes[order, :2]).prod(1)
        own = (boxes[first, 2:] - boxes[first, :2]).prod()
        order = order[overlap / (areas + own - overlap) < 0.3]
    return float(len(kept) + scores[kept].sum())


@family
def pictures(torch: Any, r: random.Random) -> float:
    """A small convolutional network on images of changing size."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(r.randint(4, 10)):
        x = torch.randn(2, 1, r.randint(8, 24), r.randint(8, 24))
        loss = nn.functional.cross_entropy(net(x), torch.tensor([0, 2]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


# --- recursion ------------------------------------------------------------------------------------


def _tree(r: random.Random, leaves: int) -> Any:
    if leaves == 1:
        return r.randrange(10)
    left = r.randint(1, leaves - 1)
    return _tree(r, left), _tree(r, leaves - left)


@family
def recursive(torch: Any, r: random.Random) -> float:
    """A recursive network over random binary trees, trained."""
    nn = torch.nn
    words, merge, head = nn.Embedding(10, 8), nn.Linear(16, 8), nn.Linear(8, 1)
    parameters = [*words.parameters(), *merge.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.05)

    def encode(tree: Any) -> Any:
        if isinstance(tree, int):
            return words(torch.tensor(tree))
        return torch.tanh(merge(torch.cat([encode(tree[0]), encode(tree[1])])))

    for _ in range(r.randint(5, 12)):
        loss = (head(encode(_tree(r, r.randint(2, 10)))) - 0.5).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


@family
def tree_lstm(torch: Any, r: random.Random) -> float:
    """A child-sum tree LSTM over trees of random arity."""
    nn, width = torch.nn, r.choice([6, 8, 12])
    gates, own, forget = nn.Linear(5, 3 * width), nn.Linear(width, 3 * width), nn.Linear(5, width)
    kept = nn.Linear(width, width, bias=False)
    parameters = [p for m in (gates, own, forget, kept) for p in m.parameters()]
    optimizer = torch.optim.Adagrad(parameters, lr=0.05)

    def node(depth: int) -> Any:
        children = [node(depth - 1) for _ in range(r.randint(1, 3))] if depth else []
        x = torch.randn(5)
        hs = torch.stack([h for h, _ in children]) if children else torch.zeros(1, width)
        i, o, u = (gates(x) + own(hs.sum(0))).chunk(3)
        c = torch.sigmoid(i) * torch.tanh(u)
        for h, below in children:
            c = c + torch.sigmoid(forget(x) + kept(h)) * below
        return torch.sigmoid(o) * torch.tanh(c), c

    for _ in range(r.randint(3, 7)):
        loss = node(r.randint(1, 3))[0].sub(0.2).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


@family
def divide(torch: Any, r: random.Random) -> float:
    """Divide and conquer: a product by blocks (Strassen's) and a merge sort."""

    def product(a: Any, b: Any) -> Any:
        n = a.shape[0]
        if n <= 4:
            return a @ b
        h = n // 2
        (a1, a2), (a3, a4) = ((m[:, :h], m[:, h:]) for m in (a[:h], a[h:]))
        (b1, b2), (b3, b4) = ((m[:, :h], m[:, h:]) for m in (b[:h], b[h:]))
        p1, p2 = product(a1 + a4, b1 + b4), product(a3 + a4, b1)
        p3, p4 = product(a1, b2 - b4), product(a4, b3 - b1)
        p5, p6 = product(a1 + a2, b4), product(a3 - a1, b1 + b2)
        p7 = product(a2 - a4, b3 + b4)
        top = torch.cat([p1 + p4 - p5 + p7, p3 + p5], 1)
        return torch.cat([top, torch.cat([p2 + p4, p1 - p2 + p3 + p6], 1)])

    def ordered(x: Any) -> Any:
        if len(x) < 2:
            return x
        a, b = ordered(x[: len(x) // 2]), ordered(x[len(x) // 2 :])
        ranks = torch.arange(len(b)) + torch.searchsorted(a, b)
        out = torch.empty(len(x), dtype=x.dtype)
        free = torch.ones(len(x), dtype=torch.bool)
        free[ranks] = False
        out[ranks], out[free] = b, a
        return out

    n = r.choice([8, 16])
    made = product(_noise(torch, n, n), _noise(torch, n, n))
    x = ordered(_noise(torch, r.randint(10, 40)))
    return float(made.abs().mean() + (x[1:] - x[:-1]).min() + x[len(x) // 2])


# --- search and dynamic programming ---------------------------------------------------------------


@family
def beam(torch: Any, r: random.Random) -> float:
    """Beam search with a recurrent cell; finished hypotheses leave the beam."""
    nn, size, width = torch.nn, r.randint(6, 20), r.randint(2, 5)
    words, cell = nn.Embedding(size, 12).double(), nn.GRUCell(12, 12).double()
    head = nn.Linear(12, size).double()
    done = []
    with torch.no_grad():
        scores, tokens = torch.zeros(1, dtype=torch.float64), torch.tensor([1])
        hidden = _noise(torch, 1, 12)
        for step in range(r.randint(8, 25)):
            hidden = cell(words(tokens), hidden)
            total = scores[:, None] + torch.log_softmax(3 * head(hidden), -1)
            scores, flat = total.view(-1).topk(min(width, total.numel()))
            parents, tokens = flat // size, flat % size
            hidden = hidden[parents]
            ended = tokens == 0
            done += [s.item() / (step + 1) for s in scores[ended]]
            if ended.all():
                break
            scores, tokens, hidden = scores[~ended], tokens[~ended], hidden[~ended]
    return max([*done, float(scores.max()) / (step + 1)])


@family
def alignment(torch: Any, r: random.Random) -> float:
    """Dynamic time warping or longest common subsequence, an element at a time."""
    n, m = r.randint(6, 16), r.randint(6, 16)
    if r.random() < 0.5:
        a, b = _noise(torch, n, 3), _noise(torch, m, 3)
        cost = torch.cdist(a, b)
        table = torch.full((n + 1, m + 1), float("inf"), dtype=torch.float64)
        table[0, 0] = 0
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                before = min(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1])
                table[i, j] = cost[i - 1, j - 1] + before
        return float(table[n, m])
    a, b = torch.randint(0, 4, (n,)), torch.randint(0, 4, (m,))
    table = torch.zeros(n + 1, m + 1, dtype=torch.int64)
    for i in range(n):
        for j in range(m):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
            else:
                table[i + 1, j + 1] = torch.max(table[i, j + 1], table[i + 1, j])
    return float(table[n, m])


@family
def hidden_markov(torch: Any, r: random.Random) -> float:
    """The forward algorithm, its gradient, and the best path."""
    states, steps = r.randint(3, 9), r.randint(10, 50)
    moves = torch.log_softmax(_noise(torch, states, states), 1).requires_grad_()
    seen = torch.log_softmax(_noise(torch, steps, states), 1)
    alpha = best = seen[0]
    back = []
    for t in range(1, steps):
        alpha = torch.logsumexp(alpha[:, None] + moves, 0) + seen[t]
        best, k = (best[:, None] + moves.detach()).max(0)
        best = best + seen[t]
        back.append(k)
    torch.logsumexp(alpha, 0).backward()
    path = [int(best.argmax())]
    for k in reversed(back):
        path.append(int(k[path[-1]]))
    return float(moves.grad.square().sum()) + sum(path)


@family
def clusters(torch: Any, r: random.Random) -> float:
    """k-means until no point changes its cluster."""
    n, k = r.randint(30, 120), r.randint(2, 6)
    x = _noise(torch, n, 2)
    centres = x[:k].clone()
    label = torch.full((n,), -1)
    for _ in range(50):
        new = torch.cdist(x, centres).argmin(1)
        if torch.equal(new, label):
            break
        label = new
        for j in range(k):
            members = x[label == j]
            if len(members):
                centres[j] = members.mean(0)
    return float(torch.cdist(x, centres).min(1).values.sum())


# --- samplers and simulations ---------------------------------------------------------------------


@family
def metropolis(torch: Any, r: random.Random) -> float:
    """Random-walk or Hamiltonian Monte Carlo on a mixture of two bells."""
    at, step = r.uniform(1, 2), r.uniform(0.2, 0.8)

    def energy(x: Any) -> Any:
        return -torch.logaddexp(-(x - at).square().sum(), -(x + at).square().sum())

    x, accepted, total = torch.zeros(2, dtype=torch.float64), 0, 0.0
    hamiltonian = r.random() < 0.5
    for _ in range(r.randint(20, 50)):
        if hamiltonian:
            p = _noise(torch, 2)
            y = x.clone().requires_grad_()
            before, q = energy(x) + 0.5 * p @ p, p
            for _ in range(4):
                q = q - 0.5 * step * torch.autograd.grad(energy(y), y)[0]
                y = (y + step * q).detach().requires_grad_()
                q = q - 0.5 * step * torch.autograd.grad(energy(y), y)[0]
            y, change = y.detach(), before - energy(y).detach() - 0.5 * q @ q
        else:
            y = x + step * _noise(torch, 2)
            change = energy(x) - energy(y)
        if torch.rand((), dtype=torch.float64).log() < change:
            x, accepted = y, accepted + 1
        total += x[0].item()
    return total + accepted


@family
def gibbs(torch: Any, r: random.Random) -> float:
    """Gibbs sampling of a small Ising model, site by site."""
    n, strength = r.randint(3, 6), r.uniform(0.2, 0.7)
    spins = torch.where(torch.rand(n, n, dtype=torch.float64) < 0.5, -1.0, 1.0).double()
    for _ in range(r.randint(2, 6)):
        for i in range(n):
            for j in range(n):
                field = (
                    spins[(i + 1) % n, j] + spins[i - 1, j] + spins[i, (j + 1) % n]
                    + spins[i, j - 1]
                )  # fmt: skip
                up = torch.sigmoid(2 * strength * field)
                spins[i, j] = 1.0 if torch.rand((), dtype=torch.float64) < up else -1.0
    return float(spins.sum())


@family
def learning(torch: Any, r: random.Random) -> float:
    """Policy gradient on a small corridor; episodes end when they end."""
    nn, length = torch.nn, r.randint(4, 7)
    net = nn.Sequential(nn.Linear(length, 12), nn.Tanh(), nn.Linear(12, 2)).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    total = 0
    for _ in range(r.randint(5, 12)):
        place, logs = 0, []
        while place < length - 1 and len(logs) < 3 * length:
            x = torch.zeros(length, dtype=torch.float64)
            x[place] = 1
            logits = torch.log_softmax(net(x), 0)
            right = bool(torch.rand((), dtype=torch.float64) < logits[1].exp())
            logs.append(logits[int(right)])
            place = min(place + 1, length - 1) if right else max(place - 1, 0)
        reward = 1.0 / len(logs)
        loss = -(torch.stack(logs) * reward).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += len(logs)
    return float(loss) + total


# --- running them ---------------------------------------------------------------------------------


def run(torch: Any, name: str, k: int) -> float:
    """The result of program `k` of a family."""
    torch.manual_seed(k)
    return FAMILIES[name](torch, random.Random(k))


RUN = """
import importlib, json, sys, time
torch = importlib.import_module(sys.argv[1])
from benchmarks.programs import run
torch.ones(2).add(1).sum().item()
found = []
for k in range(int(sys.argv[3])):
    start = time.perf_counter()
    value = run(torch, sys.argv[2], k)
    found.append((time.perf_counter() - start, value))
print(json.dumps(found))
"""


def measured(library: str, name: str, count: int = EACH) -> list[tuple[float, float]]:
    """(seconds, result) of each program of a family, one after another in a fresh process."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-W", "ignore", "-c", RUN, library, name, str(count)]
        env = {**os.environ, "TORCHISH_CACHE": cache}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    found: list[tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> dict[str, float]:
    """Measure and print a line a family; the slowest program as a multiple of PyTorch's time."""
    print(f"\n{EACH} programs of each family: seconds together, and the slowest one's ratio")
    print(f"  {'family':<15}{'PyTorch':>9}{'torchish':>9}{'slowest':>9}   results")
    worst = {}
    for name in FAMILIES:
        theirs, ours = measured("torch", name), measured("torchish", name)
        ratios = [b[0] / max(a[0], FLOOR) for a, b in zip(theirs, ours, strict=True)]
        wrong = [
            k for k, (a, b) in enumerate(zip(theirs, ours, strict=True))
            if not abs(a[1] - b[1]) <= 1e-3 * max(1, abs(a[1]))
        ]  # fmt: skip
        worst[name] = max(ratios)
        answers = "agree" if not wrong else f"DIFFER in {wrong}"
        mark = "" if worst[name] <= ALLOWED else f"   more than {ALLOWED:.0f}"
        print(
            f"  {name:<15}{sum(a[0] for a in theirs):9.2f}{sum(b[0] for b in ours):9.2f}"
            f"{worst[name]:9.1f}   {answers}{mark}",
            flush=True,
        )
    return worst
