"""The command line: ``myrnn train``, ``evaluate``, ``graph`` and ``predict``."""

from myrnn.cli._main import main

__all__ = ["main"]
