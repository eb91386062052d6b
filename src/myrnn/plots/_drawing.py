"""The figure of a live plot: what of the record is drawn, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from myrnn.plots._budget import DrawingBudget, Kind
from myrnn.plots._layout import Colors, lay_out
from myrnn.plots._panel import MetricPanel
from myrnn.plots._screens import Screen
from myrnn.plots._series import MetricSeries

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


class Shown(NamedTuple):
    """What there is to draw: the series of both splits, how much of them, and whether single batches too."""

    train: Mapping[str, MetricSeries]
    test: Mapping[str, MetricSeries]
    last_n: int | None
    with_batches: bool

    @property
    def position(self) -> float:
        """The iteration up to which there are records."""
        return max([series.position for split in (self.train, self.test) for series in split.values()], default=0.0)


class LiveDrawing:
    """One figure with a panel for each metric, drawn on a screen within a budget.

    While the lines grow, the axes reach farther than they do, so that most drawings are of the lines alone and cost a
    tenth of the whole picture. What takes longer comes when the training goes on for longer: axes closer around the
    lines, and the latest means in the legend. What is asked for is drawn with all of that.

    Parameters
    ----------
    metrics : tuple of str
    colors : dict
        As `checked_colors` returns them.
    grid : pair of int
        Rows and columns.
    size : pair of float
        Width and height in inches.
    screen : Screen
    budget : DrawingBudget
    """

    def __init__(
        self,
        metrics: tuple[str, ...],
        colors: Colors,
        grid: tuple[int, int],
        size: tuple[float, float],
        screen: Screen,
        budget: DrawingBudget,
    ) -> None:
        self._metrics, self._colors, self._grid, self._size = metrics, colors, grid, size
        self.screen, self.budget = screen, budget
        self._figure: Figure | None = None
        self._axes: Any = None
        self._panels: list[MetricPanel] = []
        self._end = 0.0  # the last iteration of the training under way, where it is known
        self._next: Kind = "lines"
        self._numbers = False

    @property
    def made(self) -> bool:
        """Whether there is a figure yet."""
        return self._figure is not None

    @property
    def objects(self) -> tuple[Figure, Any]:
        """The figure, made when first asked for, and its axes."""
        if self._figure is None:
            self._figure = self.screen.new_figure(self._size)
            self._axes, self._panels = lay_out(self._figure, self._metrics, self._grid, self._colors)
            for panel in self._panels:
                panel.fit()
        return self._figure, self._axes

    def begin(self, shown: Shown, iterations: int) -> None:
        """Draw the axes of a training of so many iterations, and count the time for drawing from here on."""
        self._end = shown.position + iterations
        if not self.screen.live or self.budget.fraction == 0:
            return
        self._numbers = False
        _ = self.objects
        for panel in self._panels:
            panel.await_training()
        kinds: tuple[Kind, ...] = ("whole", "lines", "lines")  # both, so that their costs are known, and not cold
        for kind in kinds:
            with self.budget.measured(kind):
                self._update(shown)
                self._draw(shown, kind)
        self.budget.restart()

    def when_due(self, shown: Shown) -> None:
        """Draw when the budget allows what the record needs now."""
        if not self.screen.live or not self.budget.allows(self._next):
            return
        with self.budget.measured() as drawing:
            self._numbers = self._numbers or self.budget.worth_waiting()
            self._update(shown)
            wanted = self._wanted()
            if wanted == "whole" and not self.budget.allows():
                drawing.kind, self._next = None, "whole"  # not now, but when there is time for it
                return
            drawing.kind, self._next = wanted, "lines"
            self._draw(shown, wanted)

    def now(self, shown: Shown) -> None:
        """Draw all of the record, the axes just around it, whatever the budget says."""
        with self.budget.measured("whole"):
            self.screen.update(self.fitted(shown), self.moving)

    def end(self, shown: Shown) -> None:
        """Draw a training that has ended."""
        self._end = 0.0
        self.now(shown)

    def fitted(self, shown: Shown) -> Figure:
        """Return the figure with all of the record, the axes just around it."""
        self._numbers = True
        figure = self._update(shown)
        for panel in self._panels:
            panel.fit()
        return figure

    @property
    def moving(self) -> list[Artist]:
        """The parts that a new record changes while the axes stay."""
        return [artist for panel in self._panels for artist in panel.moving]

    def _draw(self, shown: Shown, kind: Kind) -> None:
        """Draw the lines as `_update` has left them."""
        if kind == "whole":
            for panel in self._panels:
                panel.make_room(self._end, shown.last_n)
        self.screen.update(self.objects[0], self.moving)

    def _wanted(self) -> Kind:
        """Return what kind of drawing shows the lines as they are now."""
        rooms = {panel.room() for panel in self._panels}
        closer = "loose" in rooms and self.budget.worth_waiting()
        return (
            "whole" if closer or "short" in rooms or not self.screen.stands(self.objects[0], self.moving) else "lines"
        )

    def _update(self, shown: Shown) -> Figure:
        """Bring all lines up to the record and return the figure."""
        figure, _ = self.objects
        end = shown.position
        span = 0.0 if shown.last_n is None else max(0.0, end - shown.last_n), end
        for name, panel in zip(self._metrics, self._panels, strict=True):
            panel.update(shown.train.get(name), shown.test.get(name), span, shown.with_batches, self._numbers)
        return figure
