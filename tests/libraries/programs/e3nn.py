import torch
from e3nn import o3

torch.manual_seed(0)
x = torch.randn(5, 3)
sh = o3.spherical_harmonics([0, 1, 2], x, True, normalization="component")
print(*sh.flatten().tolist())
print(*o3.wigner_3j(1, 1, 2).flatten().tolist())
a = o3.Irreps("4x0e + 2x1o")
tp = o3.FullyConnectedTensorProduct(a, o3.Irreps.spherical_harmonics(2), "3x0e + 2x1o + 1x2e")
f = a.randn(5, -1)
lin = o3.Linear("3x0e + 2x1o + 1x2e", "2x0e")
opt = torch.optim.Adam([*tp.parameters(), *lin.parameters()], 0.01)
for _ in range(3):
    opt.zero_grad()
    loss = lin(tp(f, sh)).square().mean()
    loss.backward()
    opt.step()
    print(loss.item())
R = o3.rand_matrix()
print(
    int(
        (
            tp(
                f @ a.D_from_matrix(R).T,
                o3.spherical_harmonics([0, 1, 2], x @ R.T, True, normalization="component"),
            )
            - tp(f, sh) @ tp.irreps_out.D_from_matrix(R).T
        )
        .abs()
        .max()
        .item()
        < 1e-4
    )
)
