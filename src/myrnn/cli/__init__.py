"""The command line ``myrnn``.

`entry` runs one command line and returns its exit code. `options` makes the options of a command, those of ``train``
from the settings of an experiment; `stop` handles interruptions, `show` prints. Each command has a file
of its name, except those in `parts` (``tasks``, ``models``, ``optimizers``) and `runs` (``list``, ``compare``).
"""

from myrnn.cli.entry import main

__all__ = ["main"]
