import pytest

from myrnn.errors import InvalidArgument
from myrnn.presets import PARTS, PRESETS, Preset, find_preset
from myrnn.runs import KINDS, check_training, setting_names

MADE_UP = Preset(
    "made-up",
    "a test",
    model={"name": "rnn", "activation": "tanh"},
    optimizer={"name": "sgd", "momentum": 0.5},
    training={"iterations": 10},
)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_hold_settings_that_there_are(preset):
    for part in PARTS:
        settings = dict(getattr(preset, part))
        if settings:
            assert set(settings) - {"name"} <= set(setting_names(KINDS[part][settings["name"]]))
    assert check_training(preset.training).items() >= preset.training.items()


def test_the_lessons_preset_changes_nothing():
    assert PRESETS["lesson"].options == {}


def test_options_carry_the_names_of_the_command_line():
    assert MADE_UP.options == {
        "iterations": 10,
        "model": "rnn",
        "activation": "tanh",
        "optimizer": "sgd",
        "momentum": 0.5,
    }


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, {"iterations", "model", "activation", "optimizer", "momentum"}),
        ({"seed": 3}, {"iterations", "model", "activation", "optimizer", "momentum"}),
        ({"iterations": 5}, {"model", "activation", "optimizer", "momentum"}),
        ({"model": "gru"}, {"iterations", "optimizer", "momentum"}),
        ({"model": "rnn"}, {"iterations", "activation", "optimizer", "momentum"}),
        ({"optimizer": "adam", "activation": "relu"}, {"iterations", "model"}),
    ],
)
def test_what_is_given_takes_the_place_of_the_presets_own(given, left):
    assert set(MADE_UP.beside(given)) == left


def test_a_preset_says_what_is_given_instead():
    assert MADE_UP.described({"seed": 1}) == "made-up: a test"
    assert MADE_UP.described({"seed": 1, "model": "gru", "iterations": 5}) == (
        "made-up: a test; but with --iterations 5 --model gru"
    )


def test_presets_cannot_be_changed():
    with pytest.raises(TypeError):
        PRESETS["best"].training["iterations"] = 1


def test_a_preset_that_there_is_not_is_refused():
    with pytest.raises(InvalidArgument, match="--preset must be one of 'lesson', 'best', not 'good'"):
        find_preset("good")
