"""The operators of layers: activations, attention, embeddings, normalisation, recurrence."""
