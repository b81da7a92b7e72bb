"""`python -m ollamaspace`."""

import sys

from ollamaspace.cli import main

if __name__ == "__main__":
    sys.exit(main())
