"""Logs of invented companies with their true tiers, for measuring the profile and the routing on logs never seen.

    python -m benchmarks.invented --company clinic --seed 1 --requests 6000 --out FOLDER [--untagged]

Writes log.jsonl (LiteLLM rows) and gold.jsonl (`id`, `feature`, `task_type`, `tier_true`) for `replay --gold`.
Companies marked as held out are for reporting only.
"""
