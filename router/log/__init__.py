"""The request log: written before the answer leaves, compressed when its hour is over."""
