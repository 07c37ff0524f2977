"""Modules of ``torch.ao``."""
