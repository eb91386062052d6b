"""The command line ``myrnn``.

`entry` runs one command line and returns its exit code. `options` makes the options of a command, those of ``train``
from the settings of an experiment; `stop` handles interruptions, `show` prints. The commands: `train`; `evaluate`;
`predict`; `ahead` (``generate``, ``forecast``); `look` (``inspect``, ``graph``, ``plot``); `extract`; `parts`
(``tasks``, ``models``, ``optimizers``); `runs` (``list``, ``compare``); `others` (``lesson``, ``playground``,
``sweep``).
"""

from myrnn.cli.entry import main

__all__ = ["main"]
