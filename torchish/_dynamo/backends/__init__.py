"""What compiles graphs: the names that `torch.compile` takes, and functions of the user's."""
