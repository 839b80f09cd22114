"""Measurements behind the claims on speed, quality and evidence; each is run as `python -m benchmarks.NAME`."""
