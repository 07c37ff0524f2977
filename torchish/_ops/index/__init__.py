"""Reading and writing at positions: `x[...]`, gather, scatter, masks."""
