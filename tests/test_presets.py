import pytest

from myrnn.cli.train import PRESETS, find_preset
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_only_contain_known_settings(preset):
    made = Experiment.read(preset.sections).to_dict()
    assert all(made[name].items() >= settings.items() for name, settings in preset.sections.items())


def test_the_lesson_preset_changes_nothing():
    assert Experiment.read(find_preset("lesson").sections) == Experiment()


def test_an_unknown_preset_is_refused():
    with pytest.raises(InvalidArgument, match="--preset must be one of 'lesson', 'best', not 'good'"):
        find_preset("good")
