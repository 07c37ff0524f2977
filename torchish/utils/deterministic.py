"""Whether new memory is filled: it always is, with zeros."""

fill_uninitialized_memory = True
