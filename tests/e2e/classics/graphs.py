"""GCN and GAT on a random graph with a sparse adjacency, as their first implementations do it."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter

N, FEATURES, CLASSES = 40, 12, 3


def load_data():
    rng = np.random.default_rng(0)
    edges = np.unique(rng.integers(0, N, (120, 2)), axis=0)
    adj = np.zeros((N, N), np.float32)
    adj[edges[:, 0], edges[:, 1]] = 1
    adj = np.maximum(adj, adj.T) + np.eye(N, dtype=np.float32)
    adj = adj / adj.sum(1, keepdims=True)
    rows, cols = adj.nonzero()
    indices = torch.from_numpy(np.vstack((rows, cols)).astype(np.int64))
    sparse = torch.sparse_coo_tensor(indices, torch.from_numpy(adj[rows, cols]), torch.Size((N, N)))
    features = torch.FloatTensor(rng.normal(size=(N, FEATURES)).astype(np.float32))
    return sparse, torch.FloatTensor(adj), features, torch.LongTensor(rng.integers(0, CLASSES, N))


class GraphConvolution(Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        output = torch.spmm(adj, torch.mm(input, self.weight))
        return output + self.bias if self.bias is not None else output


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super().__init__()
        self.gc1, self.gc2 = GraphConvolution(nfeat, nhid), GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.gc1(x, adj)), self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


class SpecialSpmmFunction(torch.autograd.Function):
    """Products of a sparse matrix whose values have a gradient."""

    @staticmethod
    def forward(ctx, indices, values, shape, b):
        assert indices.requires_grad is False
        a = torch.sparse_coo_tensor(indices, values, shape)
        ctx.save_for_backward(a, b)
        ctx.N = shape[0]
        return torch.matmul(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx.saved_tensors
        grad_values = grad_b = None
        if ctx.needs_input_grad[1]:
            grad_a_dense = grad_output.matmul(b.t())
            edge_idx = a._indices()[0, :] * ctx.N + a._indices()[1, :]
            grad_values = grad_a_dense.view(-1)[edge_idx]
        if ctx.needs_input_grad[3]:
            grad_b = a.t().matmul(grad_output)
        return None, grad_values, None, grad_b


class SpGraphAttentionLayer(nn.Module):
    def __init__(self, in_features, out_features, dropout, alpha, concat=True):
        super().__init__()
        self.out_features, self.concat = out_features, concat
        self.W = nn.Parameter(torch.zeros(size=(in_features, out_features)))
        nn.init.xavier_normal_(self.W.data, gain=1.414)
        self.a = nn.Parameter(torch.zeros(size=(1, 2 * out_features)))
        nn.init.xavier_normal_(self.a.data, gain=1.414)
        self.dropout, self.leakyrelu = nn.Dropout(dropout), nn.LeakyReLU(alpha)

    def forward(self, input, adj):
        n = input.size()[0]
        edge = adj.nonzero().t()
        h = torch.mm(input, self.W)
        edge_h = torch.cat((h[edge[0, :], :], h[edge[1, :], :]), dim=1).t()
        edge_e = torch.exp(-self.leakyrelu(self.a.mm(edge_h).squeeze()))
        spmm = SpecialSpmmFunction.apply
        e_rowsum = spmm(edge, edge_e, torch.Size([n, n]), torch.ones(size=(n, 1)))
        h_prime = spmm(edge, self.dropout(edge_e), torch.Size([n, n]), h).div(e_rowsum)
        assert not torch.isnan(h_prime).any()
        return F.elu(h_prime) if self.concat else h_prime


class GraphAttentionLayer(nn.Module):
    def __init__(self, in_features, out_features, dropout, alpha, concat=True):
        super().__init__()
        self.dropout, self.out_features, self.concat = dropout, out_features, concat
        self.W = nn.Parameter(torch.empty(size=(in_features, out_features)))
        nn.init.xavier_uniform_(self.W.data, gain=1.414)
        self.a = nn.Parameter(torch.empty(size=(2 * out_features, 1)))
        nn.init.xavier_uniform_(self.a.data, gain=1.414)
        self.leakyrelu = nn.LeakyReLU(alpha)

    def forward(self, h, adj):
        wh = torch.mm(h, self.W)
        first = torch.matmul(wh, self.a[: self.out_features, :])
        second = torch.matmul(wh, self.a[self.out_features :, :])
        e = self.leakyrelu(first + second.T)
        attention = torch.where(adj > 0, e, -9e15 * torch.ones_like(e))
        attention = F.dropout(F.softmax(attention, dim=1), self.dropout, training=self.training)
        h_prime = torch.matmul(attention, wh)
        return F.elu(h_prime) if self.concat else h_prime


class GAT(nn.Module):
    def __init__(self, layer, nfeat, nhid, nclass, dropout, alpha, nheads):
        super().__init__()
        self.dropout = dropout
        self.attentions = [layer(nfeat, nhid, dropout, alpha) for _ in range(nheads)]
        for i, attention in enumerate(self.attentions):
            self.add_module(f"attention_{i}", attention)
        self.out_att = layer(nhid * nheads, nclass, dropout, alpha, concat=False)

    def forward(self, x, adj):
        x = F.dropout(x, self.dropout, training=self.training)
        x = torch.cat([att(x, adj) for att in self.attentions], dim=1)
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(F.elu(self.out_att(x, adj)), dim=1)


def train(name, model, features, adj, labels):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for epoch in range(4):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss = F.nll_loss(output[:20], labels[:20])
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            output = model(features, adj)
            correct = output.max(1)[1].type_as(labels).eq(labels).double().sum().item()
        print(f"{name} {epoch} {loss.item():.6f} {correct / len(labels):.4f}")


def main():
    sparse, dense, features, labels = load_data()
    torch.manual_seed(72)
    train("gcn", GCN(FEATURES, 8, CLASSES, 0.5), features, sparse, labels)
    train("sp_gat", GAT(SpGraphAttentionLayer, FEATURES, 4, CLASSES, 0.6, 0.2, 2), features, dense,
          labels)  # fmt: skip
    train("gat", GAT(GraphAttentionLayer, FEATURES, 4, CLASSES, 0.6, 0.2, 2), features, dense,
          labels)  # fmt: skip
