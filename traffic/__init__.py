"""What a request is, costs, must satisfy, and which tier it belongs to. Pure: no server, no torch, no MLflow."""
