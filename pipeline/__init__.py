"""Request logs become a task dataset, an adapter, an evaluation and a decision."""
