"""A Fourier operator, a factorized one and a U-shaped one, trained and read at another resolution."""

import contextlib
import io

import torch
from neuralop import H1Loss, LpLoss
from neuralop.models import FNO, TFNO, UNO

torch.manual_seed(0)
x = torch.randn(2, 1, 8, 8)
y = x.roll(1, -1)
with contextlib.redirect_stdout(io.StringIO()):  # they tell of their settings
    models = (
        FNO(n_modes=(4, 4), in_channels=1, out_channels=1, hidden_channels=6, n_layers=2),
        TFNO(n_modes=(4, 4), in_channels=1, out_channels=1, hidden_channels=6, n_layers=2,
             factorization="tucker", rank=0.5),
        UNO(in_channels=1, out_channels=1, hidden_channels=6, n_layers=2, uno_out_channels=[6, 6],
            uno_n_modes=[[4, 4], [4, 4]], uno_scalings=[[1, 1], [1, 1]], channel_mlp_skip="linear"),
    )  # fmt: skip
for model in models:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for loss in (LpLoss(d=2, p=2), H1Loss(d=2), LpLoss(d=2, p=2)):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        print(value.item())
    with torch.no_grad():
        print(*model(torch.linspace(-1, 1, 144).reshape(1, 1, 12, 12)).flatten()[:6].tolist())
