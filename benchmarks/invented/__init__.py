"""Logs of invented companies with their true tiers, for measuring the profile and the routing on logs never seen.

    python -m benchmarks.invented --company lender --seed 1 --requests 6000 --out FOLDER [--untagged]

Writes log.jsonl (LiteLLM rows) and gold.jsonl (`id`, `feature`, `task_type`, `tier_true`) for `replay --gold`. A company is
a module with its call sites. Each is here for something in the profile or in the rules that no other company here
notices when it breaks (docs/LOG.md, 2026-11-29).
"""
