"""Parts of `torch.storage`: the old typed classes, and what storages do besides holding memory.

May import `_tensor` and what lies below it.
"""
