"""The call path: from a torch call to a recorded kernel."""
