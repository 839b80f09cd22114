"""Serves adapters and classifiers, checks the endpoints against training, and registers them at Tier 1."""
