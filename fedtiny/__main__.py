"""`python -m fedtiny` is `fedtiny`."""

import sys

from fedtiny.cli import main

if __name__ == "__main__":
    sys.exit(main())
