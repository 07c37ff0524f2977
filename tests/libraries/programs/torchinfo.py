"""Tables of a model's layers, by torchinfo and torchsummary: every number in them."""

import contextlib
import io
import re

import torch
from torchinfo import summary
from torchsummary import summary as older

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(),
    torch.nn.Linear(8 * 36, 10),
)  # fmt: skip
columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")
text = str(summary(net, (2, 3, 8, 8), col_names=columns, verbose=0, depth=2))
rnn = torch.nn.LSTM(4, 6, 2, batch_first=True)
text += str(summary(rnn, (2, 5, 4), verbose=0))
with contextlib.redirect_stdout(io.StringIO()) as caught:
    older(net, (3, 8, 8), device="cpu")
print(*re.findall(r"\d+\.?\d*", (text + caught.getvalue()).replace(",", "")))
