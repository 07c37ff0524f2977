import torch
import warnings

warnings.filterwarnings("ignore")
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
data = TensorDataset(torch.randn(32, 8), torch.randint(0, 3, (32,)))
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
opt = torch.optim.SGD(model.parameters(), 0.1)
engine = PrivacyEngine()
model, opt, loader = engine.make_private(
    module=model,
    optimizer=opt,
    data_loader=DataLoader(data, 8),
    noise_multiplier=1.0,
    max_grad_norm=1.0,
)
for x, y in loader:
    opt.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    opt.step()
    print(len(x), loss.item())
print(engine.get_epsilon(1e-5))
print(*[p.double().sum().item() for p in model.parameters()])
