"""Read-only web page over the log and the store: costs, savings, waste, deployments, the playbook, single requests."""
