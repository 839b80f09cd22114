"""A read-only page on the log and the store: costs, savings, waste, deployments, the playbook, single requests."""
