"""`python -m target_amplemarket` is the console script."""

from target_amplemarket.cli import main

main()
