import subprocess
import sys
import threading
from types import ModuleType

import matplotlib
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
from matplotlib.figure import Figure

from marks import the_rest_is_long
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport
from myrnn.learning_curve import LearningCurve
from myrnn.plots import plot_accuracy_by_length, plot_learning_curve, plot_setting, save_figure
from myrnn.plots.style import figures_for_files, series


def history(**settings):
    columns = np.array([500, 1000, 1500]), np.array([0.7, 0.5, 0.25]), np.array([0.5, 0.75, 1.0])
    return plot_learning_curve(LearningCurve(*columns), **settings)


def runs(count=3, **settings):
    return plot_setting(["a", "b"] * count, np.linspace(0.5, 0.9, 2 * count), ["one", "two"] * count, **settings)


def by_length(right=60):
    lengths, correct = np.array([2, 4, 6, 8]), np.array([100, 90, 80, right])
    return plot_accuracy_by_length(LengthReport(lengths, np.full(4, 100), correct, 0.5, 4), label="RNN")


def test_the_first_curves_all_look_different():
    assert len({tuple(series(place).values()) for place in range(24)}) == 24


@pytest.mark.parametrize("given", ["ax", 3, [None]])
def test_invalid_axes_are_refused(given):
    with pytest.raises(InvalidArgument, match=f"^ax must be a matplotlib Axes, not {type(given).__name__}$"):
        runs(ax=given)


def test_empty_axes_get_the_style_and_used_ones_keep_theirs():
    empty, used = Figure().subplots(1, 2)
    used.plot([0, 1])
    for ax in (empty, used):
        assert runs(ax=ax) is ax
    assert [ax.spines["top"].get_visible() for ax in (empty, used)] == [False, True]


# Files


@pytest.mark.parametrize("suffix", the_rest_is_long([".svg", ".png", ".pdf", ".SVG"], ".svg"))
def test_the_same_data_give_the_same_bytes(tmp_path, suffix):
    first = save_figure(by_length(), tmp_path / f"a{suffix}").read_bytes()
    ax = by_length()
    # Earlier files make no difference, either.
    save_figure(ax, tmp_path / "b.png")
    assert save_figure(ax, str(tmp_path / f"b{suffix}")).read_bytes() == first
    assert save_figure(by_length(50), tmp_path / f"c{suffix}").read_bytes() != first


@pytest.mark.long
def test_another_process_loads_matplotlib_when_it_draws_and_writes_the_same_bytes(tmp_path):
    script = (
        "import sys; import numpy as np; from myrnn.plots import plot_learning_curve, save_figure\n"
        "from myrnn.learning_curve import LearningCurve\n"
        "assert 'matplotlib' not in sys.modules\n"
        "curve = LearningCurve(*map(np.array, ([500, 1000, 1500], [0.7, 0.5, 0.25], [0.5, 0.75, 1.0])))\n"
        "save_figure(plot_learning_curve(curve), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "theirs.svg"], check=True)
    save_figure(history(), tmp_path / "ours.svg")
    written = (tmp_path / "ours.svg").read_text()
    assert (tmp_path / "theirs.svg").read_text() == written
    assert "<dc:date>" not in written
    assert matplotlib.__version__ not in written


def test_a_figure_its_axes_and_an_array_of_axes_can_be_saved(tmp_path):
    axes = history()
    files = [save_figure(what, tmp_path / f"{i}.svg") for i, what in enumerate((axes, axes[1], axes[0].figure))]
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize(
    ("what", "path", "message"),
    [
        ("loss", "a.svg", "fig_or_ax must be a matplotlib Figure or Axes, not str"),
        ([], "a.svg", "fig_or_ax must be a matplotlib Figure or Axes, not list"),
        (Figure(), "a.jpeg", "path must end in .svg, .png or .pdf, not 'a.jpeg'"),
        (Figure(), "a", "path must end in .svg, .png or .pdf, not 'a'"),
        (Figure(), 3, "path must be the name of a file, not 3"),
        (Figure(), "no-such/a.svg", "path must lie in a folder that exists, but 'no-such' does not"),
    ],
)
def test_wrong_files_are_refused(what, path, message):
    with pytest.raises(InvalidArgument) as error:
        save_figure(what, path)
    assert str(error.value) == message


# Where figures are shown


def test_pyplot_keeps_no_figure_without_a_screen():
    before = pyplot.get_fignums()
    history()
    by_length()
    assert pyplot.get_fignums() == before


@pytest.fixture
def kernel(monkeypatch):
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield
    InteractiveShell.clear_instance()
    pyplot.close("all")


def test_a_notebook_shows_the_figure_under_the_cell(kernel):
    ax = by_length()
    assert ax.figure.number in pyplot.get_fignums()


def test_sphinx_gallery_shows_the_figure_under_the_cell(monkeypatch):
    monkeypatch.setitem(sys.modules, "sphinx_gallery", ModuleType("sphinx_gallery"))
    ax = by_length()
    assert ax.figure.number in pyplot.get_fignums()
    pyplot.close("all")


def test_a_figure_for_a_file_is_not_shown(kernel):
    with figures_for_files():
        by_length()
    assert pyplot.get_fignums() == []


def test_threads_never_touch_pyplot(kernel):
    axes = []
    thread = threading.Thread(target=lambda: axes.append(by_length()))
    thread.start()
    thread.join()
    assert len(axes) == 1
    assert pyplot.get_fignums() == []


def test_global_settings_are_not_changed(tmp_path):
    before = dict(matplotlib.rcParams)
    save_figure(history(), tmp_path / "a.svg")
    save_figure(by_length(), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
