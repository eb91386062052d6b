"""What all pages in a browser share: colours and controls (``look.css``), charts, states as colours, helpers."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
