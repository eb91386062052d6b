import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.plots.automata import DEAD_NOTE, edge_labels, lay_out
from myrnn.tasks import Dyck, Tomita
from myrnn.tasks.languages import Dfa, regular, tomita
from myrnn.tasks.languages.known import cycle_navigation

AUTOMATA = {
    **{f"tomita {number}": tomita(number) for number in range(1, 8)},
    "cycle": cycle_navigation(),
    "brackets": Dyck(2, 3).language,
    "words": tomita(3).with_symbols(("left", "right")),
}


def circles(ax):
    return [patch for patch in ax.patches if isinstance(patch, Circle)]


@pytest.mark.parametrize("dfa", AUTOMATA.values(), ids=AUTOMATA)
def test_states_are_circles_apart_and_accepting_ones_double(dfa):
    ax = plots.plot_automaton(dfa)
    drawn = int(dfa.is_live.sum())
    assert len(circles(ax)) == drawn + int(dfa.accepting.sum())
    places = np.unique([circle.center for circle in circles(ax)], axis=0)
    assert len(places) == drawn
    distance = np.hypot(*np.moveaxis(places[:, np.newaxis] - places, 2, 0)) + 9 * np.eye(drawn)
    assert distance.min() > 3 * max(circle.radius for circle in circles(ax))
    # An arrow into the start, and one arrow for all symbols between two states.
    live = [edge for edge in edge_labels(dfa) if dfa.is_live[list(edge)].all()]
    assert len(ax.patches) - len(circles(ax)) == 1 + len(live)
    assert (ax.get_title(loc="left") == DEAD_NOTE) == (not dfa.is_live.all())
    # All text is inside.
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert all(low < text.get_position()[0] < high and bottom < text.get_position()[1] < top for text in ax.texts)


def test_the_dead_state_is_drawn_if_asked_for(tmp_path):
    ax = plots.plot_automaton(tomita(2), dead=True, ax=Figure().subplots())
    assert len(circles(ax)) == 4 and not ax.get_title(loc="left")
    assert plots.save_figure(ax, tmp_path / "a.svg").read_text().startswith("<?xml")
    # The start is also drawn if nothing is accepted.
    assert len(circles(plots.plot_automaton(regular("a|b").complement.with_symbols(("a", "b"))))) > 1


def test_parallel_arrows_share_a_label():
    labels = edge_labels(regular("[a-f]x|b[^b]", "abcdefx"))
    assert "x" in labels.values() and "not b, x" in labels.values()
    assert edge_labels(regular("...", "abc"))[0, 1] == "any"
    assert edge_labels(tomita(4))[3, 3] == "0, 1"


def test_a_chain_is_drawn_without_crossings():
    places = lay_out(4, [(0, 1), (1, 2), (2, 3)])
    assert np.hypot(*np.diff(places, axis=0).T).max() < 1.3


def test_too_many_states_are_refused():
    with pytest.raises(
        InvalidArgument,
        match=f"^{re.escape('an automaton of 103 states is too large to draw: at most 60 can be drawn')}$",
    ):
        plots.plot_automaton(regular("a{101}"), dead=True)
    assert len(circles(plots.plot_automaton(Tomita(3).language))) == 7


def test_arrows_with_many_long_symbols_have_short_labels():
    symbols = [f"a symbol with the number {i}" for i in range(12)]
    dfa = Dfa(symbols, [[(state + i) % 5 for i in range(12)] for state in range(5)], [True] + [False] * 4)
    labels = edge_labels(dfa)
    assert max(map(len, labels.values())) <= 16 and all(text.endswith("…") for text in labels.values())
