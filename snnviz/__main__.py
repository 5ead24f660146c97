"""`python -m snnviz`: the command line."""

import sys

from snnviz.cli import main

if __name__ == "__main__":
    sys.exit(main())
