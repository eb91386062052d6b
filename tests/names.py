"""Names that several messages list."""

from myrnn.models import stacked

CELLS = ", ".join(map(repr, stacked.CELLS))
