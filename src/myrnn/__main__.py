"""``python -m myrnn`` does what the command ``myrnn`` does."""

import sys

from myrnn.cli import main

sys.exit(main())
