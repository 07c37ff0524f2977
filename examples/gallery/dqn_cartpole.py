"""Deep Q-learning (Mnih et al., 2015) with a target network on a cart that balances a pole.

Picture: how long each episode lasted, and the last one as it went.
"""

import math
import random

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import options, progress, save, smooth

opt = options(__doc__, "dqn_cartpole.png", steps=6000, batch=128)
random.seed(opt.seed)
LIMIT = 300


class CartPole:
    """Barto, Sutton and Anderson (1983): push a cart left or right, keep its pole upright."""

    def reset(self):
        self.state = np.array([random.uniform(-0.05, 0.05) for _ in range(4)])
        self.time = 0
        return self.state.astype(np.float32)

    def step(self, action):
        """Returns the new state, whether the pole fell, whether the time is up."""
        _, speed, angle, turning = self.state
        force = 10.0 if action else -10.0
        push = (force + 0.05 * turning**2 * math.sin(angle)) / 1.1
        swing = (9.8 * math.sin(angle) - math.cos(angle) * push) / (
            0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1)
        )
        pull = push - 0.05 * swing * math.cos(angle) / 1.1
        self.state = self.state + 0.02 * np.array([speed, pull, turning, swing])
        self.time += 1
        fell = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095
        return self.state.astype(np.float32), fell, self.time >= LIMIT


def network():
    return nn.Sequential(
        nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )


value, target = network(), network()
target.load_state_dict(value.state_dict())
optimizer = torch.optim.Adam(value.parameters(), lr=1e-3)
scale = np.array([2.4, 3.0, 0.21, 3.0], dtype=np.float32)
memory = {
    "state": np.zeros((20_000, 4), np.float32), "next": np.zeros((20_000, 4), np.float32),
    "action": np.zeros(20_000, np.int64), "fell": np.zeros(20_000, np.float32),
}  # fmt: skip


def learn(filled):
    """One step on Q(s, a) = r + 0.97 max Q'(s'), with r = -1 at a fall."""
    places = np.random.default_rng(filled).integers(0, min(filled, 20_000), opt.batch)
    state, after, action, fell = (
        torch.from_numpy(memory[k][places]) for k in ("state", "next", "action", "fell")
    )
    with torch.no_grad():
        # the online network chooses, the target network judges (double Q-learning)
        best = value(after).argmax(1, keepdim=True)
        future = target(after).gather(1, best).flatten()
    guess = value(state).gather(1, action[:, None]).flatten()
    loss = F.smooth_l1_loss(guess, 0.97 * (1 - fell) * future - fell)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():  # the target follows slowly
        for slow, fast in zip(target.parameters(), value.parameters(), strict=True):
            slow.lerp_(fast, 0.02)


def greedy(state):
    with torch.no_grad():
        return int(value(torch.from_numpy(state / scale)[None]).argmax())


pole = CartPole()
state = pole.reset()
lengths, lasted = [], 0
for step in (bar := progress(range(opt.steps), opt.steps, "dqn")):
    explore = max(0.02, 1 - step / (0.25 * opt.steps))
    action = random.randrange(2) if random.random() < explore else greedy(state)
    after, fell, over = pole.step(action)
    place = step % 20_000
    memory["state"][place], memory["next"][place] = state / scale, after / scale
    memory["action"][place], memory["fell"][place] = action, fell
    state, lasted = after, lasted + 1
    if step > 200:
        learn(step)
    if fell or over:
        lengths.append(lasted)
        state, lasted = pole.reset(), 0
        bar.set_postfix(lasted=lengths[-1])

track = [pole.reset()]
for _ in range(LIMIT):
    after, fell, over = pole.step(greedy(track[-1]))
    track.append(after)
    if fell or over:
        break
track = np.array(track)
print(f"{len(lengths)} episodes; the pole stood for {len(track) - 1} of {LIMIT} steps at the end")

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.6), layout="constrained")
left.plot(lengths, ".", alpha=0.4)
middle = smooth(lengths, 10)
left.plot(np.arange(len(middle)) + (len(lengths) - len(middle)) / 2, middle, color="C0")
left.set(title="steps until the pole fell", xlabel="episode", ylim=(0, LIMIT * 1.04))
seconds = np.arange(len(track)) * 0.02
right.plot(seconds, track[:, 0] / 2.4, label="cart, 1 is the end of the track")
right.plot(seconds, track[:, 2] / 0.2095, label="pole, 1 is a fall (12 degrees)")
right.axhspan(-1, 1, color="C2", alpha=0.1)
right.set(title=f"greedy at the end: {len(track) - 1} steps", xlabel="seconds", ylim=(-1.3, 1.3))
right.legend(loc="lower left")
save(figure, opt.out)
