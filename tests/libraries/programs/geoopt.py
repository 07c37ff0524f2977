"""Optimization on manifolds: points, tangents, distances and steps of two optimizers."""

import geoopt
import torch

torch.manual_seed(0)
for manifold in (
    geoopt.Sphere(),
    geoopt.PoincareBall(c=0.7),
    geoopt.Lorentz(),
    geoopt.Euclidean(ndim=1),
):
    a, b = (manifold.projx(0.3 * torch.randn(3, 4, dtype=torch.float64)) for _ in range(2))
    v = manifold.proju(a, torch.randn(3, 4, dtype=torch.float64))
    print(*manifold.dist(a, b).tolist(), *manifold.expmap(a, 0.1 * v).flatten().tolist())
    print(*manifold.logmap(a, b).flatten().tolist(), *manifold.transp(a, b, v).flatten().tolist())
for make in (geoopt.optim.RiemannianSGD, geoopt.optim.RiemannianAdam):
    torch.manual_seed(1)
    target = torch.randn(5, 3, dtype=torch.float64)
    stiefel = geoopt.ManifoldParameter(
        geoopt.CanonicalStiefel().projx(torch.randn(5, 3, dtype=torch.float64)),
        manifold=geoopt.CanonicalStiefel(),
    )
    ball = geoopt.ManifoldParameter(
        0.2 * torch.randn(4, 2, dtype=torch.float64), manifold=geoopt.PoincareBall()
    )
    optimizer = make([stiefel, ball], lr=0.05)
    for _ in range(4):
        optimizer.zero_grad()
        loss = (stiefel - target).pow(2).sum() + ball.manifold.dist0(ball - 0.1).pow(2).sum()
        loss.backward()
        optimizer.step()
        print(loss.item())
    print(
        *stiefel.flatten().tolist(), *ball.flatten().tolist(), (stiefel.T @ stiefel).trace().item()
    )
