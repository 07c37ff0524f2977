"""Elements in other places: joined, repeated, rolled, padded."""
