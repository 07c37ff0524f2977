import torch
import gymnasium
import io
from stable_baselines3 import PPO, DQN

env = gymnasium.make("CartPole-v1")
torch.set_num_threads(1)
for cls, kw in (
    (PPO, dict(n_steps=64, batch_size=32, n_epochs=2)),
    (DQN, dict(learning_starts=50, batch_size=16, target_update_interval=50)),
):
    model = cls("MlpPolicy", gymnasium.make("CartPole-v1"), seed=0, device="cpu", **kw)
    model.learn(500)
    obs, _ = env.reset(seed=0)
    total = 0
    for _ in range(50):
        a, _ = model.predict(obs, deterministic=True)
        obs, r, end, cut, _ = env.step(int(a))
        total += r
        if end:
            break
    print(total, *[p.double().abs().mean().item() for p in model.policy.parameters()])
    f = io.BytesIO()
    model.save(f)
    f.seek(0)
    again = cls.load(f, device="cpu")
    print(again.predict(obs, deterministic=True)[0], again.num_timesteps)
