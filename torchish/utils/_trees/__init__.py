"""What `torch.utils._pytree` is made of."""
