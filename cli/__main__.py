"""`python -m cli`: the `fasttier` command without its script."""

from cli.app import main

main()
