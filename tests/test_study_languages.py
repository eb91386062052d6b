"""The studies of formal languages can be read, and agree with their comments."""

from pathlib import Path

import numpy as np
import pytest

from myrnn.sweeps import read_study
from myrnn.tasks.languages import DEEPMIND, FLARE

STUDIES = Path(__file__).resolve().parent.parent / "studies"


@pytest.mark.parametrize(("name", "runs", "networks"), [("flare", 324, 6), ("flare-quick", 36, 2)])
def test_every_network_is_trained_on_every_language(name, runs, networks):
    points = read_study(STUDIES / f"{name}.toml").points
    assert len(points) == runs
    tried = {(point.settings["task.language_name"], point.variant) for point in points}
    assert {language for language, _ in tried} == set(FLARE)
    assert len(tried) == networks * len(FLARE)


def test_the_quick_study_is_a_part_of_the_whole_one():
    whole, part = (read_study(STUDIES / f"{name}.toml") for name in ("flare", "flare-quick"))
    assert {point.run for point in part.points} < {point.run for point in whole.points}


@pytest.mark.parametrize(
    ("name", "runs", "tasks"),
    [("deepmind", 270, set(DEEPMIND)), ("deepmind-stack", 12, {"reverse-string", "stack-manipulation"})],
)
def test_every_task_is_tested_at_lengths_that_it_has(name, runs, tasks):
    points = read_study(STUDIES / f"{name}.toml").points
    assert len(points) == runs
    tests = {point.experiment.source: point.experiment.evaluation.lengths for point in points}
    assert {source.settings.make().language_name for source in tests} == tasks
    for source, lengths in tests.items():
        task = source.settings.make()
        drawn = task.sample_lengths(np.array(lengths), np.random.default_rng(0))
        assert drawn.lengths.tolist() == list(lengths)
        # The short lengths are those of strings of up to 40 symbols, and some are as long as those of 500.
        assert sum(length <= task.lengths[-1] for length in lengths) >= 20
        assert lengths[-1] >= 12 * task.lengths[-1]
    # The stack holds every string that is learned, and every one of a test.
    for experiment in (point.experiment for point in points if point.experiment.model.name == "stack-rnn"):
        assert experiment.model.settings.stack_depth > experiment.source.settings.settings.string_max
        assert experiment.evaluation.stack_depth > 500
