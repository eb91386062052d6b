"""Refuses files and folders that could not be written, before the work is done."""

from __future__ import annotations

from pathlib import Path

from myrnn.errors import InvalidArgument


def check_file(option: str, path: Path | None) -> None:
    """Refuse a file in a folder that is not there."""
    if path is not None and not path.parent.is_dir():
        raise InvalidArgument(f"{option} must lie in a folder that exists, but {path.parent} does not")


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a picture of a kind that is not drawn, or in a folder that is not there."""
    from myrnn.plots import FIGURE_ENDINGS  # late, for the sake of a quick start

    if path is not None and path.suffix.lower() not in FIGURE_ENDINGS:
        *first, last = FIGURE_ENDINGS
        raise InvalidArgument(f"{option} must end in {', '.join(first)} or {last}, not {path.name!r}")
    check_file(option, path)
