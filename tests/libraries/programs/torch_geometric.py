import torch
from torch_geometric.nn import GATConv, GCNConv, SAGEConv

torch.manual_seed(0)
x, edges = torch.randn(20, 8), torch.randint(0, 20, (2, 60))
y = torch.randint(0, 3, (20,))
for layer in (GCNConv, GATConv, SAGEConv):
    torch.manual_seed(1)
    a, b = layer(8, 16), layer(16, 3)
    optimizer = torch.optim.Adam([*a.parameters(), *b.parameters()], 0.01)
    for _ in range(5):
        optimizer.zero_grad()
        out = b(a(x, edges).relu(), edges)
        loss = torch.nn.functional.cross_entropy(out, y)
        loss.backward()
        optimizer.step()
    print(loss.item())
