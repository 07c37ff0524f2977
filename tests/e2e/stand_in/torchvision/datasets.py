"""None: the tests run the datasets that the examples bring along."""
