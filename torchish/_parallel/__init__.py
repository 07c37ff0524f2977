"""Running the user's Python on stand-ins and making one kernel of what it recorded.

Serves DataParallel, `func.pmap` and `func.vmap`. May import `_autograd` and what lies below it.
"""
