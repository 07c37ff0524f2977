"""One result for each element, or for each pair or triple of them."""
