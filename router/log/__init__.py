"""The request log: written before the answer is sent, compressed after the hour."""
