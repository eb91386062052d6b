"""The one place that loads Polars, so that nobody who reads no file waits for it or needs it."""

from __future__ import annotations

from types import ModuleType

from myrnn.errors import DataError


def load_polars() -> ModuleType:
    """Return the module `polars`.

    Raises
    ------
    DataError
        When it is not installed.
    """
    try:
        import polars
    except ImportError:
        raise DataError("reading files of sequences needs Polars: pip install 'myrnn[data]'") from None
    return polars
