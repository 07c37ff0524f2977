"""``torch.ao``: what of PyTorch's optimised architectures runs here: dynamic int8 linear layers."""
