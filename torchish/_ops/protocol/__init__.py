"""`__torch_function__` and dispatch modes: calls shown to the user's own code."""
