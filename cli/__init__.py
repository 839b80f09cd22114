"""The `fasttier` command: one module per sub-command. The only package that knows all parts, and the only one that
starts servers for other stages.
"""
