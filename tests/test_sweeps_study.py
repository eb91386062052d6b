"""What a study can contain, what is refused, and which runs it has."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn.errors import InvalidArgument
from myrnn.sweeps import read_study
from sweeps_help import LEAKY

NO_SETTING_OF_GRU = (
    "model gru has no setting 'activation', only 'name', 'dim_recurrent', 'recurrent_init', 'layers', 'dim_embedding', "
    "'bidirectional'"
)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def all_points(given):
    return list(read_study(given).points)


def settings(point):
    """Return the settings of a run, section by section."""
    return point.experiment.to_dict()


def values(given, section, name):
    return [settings(point)[section][name] for point in all_points(given)]


# --- its content


def test_an_empty_study_is_the_run_of_the_lesson():
    (point,) = all_points({})
    assert settings(point)["task"] == {
        "name": "twin-halves",
        "pattern_length_min": 1,
        "pattern_length_max": 10,
        "alphabet_size": 10,
        "negatives": "uniform",
        "max_changes": 3,
    }
    assert settings(point)["model"] == {
        "name": "rnn",
        "dim_recurrent": 50,
        "activation": "relu",
        "recurrent_init": "glorot",
        "layers": 1,
        "dim_embedding": None,
        "bidirectional": False,
    }
    assert settings(point)["optimizer"]["learning_rate"] == 0.001
    assert settings(point)["training"]["iterations"] == 100_000
    assert settings(point)["evaluation"] == {"samples": 10_000, "seed": None, "lengths": None, "stack_depth": None}


def test_all_combinations_of_lists_are_run():
    study = {"model": {"name": ["rnn", "gru"], "dim_recurrent": [4, 8]}, "training": {"seed": "0:2"}}
    found = [(settings(p)["model"]["name"], settings(p)["model"]["dim_recurrent"]) for p in all_points(study)]
    assert found == [pair for pair in [("rnn", 4), ("rnn", 8), ("gru", 4), ("gru", 8)] for _ in range(3)]
    assert values(study, "training", "seed") == [0, 1, 2] * 4
    assert len(all_points(study)) == 12


def test_a_span_includes_its_last_number():
    assert values({"training": {"seed": "2:8:3"}}, "training", "seed") == [2, 5, 8]
    (point,) = all_points({"evaluation": {"lengths": "2:6:2"}})
    assert settings(point)["evaluation"]["lengths"] == [2, 4, 6]


def test_variants_keep_settings_together():
    study = {
        "model": {"dim_recurrent": [4, 8]},
        "optimizer": {"learning_rate": 0.01},
        "variants": [
            {"name": "plain"},
            {"name": "gated", "model": {"name": "gru", "dim_recurrent": 2}, "optimizer": {"learning_rate": 0.1}},
        ],
    }
    found = [
        (p.variant, settings(p)["model"]["name"], settings(p)["model"]["dim_recurrent"], settings(p)["optimizer"])
        for p in all_points(study)
    ]
    assert [(*first, optimizer["learning_rate"]) for *first, optimizer in found] == [
        ("plain", "rnn", 4, 0.01),
        ("plain", "rnn", 8, 0.01),
        ("gated", "gru", 2, 0.1),
    ]


def test_variants_can_be_tested_in_other_ways():
    variants = [{"name": "short"}, {"name": "long", "evaluation": {"lengths": [30], "samples": 5}}]
    found = {
        p.variant: settings(p)["evaluation"] for p in all_points({"evaluation": {"seed": 3}, "variants": variants})
    }
    assert found == {
        "short": {"samples": 10_000, "seed": 3, "lengths": None, "stack_depth": None},
        "long": {"samples": 5, "seed": 3, "lengths": [30], "stack_depth": None},
    }


def test_a_file_is_equivalent_to_a_mapping(tmp_path):
    path = tmp_path / "halves.toml"
    path.write_text("[model]\nname = ['rnn', 'gru']\n[training]\nseed = [3, 4]\n")
    study = read_study(path)
    assert study.name == "halves"
    assert list(study.points) == all_points({"model": {"name": ["rnn", "gru"]}, "training": {"seed": [3, 4]}})


def test_numpy_numbers_and_tuples_are_accepted():
    given = {"model": {"dim_recurrent": np.array([3, 4])}, "training": {"seed": range(2), "iterations": np.int64(7)}}
    assert json.dumps(read_study(given).given)
    assert values(given, "model", "dim_recurrent") == [3, 3, 4, 4]


# --- drawn settings

RATE = {"low": 1e-4, "high": 1e-1, "log": True}


def test_ranges_are_drawn_and_lists_are_combined_with_every_draw():
    study = {"optimizer": {"learning_rate": RATE}, "training": {"seed": [0, 1]}, "search": {"draws": 30}}
    rates = values(study, "optimizer", "learning_rate")
    assert len(rates) == 60 and len(set(rates)) == 30
    assert rates[::2] == rates[1::2]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    # About half of them are below the middle of the exponents.
    assert 8 <= sum(rate < 10**-2.5 for rate in rates[::2]) <= 22


def test_a_draw_only_depends_on_the_seed_its_number_and_its_setting():
    few = {"optimizer": {"learning_rate": RATE}, "search": {"draws": 5}}
    more = {**few, "model": {"dim_recurrent": {"low": 2, "high": 50}}, "search": {"draws": 9}}
    assert values(more, "optimizer", "learning_rate")[:5] == values(few, "optimizer", "learning_rate")
    other = {**few, "search": {"draws": 5, "seed": 1}}
    assert set(values(other, "optimizer", "learning_rate")).isdisjoint(values(few, "optimizer", "learning_rate"))


def test_whole_numbers_reach_both_ends_and_the_same_draw_is_one_run():
    study = {"model": {"dim_recurrent": {"low": 3, "high": 5}}, "search": {"draws": 100}}
    assert sorted(values(study, "model", "dim_recurrent")) == [3, 4, 5]
    logarithmic = {"model": {"dim_recurrent": {"low": 1, "high": 64, "log": True}}, "search": {"draws": 400}}
    drawn = values(logarithmic, "model", "dim_recurrent")
    assert min(drawn) == 1 and max(drawn) == 64


def test_choices_are_also_drawn():
    study = {"optimizer": {"name": {"choices": ["sgd", "adam"]}}, "search": {"draws": 50}}
    assert sorted(values(study, "optimizer", "name")) == ["adam", "sgd"]


# --- identities of runs


def test_identities_are_stable_so_that_folders_resume():
    assert [point.run for point in all_points({})] == ["1b97cece31b379b4"]
    study = {
        "task": {"name": ["palindromes", "twin-halves"], "pattern_length_max": 4},
        "model": {"name": "gru", "dim_recurrent": [3, 4]},
        "optimizer": {"name": ["sgd", "rmsprop", "adam"], "learning_rate": RATE},
        "training": {"seed": "0:2", "gradient_clip": 1.0, "schedule": "cosine"},
        "search": {"draws": 3},
    }
    tested = {"samples": 50, "seed": 3, "lengths": "2:6:2"}
    runs = [point.run for point in all_points({**study, "evaluation": tested})]
    assert hashlib.sha256("".join(runs).encode()).hexdigest()[:16] == "9138e127ce31c233"


def test_an_identity_only_depends_on_the_settings():
    alone = {p.run for p in all_points({"training": {"seed": 3}})}
    among_others = {settings(p)["training"]["seed"]: p.run for p in all_points({"training": {"seed": "0:5"}})}
    assert alone == {among_others[3]}
    named = all_points({"variants": [{"name": "some name"}], "training": {"seed": 3}})
    assert {p.run for p in named} == alone
    # A given value and an equal default are the same setting.
    given = all_points({"training": {"seed": 3, "iterations": 100_000}, "optimizer": {"learning_rate": 1e-3}})
    assert {p.run for p in given} == alone


@given(st.permutations(range(5)), st.permutations(["rnn", "gru", "lstm"]))
def test_the_order_of_lists_does_not_change_identities(seeds, names):
    study = {"training": {"seed": seeds}, "model": {"name": names}}
    assert {p.run for p in all_points(study)} == ALL


ALL = {p.run for p in all_points({"training": {"seed": "0:4"}, "model": {"name": ["rnn", "gru", "lstm"]}})}


def test_a_run_is_described_in_one_line():
    (point,) = all_points({"variants": [{"name": "IRNN", "model": {"recurrent_init": "identity"}}]})
    assert point.label == "IRNN of 50 units on twin-halves, adam at 0.001, seed 0"


@pytest.mark.parametrize(
    ("one_line", "in_full"),
    [
        ({"task": "dyck:2,depth=3"}, {"task": {"name": "dyck", "kinds": 2, "depth": 3}}),
        ({"task": "twin-halves:pattern_length_max=2"}, {"task": {"pattern_length_max": 2}}),
        (
            {"model": "gru:layers=2", "optimizer": "sgd"},
            {"model": {"name": "gru", "layers": 2}, "optimizer": {"name": "sgd"}},
        ),
        ({"data": "train.csv"}, {"data": {"file": "train.csv"}}),
        ({"variants": [{"name": "a", "data": "a.csv"}]}, {"variants": [{"name": "a", "data": {"file": "a.csv"}}]}),
        (
            {"model": "gru", "variants": [{"name": "deep", "model": {"layers": 2}}, {"name": "lstm", "model": "lstm"}]},
            {
                "model": {"name": "gru"},
                "variants": [{"name": "deep", "model": {"layers": 2}}, {"name": "lstm", "model": {"name": "lstm"}}],
            },
        ),
    ],
)
def test_a_section_can_be_one_line(one_line, in_full):
    assert [p.run for p in all_points(one_line)] == [p.run for p in all_points(in_full)]


# --- invalid studies


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"modle": {}},
            "a table of a study must be one of 'name', 'task', 'data', 'model', 'optimizer', 'training', "
            "'evaluation', 'search', 'variants', not 'modle'; did you mean 'model'?",
        ),
        ({"model": 3}, "[model] must be a table, not 3"),
        ({"training": "fast"}, "[training] must be a table, not 'fast'"),
        (
            {"model": {"nam": "rnn"}},
            "[model] model rnn has no setting 'nam', only 'name', 'dim_recurrent', 'activation', 'recurrent_init', "
            "'layers', 'dim_embedding', 'bidirectional'; did you mean 'name'?",
        ),
        ({"model": {"name": "gru", "activation": "relu"}}, f"[model] {NO_SETTING_OF_GRU}"),
        ({"model": {"dim_recurrent": [10, "x"]}}, "[model] dim_recurrent must be an integer, not 'x'"),
        ({"model": {"dim_recurrent": [10, 0]}}, "[model] dim_recurrent must be at least 1, not 0"),
        (
            {"model": {"name": "deltaproduct", "dim_recurrent": 4, "heads": [2, 3]}},
            "[model] heads must divide dim_recurrent, 4, which 3 does not",
        ),
        ({"model": {"dim_recurrent": 10**9}}, "[model] dim_recurrent must be at most 50000, not 1000000000"),
        ({"evaluation": {"samples": 10**9}}, "[evaluation] samples must be at most 10000000, not 1000000000"),
        ({"task": {"pattern_length_max": 10**9}}, "[task] pattern_length_max must be at most 20000, not 1000000000"),
        ({"model": {"dim_input": 3}}, "[model] dim_input follows from the task: leave it out"),
        ({"model": {"name": 3}}, "[model] name must be a word, not 3"),
        ({"training": {"seed": "9:1"}}, "[training] seed must go up, as in '0:9' or '2:40:2', not '9:1'"),
        (
            {"training": {"seed": "0:999999999"}},
            "[training] seed must be at most 100,000 numbers, which '0:999999999' exceeds",
        ),
        ({"training": {"seed": []}}, "[training] seed is an empty list: name at least one value"),
        ({"training": {"seed": [0, [1]]}}, "[training] seed[1] must be one value, not [1]"),
        ({"training": {"seed": [1, 1]}}, "[training] seed holds 1 twice"),
        ({"training": {"engine": "fast"}}, "[training] engine must be one of 'auto', 'native', 'mygrad', not 'fast'"),
        ({"optimizer": {"learning_rate": float("nan")}}, "[optimizer] learning_rate must be finite, not nan"),
        ({"task": {"pattern_length_min": 12}}, "[task] pattern_length_min must not exceed pattern_length_max, "
         "but they are 12 and 10"),
        ({"evaluation": {"samples": 0}}, "[evaluation] samples must be at least 1, not 0"),
        (
            {"evaluation": {"lengths": "some"}},
            "[evaluation] lengths must be a list, or text as '2,4' or '2:40:2', not 'some'",
        ),
        ({"evaluation": {"lengths": []}}, "[evaluation] lengths is empty: name at least one length"),
        ({"evaluation": {"seed": [1, 2]}}, "[evaluation] seed must be an integer, not [1, 2]"),
        ({"name": ""}, "name must be a word, not ''"),
        ({"name": "../x"}, "name must be one that a folder can have, without / and \\, not '../x'"),
        ({"name": ".."}, "name must be one that a folder can have, without / and \\, not '..'"),
        ({"name": "a\x1b[2J"}, "name must be one that a folder can have, without / and \\, not 'a\\x1b[2J'"),
        (
            {"model": {"dim_recurrent": "1:40000"}, "training": {"seed": "1:50000"}},
            "these are 2,000,000,000 runs: at most 100,000 are possible; draw some with [search]",
        ),
        (
            {"training": {"seed": "1:100000", "iterations": "1:100000"}},
            "[training] has 10,000,000,000 combinations: at most 100,000 are possible",
        ),
        (
            {"optimizer": {name: {"choices": [*range(2000)]} for name in ("beta1", "beta2")}, "search": {"draws": 2}},
            "[optimizer] has 4,000,000 combinations: at most 100,000 are possible",
        ),
        (
            {"training": {"seed": {"low": 0, "high": 10**9}, "iterations": "1:3"}, "search": {"draws": 10**6}},
            "these are 3,000,000 runs: at most 100,000 are possible; draw some with [search]",
        ),
        ({"search": {"draws": 0}}, "[search] draws must be at least 1, not 0"),
        (
            {"search": {"draws": 3}},
            "[search] draws has nothing to draw: no setting is a range { low = ..., high = ... }",
        ),
        (
            {"optimizer": {"learning_rate": {"low": 0, "high": 1}}},
            "[search] draws is missing: how often is optimizer.learning_rate to be drawn?",
        ),
        (
            {"optimizer": {"learning_rate": {"low": 1}}},
            "[optimizer] learning_rate is a range without high: write { low = ..., high = ... }",
        ),
        (
            {"optimizer": {"learning_rate": {"low": 0, "high": 1, "log": True}}},
            "[optimizer] learning_rate.low must be above 0 to be drawn by its logarithm, not 0",
        ),
        (
            {"optimizer": {"learning_rate": {"low": 2, "high": 1}}},
            "[optimizer] learning_rate.low must be below high, but they are 2 and 1",
        ),
        (
            {"optimizer": {"learning_rate": {"low": 0, "high": 1, "log": 3}}},
            "[optimizer] learning_rate.log must be true or false, not 3",
        ),
        (
            {"optimizer": {"learning_rate": {"low": -1.0, "high": 1.0}}, "search": {"draws": 3}},
            "[optimizer] learning_rate must be at least 0, not -1.0",
        ),
        ({"training": {"seed": {"choices": 3}}}, "[training] seed.choices must be a list, not 3"),
        (
            {"training": {"seed": {"choices": [1], "low": 3}}},
            "[training] seed is drawn from choices or from a range of low and high, not from both",
        ),
        ({"variants": 3}, "variants must be tables, each begun with [[variants]], not 3"),
        ({"variants": [{}]}, "[[variants]] number 1 needs a name, not None"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "[[variants]] number 2 has the name 'a' of another variant"),
        (
            {"variants": [{"name": "a", "model": {"name": "gru", "activation": "relu"}}]},
            f"variant 'a': [model] {NO_SETTING_OF_GRU}",
        ),
        (
            {"variants": [{"name": "a", "search": {}}]},
            "variant 'a': a table of a variant must be one of 'name', 'task', 'data', 'model', 'optimizer', "
            "'training', 'evaluation', not 'search'",
        ),
        ({"model": {"name": {1}}}, "a value must have a type of TOML, not {1}"),
    ],
)  # fmt: skip
def test_mistakes_are_reported_with_their_place(given, message):
    with refused(f"study: {message}"):
        read_study(given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nname = \n", " is not valid TOML: Invalid value (at line 2, column 8)"),
        ("[training]\nseed = 1979-05-27\n", ": [training] seed must be an integer, not datetime.date(1979, 5, 27)"),
        ("[training]\nseed = " + "[" * 100_000, " is not valid TOML: maximum recursion depth exceeded"),
        (
            "[training]\nseed = " + "1" * 5_000,
            " is not valid TOML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; "
            "use sys.set_int_max_str_digits() to increase the limit",
        ),
        ("#" * 1_000_001, " is too large for settings: at most 1,000,000 bytes are read"),
    ],
)
def test_a_file_that_is_not_a_study_is_named(tmp_path, text, message):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with refused(f"{path}{message}"):
        read_study(path)


def test_unreadable_files_are_named(tmp_path):
    with refused(f"{tmp_path / 'none.toml'} cannot be read: No such file or directory"):
        read_study(tmp_path / "none.toml")
    with refused(f"{tmp_path} cannot be read: Is a directory"):
        read_study(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"name = '\xff'")
    with refused(f"{tmp_path / 'bytes.toml'} is not UTF-8: byte 8 is 0xff"):
        read_study(tmp_path / "bytes.toml")
    with refused("study must be a TOML file or a mapping, not int"):
        read_study(3)


def test_labels_have_all_settings_that_vary_within_a_variant():
    study = read_study(
        {
            "variants": [
                {"name": "deep", "model": {"name": "gru", "layers": [1, 2]}},
                {"name": "plain", "model": {"name": ["rnn", "gru"]}, "training": {"batch_size": 8}},
            ]
        }
    )
    rest = "of 50 units on twin-halves, adam at 0.001, seed 0"
    assert [study.label(point) for point in study.points] == [
        f"deep {rest}, layers 1", f"deep {rest}, layers 2", f"plain {rest}, model rnn", f"plain {rest}, model gru",
    ]  # fmt: skip


def test_the_same_run_twice_is_refused():
    run = "of 50 units on twin-halves, adam at"
    with refused(f"study: the variants 'a' and 'b' lead to the same run: b {run} 0.001, seed 0"):
        read_study({"variants": [{"name": "a"}, {"name": "b"}]})
    with refused(f"study: two values of one list lead to the same run: rnn {run} 1, seed 0"):
        read_study({"optimizer": {"learning_rate": [1, 1.0]}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SECTION = st.sampled_from(
    ["task", "data", "model", "optimizer", "training", "evaluation", "search", "variants", "name"]
)
SETTING = st.sampled_from(["name", "dim_recurrent", "learning_rate", "seed", "draws", "lengths", "iterations"])


@given(st.dictionaries(SECTION, JSON | st.dictionaries(SETTING, JSON, max_size=3), max_size=3))
def test_any_study_is_read_or_refused_in_one_line(given):
    try:
        study = read_study(given)
    except InvalidArgument as error:
        assert "\n" not in str(error)
    else:
        assert study.points[0].run


def test_the_example_of_the_documentation_can_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_cell.py").write_text(LEAKY)
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "sweeps.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    import tomllib

    assert len(examples) >= 2
    for example in examples:
        assert len(all_points(tomllib.loads(example))) > 1
