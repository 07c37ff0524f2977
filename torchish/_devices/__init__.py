"""What the modules of devices share: streams, and devices that no machine has here.

May import `_core` and what lies below it.
"""
