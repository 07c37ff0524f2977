import torch
import warnings

warnings.filterwarnings("ignore")
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

torch.manual_seed(0)
x = torch.rand(10, 2, dtype=torch.double)
y = -((x - 0.4) ** 2).sum(-1, keepdim=True) + 0.1 * torch.sin(9 * x[:, :1])
gp = SingleTaskGP(x, y)
mll = ExactMarginalLogLikelihood(gp.likelihood, gp)
print(mll(gp(*gp.train_inputs), gp.train_targets).item())
fit_gpytorch_mll(mll)
gp.eval()
posterior = gp.posterior(x[:3] + 0.05)
print(*posterior.mean.ravel().tolist(), *posterior.variance.ravel().tolist())
bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)
torch.manual_seed(1)
ei = LogExpectedImprovement(gp, best_f=y.max())
candidate, value = optimize_acqf(ei, bounds=bounds, q=1, num_restarts=3, raw_samples=16)
print(value.item(), ei(candidate).item())
print(*candidate.ravel().tolist())
sampler = SobolQMCNormalSampler(torch.Size([16]), seed=2)
batch = qLogExpectedImprovement(gp, best_f=y.max(), sampler=sampler)
print(batch(torch.tensor([[0.3, 0.4], [0.6, 0.2]], dtype=torch.double)).item())
