"""`python -m specbuilder` is the `specbuilder` command."""

from __future__ import annotations

import sys

from specbuilder.cli import main

if __name__ == "__main__":
    sys.exit(main())
