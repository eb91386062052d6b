"""Run the command ``myrnn`` by ``python -m myrnn``."""

import sys

from myrnn.cli import main

sys.exit(main())
