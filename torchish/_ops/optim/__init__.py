"""The update rules of the optimizers."""
