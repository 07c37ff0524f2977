import torch
from einops import rearrange, reduce, repeat

x = torch.arange(24.0).view(2, 3, 4)
for y in (
    rearrange(x, "a b c -> (a c) b"),
    reduce(x, "a b c -> b", "mean"),
    repeat(x, "a b c -> a (b k) c", k=2),
):
    print(*y.flatten().tolist())
