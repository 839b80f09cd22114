"""An adapter becomes a checked vLLM endpoint."""
