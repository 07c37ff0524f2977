"""The parts of `torch.save` / `torch.load`; `torchish.serialization` is the public face."""
