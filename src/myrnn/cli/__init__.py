"""The command line ``myrnn``.

`entry` takes one command line and ends with an exit code. `options` makes the options of a command, those of ``train``
from the settings of an experiment; `stop` handles what stops a command, `show` prints. The commands: `train`;
`evaluate` and ``transfer``; `predict`; `look` (``inspect``, ``graph``, ``plot``); `extract`; `runs` (``list``,
``compare``); `others` (``lesson``, ``playground``, ``sweep``).
"""

from myrnn.cli.entry import main

__all__ = ["main"]
