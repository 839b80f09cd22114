"""An adapter becomes a checked endpoint."""
