"""Check of training on a GPU (`make check-gpu`); runs on a bare machine too, before anything is installed."""
