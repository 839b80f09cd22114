"""A request becomes a tier, an answer and a line in the request log."""
