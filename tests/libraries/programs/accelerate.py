import torch
import tempfile
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset

set_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
opt = torch.optim.AdamW(model.parameters(), 0.02)
sched = torch.optim.lr_scheduler.StepLR(opt, 2, 0.5)
data = TensorDataset(torch.randn(32, 8), torch.randint(0, 3, (32,)))
model, opt, loader, sched = accelerator.prepare(
    model, opt, DataLoader(data, 8, shuffle=True), sched
)
for epoch in range(2):
    for x, y in loader:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
            opt.zero_grad()
        print(accelerator.gather(loss.detach()).mean().item(), sched.get_last_lr()[0])
with tempfile.TemporaryDirectory() as d:
    accelerator.save_state(d)
    before = sum(p.double().sum().item() for p in model.parameters())
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    accelerator.load_state(d)
print(before, sum(p.double().sum().item() for p in model.parameters()))
