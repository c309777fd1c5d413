"""`python -m portbroker`, and the `portbroker` command."""

import sys

from portbroker.cli import main

if __name__ == "__main__":
    sys.exit(main())

__all__ = ["main"]
