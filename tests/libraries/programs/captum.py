"""What a network's answer rests on: seven methods of attribution."""

import torch
from captum.attr import (
    DeepLift,
    FeatureAblation,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LayerConductance,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValueSampling,
)

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
    torch.nn.Linear(4 * 36, 3),
).eval()  # fmt: skip
x = torch.randn(2, 1, 6, 6, requires_grad=True)
found = {
    "ig": IntegratedGradients(net).attribute(x, target=1, n_steps=8),
    "saliency": Saliency(net).attribute(x, target=0),
    "times": InputXGradient(net).attribute(x, target=0),
    "guided": GuidedBackprop(net).attribute(x, target=2),
    "deep": DeepLift(net).attribute(x, target=1),
    "conductance": LayerConductance(net, net[1]).attribute(x, target=1, n_steps=8),
    "cam": LayerGradCam(net, net[0]).attribute(x, target=1),
    "occlusion": Occlusion(net).attribute(x, (1, 3, 3), strides=(1, 3, 3), target=1),
    "ablation": FeatureAblation(net).attribute(x, target=1),
    "noise": NoiseTunnel(Saliency(net)).attribute(x, nt_samples=3, stdevs=0.1, target=0),
}
linear = torch.nn.Linear(4, 2)
found["shapley"] = ShapleyValueSampling(linear).attribute(torch.randn(2, 4), target=1, n_samples=5)
for name in found:
    print(*found[name].flatten().tolist()[:24], found[name].sum().item())
_, gap = IntegratedGradients(net).attribute(x, target=1, return_convergence_delta=True)
print(*gap.tolist())
