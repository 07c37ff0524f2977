"""What scripts import of `torch.distributed.elastic`."""
