import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from monai.transforms import Compose, NormalizeIntensity, ScaleIntensity, Rotate90
from monai.metrics import DiceMetric
from monai.inferers import sliding_window_inference

torch.manual_seed(0)
x = torch.randn(2, 1, 16, 16)
y = (torch.rand(2, 1, 16, 16) > 0.5).float()
pipe = Compose([NormalizeIntensity(), ScaleIntensity(), Rotate90()])
plain = lambda t: t.as_tensor() if hasattr(t, "as_tensor") else t
x = torch.stack([plain(pipe(i)) for i in x])
print(x.double().abs().mean().item())
model = UNet(
    spatial_dims=2,
    in_channels=1,
    out_channels=2,
    channels=(4, 8, 16),
    strides=(2, 2),
    num_res_units=1,
)
opt = torch.optim.Adam(model.parameters(), 1e-2)
loss_of = DiceLoss(to_onehot_y=True, softmax=True)
for _ in range(3):
    opt.zero_grad()
    loss = loss_of(model(x), y)
    loss.backward()
    opt.step()
    print(loss.item())
model.eval()
with torch.no_grad():
    out = sliding_window_inference(x, (8, 8), 2, model, overlap=0.25)
print(out.double().abs().mean().item())
m = DiceMetric()
m((out.argmax(1, keepdim=True)).float(), y)
print(m.aggregate().item())
