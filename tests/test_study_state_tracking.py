"""The study of state tracking agrees with its comments, and the script fills its page from results."""

import runpy
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from myrnn.models.model import num_parameters
from myrnn.models.stacked import CELLS
from myrnn.sweeps import read_study
from myrnn.tasks import GroupWords, ModularArithmetic

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study():
    """The study that ships."""
    return read_study(ROOT / "studies" / "state-tracking.toml")


@pytest.fixture(scope="module")
def script():
    """The names of the script that fills the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "make_study_state_tracking.py")))


def kind_of(point, script):
    """Return the task and the network of a run, as the page names them."""
    runs = {name: [point.settings.get(name)] for name in script.TASK}
    runs |= {"run": [point.run], "status": ["done"], "variant": [point.variant], "longest": [1]}
    (kind,) = script.cells_of(SimpleNamespace(runs=runs, by_length=lambda rows: (np.ones((1, 1)), np.ones(1))))
    return kind


def test_every_network_learns_every_task_from_ten_seeds(study, script):
    seeds = {}
    for point in study.points:
        seeds.setdefault(kind_of(point, script), []).append(point.settings["training.seed"])
    assert set(seeds) == {(task, network) for task in script.TASKS.values() for network in script.NETWORKS}
    assert all(sorted(found) == list(range(10)) for found in seeds.values())
    assert {point.settings["model.name"] for point in study.points} == set(CELLS)


def test_the_networks_of_a_task_are_trained_alike_with_as_many_parameters(study, script):
    firsts = [point for point in study.points if point.settings["training.seed"] == 0]
    firsts.sort(key=lambda point: kind_of(point, script))
    for _, points in groupby(firsts, key=lambda point: kind_of(point, script)[0]):
        experiments = [point.experiment for point in points]
        task = experiments[0].source.settings.make()
        assert {experiment.source.settings.make() for experiment in experiments} == {task}
        assert len({(experiment.training, experiment.evaluation) for experiment in experiments}) == 1
        sizes = [
            num_parameters(experiment.model.new_model(task, np.random.default_rng(0))) for experiment in experiments
        ]
        assert len(sizes) == len(script.NETWORKS)
        assert max(abs(size / np.mean(sizes) - 1) for size in sizes) <= 0.05


def test_tests_are_up_to_eight_times_as_long_as_the_training_and_end_with_an_answer(study):
    for experiment in {point.experiment.source: point.experiment for point in study.points}.values():
        task, lengths = experiment.source.settings.make(), experiment.evaluation.lengths
        assert task.lengths[-1] in lengths and lengths[-1] >= 8 * task.lengths[-1]
        drawn = task.sample_lengths(np.array(lengths), np.random.default_rng(0))
        assert_array_equal(drawn.lengths, lengths)
        assert (task.truth(drawn)[drawn.offsets[1:] - 1] >= 0).all()


@pytest.fixture
def cells(script):
    """The results of three networks, at two trained lengths and a longer one."""
    lengths = np.array([1, 5, 9])
    found = {
        "GRU": [[1, 1, 0.99], [0.99, 1, 0.5], [1, 0.98, 1]],
        "minGRU": [[0.6, 0.5, 0.5]],
    }
    return {
        ("S3", network): script.TaskRuns([f"run {place}" for place in range(len(rows))], lengths, np.array(rows), 5)
        for network, rows in found.items()
    }


def rows_of(table):
    """Return the cells of a table in Markdown, by the first of each row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first: rest for first, *rest in rows}


def test_a_run_has_learned_if_it_is_right_at_every_trained_length(script, cells):
    rows = rows_of(script.learned(cells))
    column = rows["network"].index("S3")
    assert {name: rows[name][column] for name in ("GRU", "minGRU", "LSTM")} == {
        "GRU": "**2**, 1",
        "minGRU": "0",
        "LSTM": "-",
    }
    assert list(rows) == ["network", "---", *script.NETWORKS]


def test_accuracies_are_means_with_the_lowest_and_the_highest_run(script, cells):
    levels = {"base rate": dict.fromkeys(script.TASKS.values(), "16.7")}
    rows = rows_of(script.accuracies(cells, 9, levels))
    column = rows["network"].index("S3")
    assert {name: rows[name][column] for name in ("GRU", "minGRU", "LSTM", "base rate")} == {
        "GRU": "83.0<br>50.0 to 100.0",
        "minGRU": "50.0",
        "LSTM": "-",
        "base rate": "16.7",
    }


@pytest.mark.parametrize("task", [GroupWords("Z2"), GroupWords("S3"), GroupWords("A5", symbols="generators")])
def test_the_automaton_of_a_group_has_a_state_for_each_element(task, script):
    dfa, drawn = script.automaton_of(task), task.sample(200, np.random.default_rng(0))
    assert len(dfa) == task.dim_output
    assert_array_equal(dfa.contains(drawn.values, drawn.offsets), drawn.targets[drawn.offsets[1:] - 1] == 1)


# An expression of nine steps with brackets has two that close.
@pytest.mark.parametrize(("task", "answers"), [(GroupWords("S3"), 9), (ModularArithmetic(3, brackets=True), 2)])
def test_shortcuts_see_every_beginning_that_has_an_answer(task, answers, script, monkeypatch):
    monkeypatch.setitem(script.beginnings.__globals__, "SHORTCUT_SEQUENCES", 20)
    found = script.beginnings(task, 9)
    assert len(found) == 20 * answers and found.lengths.max() == 9
    assert_array_equal(found.targets, task.truth(found)[found.offsets[1:] - 1])


def test_the_page_has_the_results_of_every_network(script):
    page = script.PAGE.read_text(encoding="utf-8")
    for name in ("learned", "trained", "beyond"):
        rows = rows_of(page.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0])
        assert rows["network"] == list(script.TASKS.values())
        assert set(script.NETWORKS) <= set(rows)
