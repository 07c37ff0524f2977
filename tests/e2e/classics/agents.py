"""DQN and PPO in the single-file style, on a small pole of one's own, with tensorboard logs."""

import glob
import os
import random
import tempfile
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions.categorical import Categorical
from torch.utils.tensorboard import SummaryWriter


class Pole:
    """A pole on a cart, in numpy."""

    def reset(self, seed=None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.count = self.rng.uniform(-0.05, 0.05, 4), 0
        return self.state.astype(np.float32)

    def step(self, action):
        x, v, angle, spin = self.state
        force = 10.0 if action == 1 else -10.0
        sin, cos = np.sin(angle), np.cos(angle)
        temp = (force + 0.05 * spin**2 * sin) / 1.1
        turn = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        push = temp - 0.05 * turn * cos / 1.1
        self.state = np.array([x + 0.02 * v, v + 0.02 * push, angle + 0.02 * spin,
                               spin + 0.02 * turn])  # fmt: skip
        self.count += 1
        done = bool(abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.21 or self.count >= 200)
        return self.state.astype(np.float32), 1.0, done


def seeded():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.backends.cudnn.deterministic = True


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, x):
        return self.network(x)


def dqn():
    seeded()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = tempfile.mkdtemp()
    writer = SummaryWriter(folder)
    writer.add_text("hyperparameters", "|param|value|\n|-|-|\n|seed|1|")
    env, net, target = Pole(), QNetwork().to(device), QNetwork().to(device)
    optimizer = optim.Adam(net.parameters(), lr=2.5e-3)
    target.load_state_dict(net.state_dict())
    memory, obs = deque(maxlen=200), env.reset(seed=1)
    losses = []
    for step in range(120):
        if random.random() < max(0.05, 1 - step / 60):
            action = random.randrange(2)
        else:
            action = torch.argmax(net(torch.Tensor(obs[None]).to(device)), dim=1).cpu().numpy()[0]
        after, reward, done = env.step(int(action))
        memory.append((obs, action, reward, after, done))
        obs = env.reset() if done else after
        if step > 40 and step % 4 == 0:
            parts = [np.array(x) for x in zip(*random.sample(memory, 16), strict=True)]
            states, actions, rewards, nexts, dones = (torch.as_tensor(p).to(device) for p in parts)
            with torch.no_grad():
                best, _ = target(nexts).max(dim=1)
                wanted = rewards.float().flatten() + 0.99 * best * (1 - dones.float().flatten())
            old = net(states).gather(1, actions.long().unsqueeze(1)).squeeze()
            loss = nn.functional.mse_loss(wanted, old)
            writer.add_scalar("losses/td_loss", loss, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if step % 20 == 0:
            pairs = zip(target.parameters(), net.parameters(), strict=True)
            for target_param, param in pairs:
                target_param.data.copy_(0.5 * param.data + 0.5 * target_param.data)
    for name, param in net.named_parameters():
        writer.add_histogram(name, param, 0)
    writer.close()
    assert len(glob.glob(os.path.join(folder, "events*"))) == 1
    print("dqn", *(f"{x:.5f}" for x in losses[::4]))


def layer_init(layer, std=2**0.5, bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(layer_init(nn.Linear(4, 16)), nn.Tanh(),
                                    layer_init(nn.Linear(16, 1), std=1.0))  # fmt: skip
        self.actor = nn.Sequential(layer_init(nn.Linear(4, 16)), nn.Tanh(),
                                   layer_init(nn.Linear(16, 2), std=0.01))  # fmt: skip

    def get_value(self, x):
        return self.critic(x)

    def get_action_and_value(self, x, action=None):
        probs = Categorical(logits=self.actor(x))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.critic(x)


def ppo(num_steps=16, num_envs=2):
    seeded()
    envs = [Pole() for _ in range(num_envs)]
    agent = Agent()
    optimizer = optim.Adam(agent.parameters(), lr=2.5e-3, eps=1e-5)
    obs = torch.zeros((num_steps, num_envs, 4))
    actions, logprobs, rewards, dones, values = (torch.zeros((num_steps, num_envs))
                                                 for _ in range(5))  # fmt: skip
    next_obs = torch.Tensor(np.stack([e.reset(seed=k) for k, e in enumerate(envs)]))
    next_done = torch.zeros(num_envs)
    for update in range(3):
        for step in range(num_steps):
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                action, logprob, _, value = agent.get_action_and_value(next_obs)
                values[step] = value.flatten()
            actions[step], logprobs[step] = action, logprob
            found = [e.step(int(a)) for e, a in zip(envs, action.cpu().numpy(), strict=True)]
            rewards[step] = torch.tensor([r for _, r, _ in found]).view(-1)
            states = [e.reset() if d else s for e, (s, _, d) in zip(envs, found, strict=True)]
            next_obs = torch.Tensor(np.stack(states))
            next_done = torch.Tensor([float(d) for _, _, d in found])
        with torch.no_grad():
            next_value = agent.get_value(next_obs).reshape(1, -1)
            advantages, last = torch.zeros_like(rewards), 0
            for t in reversed(range(num_steps)):
                if t == num_steps - 1:
                    nonterminal, nextvalues = 1.0 - next_done, next_value
                else:
                    nonterminal, nextvalues = 1.0 - dones[t + 1], values[t + 1]
                delta = rewards[t] + 0.99 * nextvalues * nonterminal - values[t]
                advantages[t] = last = delta + 0.99 * 0.95 * nonterminal * last
            returns = advantages + values
        b_obs, b_logprobs = obs.reshape((-1, 4)), logprobs.reshape(-1)
        b_actions, b_advantages = actions.reshape(-1), advantages.reshape(-1)
        b_returns, b_values = returns.reshape(-1), values.reshape(-1)
        b_inds = np.arange(num_steps * num_envs)
        for _ in range(2):
            np.random.shuffle(b_inds)
            for start in range(0, len(b_inds), 16):
                mb = b_inds[start : start + 16]
                _, newlogprob, entropy, newvalue = agent.get_action_and_value(
                    b_obs[mb], b_actions.long()[mb]
                )
                logratio = newlogprob - b_logprobs[mb]
                ratio = logratio.exp()
                with torch.no_grad():
                    approx_kl = ((ratio - 1) - logratio).mean()
                adv = b_advantages[mb]
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                pg_loss = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 0.8, 1.2)).mean()
                newvalue = newvalue.view(-1)
                v_clipped = b_values[mb] + torch.clamp(newvalue - b_values[mb], -0.2, 0.2)
                v_loss = 0.5 * torch.max((newvalue - b_returns[mb]) ** 2,
                                         (v_clipped - b_returns[mb]) ** 2).mean()  # fmt: skip
                loss = pg_loss - 0.01 * entropy.mean() + v_loss * 0.5
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
        print(f"ppo {update} {v_loss.item():.4f} {pg_loss.item():.4f} {approx_kl.item():.5f}")


def main():
    dqn()
    ppo()
