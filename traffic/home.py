"""Earlier name of `traffic.artifacts`."""

from traffic.artifacts import Home, atomic_folder, hash8, write_atomic

__all__ = ["Home", "atomic_folder", "hash8", "write_atomic"]
