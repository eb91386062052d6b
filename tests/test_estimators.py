"""Taggers, regressors, language models and forecasters: what they learn, how they are saved, and what they refuse."""

import pickle
import re
from pathlib import Path

import mygrad as mg
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from marks import the_rest_is_long
from myrnn import (
    LanguageModel,
    SequenceClassifier,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    compile,
    forecast,
)
from myrnn.errors import InvalidArgument
from myrnn.experiment import Experiment
from myrnn.models import GRU
from myrnn.runs import load_run, run
from myrnn.runs.reports import known_of

RNG = np.random.default_rng(0)
WORDS = ["".join(RNG.choice(list("abcd"), RNG.integers(1, 9))) for _ in range(150)]
# A letter is marked if it equals the one before it.
MARKS = [["twice" if i and word[i] == word[i - 1] else "once" for i in range(len(word))] for word in WORDS]
ROWS = [RNG.normal(size=(RNG.integers(1, 9), 2)) for _ in range(150)]
SUMS = np.array([rows[:, 0].sum() for rows in ROWS])
WAVE = np.sin(np.arange(400) / 4) * 10 + 50
TEXT = "the cat sat on the mat. the dog sat on the log. " * 12
FEW = {"dim_recurrent": 8, "random_state": 0}
TAGGER = SequenceTagger(**FEW, max_epochs=40, learning_rate=0.02)
REGRESSOR = SequenceRegressor(**FEW, max_epochs=60, learning_rate=0.02)
MODEL = LanguageModel(dim_recurrent=24, random_state=0, max_epochs=40, learning_rate=0.02, batch_size=4, truncate=16)
FORECASTER = SequenceForecaster(**FEW, max_epochs=60, learning_rate=0.02, batch_size=4, truncate=32)


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=re.escape(message))


@pytest.fixture(scope="module")
def tagger():
    return clone(TAGGER).fit(WORDS[:100], MARKS[:100])


@pytest.fixture(scope="module")
def regressor():
    return clone(REGRESSOR).fit(ROWS[:100], SUMS[:100])


@pytest.fixture(scope="module")
def model():
    return clone(MODEL).fit(TEXT)


@pytest.fixture(scope="module")
def forecaster():
    return clone(FORECASTER).fit(WAVE[:300])


class Running:
    """A user-defined cell with a row of outputs for each step."""

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.inner = GRU(dim_input, dim_recurrent, dim_output, rng=0)
        self.parameters = self.inner.parameters

    def __call__(self, x):
        state, rows = self.inner.start(), []
        for x_t in x:
            state = self.inner.step(x_t[np.newaxis], state)
            rows.append(state[0])
        return self.inner.fc_h2y(mg.concatenate(rows))


class Backward(Running):
    """The same, but it reads from the end."""

    def __call__(self, x):
        return super().__call__(x[::-1])[::-1]


# --- what they learn


def test_a_tagger_learns_what_depends_on_the_step_before(tagger):
    assert tagger.classes_.tolist() == ["once", "twice"]
    assert tagger.score(WORDS[100:], MARKS[100:]) > 0.97
    said, shares = tagger.predict(WORDS[100:]), tagger.predict_proba(WORDS[100:])
    assert [len(tags) for tags in said] == [len(word) for word in WORDS[100:]] == [len(rows) for rows in shares]
    for tags, rows in zip(said, shares, strict=True):
        assert np.array_equal(tagger.classes_[rows.argmax(axis=1)], tags)
        assert np.allclose(rows.sum(axis=1), 1)
    right = sum((np.array(truth) == tags).sum() for tags, truth in zip(said, MARKS[100:], strict=True))
    assert tagger.score(WORDS[100:], MARKS[100:]) == right / sum(map(len, said))


@pytest.mark.long
def test_only_a_bidirectional_tagger_sees_later_steps():
    later = [["not"] * (len(word) - 1) + ["last"] for word in WORDS]
    scores = [
        SequenceTagger(**FEW, max_epochs=30, learning_rate=0.02, bidirectional=both)
        .fit(WORDS[:100], later[:100])
        .score(WORDS[100:], later[100:])
        for both in (False, True)
    ]
    assert scores[0] < 0.9 and scores[1] == 1


@pytest.mark.long
def test_the_engines_learn_the_same():
    for kind, X, y in ((TAGGER, WORDS, MARKS), (REGRESSOR, ROWS, SUMS)):
        both = [
            clone(kind).set_params(engine=engine, max_epochs=2).fit(X[:40], y[:40]) for engine in ("native", "mygrad")
        ]
        for one, other in zip(*(estimator.model_.parameters for estimator in both), strict=True):
            assert np.allclose(one.data, other.data, atol=1e-5)
        assert np.allclose(both[0].history_["validation_loss"], both[1].history_["validation_loss"], rtol=1e-4)


@pytest.mark.long
def test_a_regressor_predicts_numbers_in_their_original_units(regressor):
    said = regressor.predict(ROWS[100:])
    assert said.shape == (50,) and said.dtype == np.float64
    assert regressor.score(ROWS[100:], SUMS[100:]) == r2_score(SUMS[100:], said) > 0.9
    shifted = clone(REGRESSOR).fit(ROWS[:100], 1e6 + 1e3 * SUMS[:100])
    # The same network on the same numbers at another scale.
    assert np.allclose((shifted.predict(ROWS[100:]) - 1e6) / 1e3, said, atol=1e-2)
    assert set(regressor.history_) == {"epoch", "loss", "squared_error", "validation_loss", "validation_squared_error"}


@pytest.mark.long
@pytest.mark.parametrize("columns", [1, 2])
def test_a_regressor_keeps_the_shape_of_its_numbers(columns):
    y = np.stack([SUMS, -SUMS], axis=1)[:, :columns]
    found = clone(REGRESSOR).set_params(max_epochs=3).fit(ROWS, y)
    assert found.predict(ROWS[:7]).shape == (7, columns)
    steps = [rows[:, :columns].cumsum(axis=0) for rows in ROWS]
    of_steps = clone(REGRESSOR).set_params(per_step=True, max_epochs=30).fit(ROWS, steps)
    assert [part.shape for part in of_steps.predict(ROWS[:7])] == [part.shape for part in steps[:7]]
    assert of_steps.score(ROWS, steps) > 0.8
    flat = [part[:, 0] for part in steps]
    assert clone(REGRESSOR).set_params(per_step=True, max_epochs=1).fit(ROWS, flat).predict(ROWS[:1])[0].ndim == 1


@pytest.mark.long
def test_another_loss_gives_another_network():
    found = [clone(REGRESSOR).set_params(loss=loss, max_epochs=2).fit(ROWS, SUMS) for loss in (None, "huber")]
    assert found[0].history_["loss"][0] == pytest.approx(found[0].history_["squared_error"][0])
    assert found[1].history_["loss"][0] < found[1].history_["squared_error"][0]
    with refused("the loss 'cross-entropy' is for targets that are a class, but these are numbers (1) for each seq"):
        clone(REGRESSOR).set_params(loss="cross-entropy").fit(ROWS, SUMS)


@pytest.mark.long
def test_a_language_model_gives_the_probability_of_a_text(model):
    text = "the cat sat on the log."
    (found,) = model.log_probabilities(text)
    assert found.shape == (len(text) - 1,)
    # From the start, each symbol given those before it.
    for place in (1, 5, len(text) - 1):
        said = model.next_symbols(text[:place])
        assert np.log(said[text[place]]) == pytest.approx(found[place - 1], abs=1e-4)
        assert sum(said.values()) == pytest.approx(1) and list(said.values()) == sorted(said.values(), reverse=True)
    assert model.score(text) == pytest.approx(found.mean())
    assert model.perplexity(text) == pytest.approx(np.exp(-found.mean())) and model.perplexity(text) < 2
    assert model.bits(text) == pytest.approx(-found.mean() / np.log(2))
    assert model.score([text, "the dog"]) == pytest.approx(
        np.concatenate(model.log_probabilities([text, "the dog"])).mean()
    )


@pytest.mark.long
def test_a_language_model_writes(model):
    written = model.generate("the ", 40, temperature=0)
    assert len(written) == 40 and "sat on the" in written
    assert model.generate("the ", 9, seed=1) == model.generate("the ", 9, seed=1) != model.generate("the ", 9, seed=2)


@pytest.mark.long
def test_a_language_model_of_words_or_numbers():
    words = LanguageModel(
        dim_recurrent=8, max_epochs=30, learning_rate=0.02, tokenize="words", truncate=8, random_state=0
    )
    assert set(words.fit(TEXT).generate("the cat", 5, seed=0).split()) <= set(TEXT.split())
    assert words.generate(["the", "cat"], 2, seed=0) == words.generate("the cat", 2, seed=0).split()
    numbers = LanguageModel(
        dim_recurrent=8, max_epochs=30, learning_rate=0.03, truncate=8, tokenize="auto", random_state=0
    )
    assert numbers.fit([[3, 1, 4] * 40]).generate([3, 1, 4], 3, temperature=0) == [3, 1, 4]


@pytest.mark.long
def test_a_forecaster_continues_a_wave(forecaster):
    assert forecaster.score(WAVE[300:]) > 0.95
    said = forecaster.predict(WAVE[:310])
    assert said.shape == (310,)
    future = forecaster.forecast(WAVE[:300], 20)
    assert future[0] == pytest.approx(said[299], abs=1e-3)
    # It reads its own predictions.
    going = WAVE[:300]
    for row in future[:4]:
        assert forecaster.predict(going)[-1] == pytest.approx(row, abs=1e-2)
        going = np.append(going, row)
    assert np.abs(future - WAVE[300:320]).max() < 3
    op_by_op = clone(FORECASTER).set_params(engine="mygrad")
    op_by_op.__dict__ |= {name: value for name, value in vars(forecaster).items() if name.endswith("_")}
    op_by_op._network = forecaster._network
    assert np.allclose(op_by_op.forecast(WAVE[:300], 4), future[:4], atol=1e-2)


@pytest.mark.long
def test_networks_that_forecast_are_compiled_once(forecaster, monkeypatch):
    members, compiled = [pickle.loads(pickle.dumps(forecaster)) for _ in range(2)], []
    monkeypatch.setattr(
        "myrnn.runs.trained.compile", lambda *given, **how: compiled.append(1) or compile(*given, **how)
    )
    for end in (200, 210, 220):
        forecast(members, WAVE[:end], 3, paths=4)
        members[0].forecast(WAVE[:end], 3)
    assert len(compiled) == 2


@pytest.mark.long
def test_intervals_have_their_nominal_coverage():
    rng = np.random.default_rng(1)
    noisy = [0.0]
    for _ in range(3000):
        noisy.append(0.8 * noisy[-1] + rng.normal())
    noisy = np.array(noisy)
    members = [
        SequenceForecaster(dim_recurrent=8, max_epochs=15, learning_rate=0.01, truncate=32, random_state=seed).fit(
            noisy[:2000]
        )
        for seed in (0, 1)
    ]
    found = forecast(members, noisy[:2000], 5, level=0.8, paths=2000)
    assert found.mean.shape == found.low.shape == found.high.shape == (5,) and len(found) == 5
    # For this process they are known: the standard deviation k steps ahead is the root of the sum of 0.64^i.
    deviations = np.sqrt(np.cumsum(0.64 ** np.arange(5)))
    assert np.allclose((found.high - found.low) / (2 * 1.2816 * deviations), 1, atol=0.15)
    assert forecast(members[0], noisy[:2000], 5, paths=0).low is None
    again = forecast(members, noisy[:2000], 5, level=0.8, paths=2000)
    assert np.array_equal(found.low, again.low)
    assert found.table().rows()[4] == {"step": 5, "mean": found.mean[4], "low": found.low[4], "high": found.high[4]}


@pytest.mark.long
def test_several_columns_and_several_series():
    both = np.stack([WAVE, WAVE[::-1]], axis=1)
    found = clone(FORECASTER).set_params(max_epochs=5).fit(both)
    assert found.predict(both[:9]).shape == (9, 2) and found.forecast(both, 3).shape == (3, 2)
    assert forecast(found, both, 3, paths=20).low.shape == (3, 2)
    several = clone(FORECASTER).set_params(max_epochs=5, truncate=None).fit([WAVE[:90], WAVE[50:120], WAVE[7:60]])
    assert [part.shape for part in several.predict([WAVE[:5], WAVE[:7]])] == [(5,), (7,)]


@pytest.mark.long
def test_a_user_defined_cell_learns_each_of_them():
    assert SequenceTagger(Running, **FEW, max_epochs=30, learning_rate=0.02).fit(WORDS, MARKS).score(WORDS, MARKS) > 0.9
    assert LanguageModel(Running, **FEW, max_epochs=5).fit(TEXT).perplexity(TEXT) < 15
    assert SequenceForecaster(Running, **FEW, max_epochs=5).fit(WAVE).predict(WAVE).shape == WAVE.shape
    with refused("the targets are a class for each step, so the model must return outputs of shape (T, K)"):
        SequenceTagger(GRU, **FEW, engine="mygrad").fit(WORDS, MARKS)


@pytest.mark.long
def test_a_model_that_predicts_the_next_symbol_must_not_read_ahead():
    for truncate in (None, 8):
        with refused("depends on later steps, which contain the targets"):
            LanguageModel(Backward, **FEW, truncate=truncate).fit(TEXT)
        with refused("depends on later steps, which contain the targets"):
            SequenceForecaster(Backward, **FEW, truncate=truncate).fit(WAVE)
    # A tagger may read ahead.
    SequenceTagger(Backward, **FEW, max_epochs=1).fit(WORDS, MARKS)


def test_encoders_do_not_see_the_validation_part():
    # The sums of powers of two tell which sequence is missing.
    powers, few = 2.0 ** np.arange(10), {"dim_recurrent": 2, "max_epochs": 1, "engine": "mygrad", "random_state": 0}
    left_out = set()
    for per_step in (False, True):
        y = [np.full(3, power) for power in powers] if per_step else powers
        regressor = SequenceRegressor(validation_fraction=0.1, **few).fit([np.full((3, 1), p) for p in powers], y)
        scales = regressor.encoder_, regressor.targets_.inner
        left_out |= {round(powers.sum() - 9 * scale.mean[0], 6) for scale in scales}
        assert all(scale.scale[0] == pytest.approx(np.std(sorted({*powers} - left_out))) for scale in scales)
    assert len(left_out) == 1 and left_out < {*powers}
    tagger = SequenceTagger(validation_fraction=0.1, **few).fit([[i] * 2 for i in range(10)], ["xy"] * 10)
    assert len(tagger.encoder_.symbols) == 9
    model = LanguageModel(validation_fraction=0.1, truncate=None, **few).fit("ab" * 45 + "z" * 10)
    assert model.encoder_.symbols == ("a", "b")
    series = np.arange(100.0) % 30
    forecaster = SequenceForecaster(validation_fraction=0.1, truncate=None, **few).fit(series)
    assert forecaster.encoder_.mean == (series[:90].mean(),) != (series.mean(),)


@pytest.mark.long
def test_an_epoch_is_one_pass_at_any_window_size():
    texts = ["".join(RNG.choice(list("ab"), 5)) for _ in range(200)]
    found = [
        LanguageModel(**FEW, max_epochs=2, truncate=truncate).fit(texts).history_["loss"] for truncate in (64, 4, None)
    ]
    # What fits in a window is read whole.
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


@pytest.mark.long
def test_the_columns_of_data_frames_must_be_those_of_the_training(forecaster):
    frame = pd.DataFrame({"a": WAVE, "b": WAVE[::-1]})
    found = clone(FORECASTER).set_params(max_epochs=1).fit(frame)
    assert found.feature_names_in_.tolist() == ["a", "b"]
    for use in (found.predict, found.score, lambda X: found.forecast(X, 2), lambda X: forecast(found, X, 2)):
        with refused("X has the columns b, a, but was fitted with a, b"):
            use(frame[["b", "a"]])
    frames = [pd.DataFrame(rows, columns=["a", "b"]) for rows in ROWS[:20]]
    many = clone(REGRESSOR).set_params(max_epochs=1).fit(frames, SUMS[:20])
    with refused("X has the columns b, a, but was fitted with a, b"):
        many.predict([one[["b", "a"]] for one in frames])


OP_BY_OP = {"max_epochs": 1, "engine": "mygrad", "dim_recurrent": 2, "random_state": 0}


# A network of one epoch forecasts anything.
@pytest.mark.filterwarnings("ignore:.*outside of the numbers that were learned")
def test_tables_name_columns_as_the_data_do(tmp_path):
    frame = pd.DataFrame({"height": WAVE, "width": WAVE[::-1]})[:30]
    found = SequenceForecaster(**OP_BY_OP, truncate=None).fit(frame)
    loaded = SequenceForecaster.load(found.save(tmp_path / "series"))
    for one in (found, pickle.loads(pickle.dumps(found)), loaded):
        assert list(one.report(frame).columns) == ["height", "width"]
    assert set(forecast(found, frame, 2, paths=0).table().rows()[0]) == {"step", "mean height", "mean width"}
    rows, truth = ROWS[:20], pd.DataFrame({"sum": SUMS, "less": -SUMS})[:20]
    loaded = SequenceRegressor.load(SequenceRegressor(**OP_BY_OP).fit(rows, truth).save(tmp_path / "numbers"))
    assert list(loaded.report(rows, truth).numbers()["columns"]) == ["sum", "less"]
    assert list(loaded.report(rows, truth.to_numpy()).columns) == ["sum", "less"]
    with refused("y has the columns less, sum, but was fitted with sum, less"):
        loaded.report(rows, truth[["less", "sum"]])
    lines = ["sequence,size", *(f"{word},{len(word)}" for word in WORDS[:20])]
    (tmp_path / "sizes.csv").write_text("\n".join(lines), encoding="utf-8")
    data = {"file": str(tmp_path / "sizes.csv"), "learn": "numbers", "label_column": "size"}
    experiment = Experiment(data=data, training={"max_epochs": 1, "engine": "mygrad"}, model={"dim_recurrent": 2})
    assert run(experiment, tmp_path / "run").reader.targets.columns == ("size",)


def test_the_training_is_encoded_once_for_the_baselines_of_all_tests(tmp_path, monkeypatch):
    lines = [f"{word},{' '.join(marks)}" for word, marks in zip(WORDS, MARKS, strict=True)]
    files = [str(tmp_path / f"{name}.csv") for name in ("train", "one", "other")]
    for i, file in enumerate(files):
        Path(file).write_text("\n".join(["sequence,tags", *lines[i:60:3]]), encoding="utf-8")
    encoded = []
    monkeypatch.setattr("myrnn.runs.prepare.known_of", lambda *given: encoded.append(1) or known_of(*given))
    found = run(
        Experiment(
            data={"file": files[0], "learn": "tags"},
            training={"max_epochs": 1, "engine": "mygrad"},
            model={"dim_recurrent": 2},
            evaluation={"test": files[1:]},
        ),
        tmp_path / "run",
    )
    assert len(encoded) == 1
    assert all(len(test["baselines"]) == 4 for test in found.report["tests"].values())


# --- how they are saved


@pytest.mark.parametrize("name", the_rest_is_long(["tagger", "regressor", "model", "forecaster"], "tagger"))
def test_saved_estimators_predict_the_same(name, request, tmp_path):
    found = request.getfixturevalue(name)
    X = {"tagger": WORDS, "regressor": ROWS, "model": [TEXT[:60]], "forecaster": [WAVE[:60]]}[name]
    say = found.log_probabilities if name == "model" else found.predict
    loaded = type(found).load(found.save(tmp_path / "kept"))
    pickled = pickle.loads(pickle.dumps(found))
    for other in (loaded, pickled):
        assert other.get_params() == found.get_params()
        again = other.log_probabilities(X) if name == "model" else other.predict(X)
        for one, same in zip(say(X), again, strict=True):
            assert np.array_equal(one, same)
        assert other.best_epoch_ == found.best_epoch_
        assert {k: v.tolist() for k, v in other.history_.items()} == {k: v.tolist() for k, v in found.history_.items()}
    run = load_run(tmp_path / "kept")
    assert run.reader.targets.learn == found.learn and run.history.metric in run.history.columns
    with refused(f"learned {found.learn}, but a classifier learns labels"):
        SequenceClassifier.load(tmp_path / "kept")


@pytest.mark.long
def test_the_weights_of_a_user_defined_cell_are_saved(tmp_path):
    found = SequenceTagger(Running, **FEW, max_epochs=2).fit(WORDS, MARKS)
    found.save(tmp_path / "own")
    loaded = SequenceTagger.load(tmp_path / "own", cell=Running)
    assert all(np.array_equal(a, b) for a, b in zip(found.predict(WORDS), loaded.predict(WORDS), strict=True))
    with refused("it gives other logits"):
        SequenceTagger.load(tmp_path / "own", cell=Backward)
    one = SequenceRegressor(lambda c, d, k: GRU(c, d, k, rng=0), **FEW, max_epochs=2).fit(ROWS, SUMS)
    one.save(tmp_path / "one")
    # A function that returns a library network need not be passed again.
    loaded = SequenceRegressor.load(tmp_path / "one")
    assert np.array_equal(loaded.predict(ROWS), one.predict(ROWS))


@pytest.mark.long
def test_the_same_seed_gives_the_same_network(model):
    assert np.array_equal(clone(MODEL).fit(TEXT).history_["loss"], model.history_["loss"])
    assert not np.array_equal(
        clone(MODEL).set_params(random_state=1).fit(TEXT).history_["loss"], model.history_["loss"]
    )


@pytest.mark.long
def test_they_work_in_searches():
    search = GridSearchCV(clone(REGRESSOR).set_params(max_epochs=3), {"dim_recurrent": [2, 4]}, cv=2)
    assert search.fit(ROWS[:60], SUMS[:60]).best_params_["dim_recurrent"] in (2, 4)
    scores = cross_val_score(clone(TAGGER).set_params(max_epochs=3), np.array(WORDS[:60], object), MARKS[:60], cv=3)
    assert scores.shape == (3,) and (scores > 0.3).all()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks_of_a_regressor():
    results = check_estimator(SequenceRegressor(**FEW, learning_rate=0.01, validation_fraction=0.0), on_fail=None)
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == {}


# --- what they validate on


def questions(text, **settings):
    """Return a language model that has read a text a few times, op by op."""
    few = {"dim_recurrent": 4, "max_epochs": 1, "truncate": None, "random_state": 0, "engine": "mygrad"}
    return LanguageModel(**few | settings).fit(text)


def test_the_name_of_unknown_symbols_is_no_symbol():
    for text, settings, unknown in (
        ("is it? yes. " * 9, {}, "\ufffd"),
        ("a\ufffdb?" * 20, {}, "\u25a1"),
        ("a ? <unknown> b " * 9, {"tokenize": "words"}, "<<unknown>>"),
        ([[3, 1, 4] * 20], {"tokenize": "auto"}, "<unknown>"),
    ):
        model = questions(text, **settings)
        said = model.next_symbols([[3, 1]] if isinstance(text, list) else text[:30])
        assert set(said) == {unknown, *model.encoder_.symbols} and sum(said.values()) == pytest.approx(1)
        assert model.encoder_.names[0] == model.encoder_.unknown_name == unknown


def test_symbols_that_are_not_known_are_not_written():
    # The network is taught that most symbols are unknown.
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 150))
    model = questions(text, max_vocabulary=2, max_epochs=5, learning_rate=0.05)
    said = model.next_symbols(text[:30])
    assert next(iter(said)) == model.encoder_.unknown_name and sum(said.values()) == pytest.approx(1)
    assert set(model.generate("a", 12, seed=0)) <= set(model.encoder_.symbols)


@pytest.mark.long
def test_a_single_text_is_validated_on_its_end(model):
    assert len(model.history_["validation_loss"]) == len(model.history_["epoch"])
    only = LanguageModel(**FEW, max_epochs=2, validation_fraction=0.0).fit(TEXT)
    assert "validation_loss" not in only.history_
    # The end has symbols that the beginning lacks: they are unknown.
    odd = LanguageModel(**FEW, max_epochs=1, validation_fraction=0.25).fit("ab" * 60 + "xy" * 20)
    assert odd.encoder_.symbols == ("a", "b")


# --- what they refuse


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "this tagger requires y to be passed, but the target y is None"),
        ("once", "y must be a list of tags for each sequence, not 'once'"),
        (MARKS[:3], "X holds 150 sequences, but y is for 3 sequences"),
        ([3] * 150, "y must be a list of tags for each sequence, but y[0] is 3"),
        ([["once"], *MARKS[1:]], f"sequence 0 has {len(WORDS[0])} steps, but y[0] 1 tag"),
        ([["once"] * len(word) for word in WORDS], "y holds one tag only, 'once': a tagger needs two or more"),
        (
            [[1] + ["once"] * (len(word) - 1) for word in WORDS],
            "y must be labels of one kind, not int and str together",
        ),
    ],
)
def test_tags_that_do_not_fit(y, message):
    with refused(message):
        SequenceTagger().fit(WORDS, y)


@pytest.mark.parametrize(
    ("per_step", "y", "message"),
    [
        (False, None, "this regressor requires y to be passed, but the target y is None"),
        (False, SUMS[:9], "X holds 150 sequences, but y 9 rows"),
        (False, np.where(SUMS > 1, np.nan, SUMS), "y must hold finite numbers, but there is nan at"),
        (False, ["a"] * 150, "y must hold numbers, not <U1"),
        (False, np.zeros((150, 2, 2)), "y must be of shape (N,) or (N, K), not (150, 2, 2)"),
        (True, SUMS, f"sequence 0 has {len(ROWS[0])} steps, but y[0] 1 row"),
        (True, [rows[1:] for rows in ROWS], f"sequence 0 has {len(ROWS[0])} steps, but y[0] {len(ROWS[0]) - 1} row"),
        (True, [*ROWS[:-1], ROWS[-1][:, :1]], "every array of y must have the same columns, but y[149] has shape"),
        (1, SUMS, "per_step must be true or false, not 1"),
    ],
)
def test_numbers_that_do_not_fit(per_step, y, message):
    with refused(message):
        SequenceRegressor(per_step=per_step).fit(ROWS, y)


@pytest.mark.long
def test_invalid_texts_and_series(model, forecaster):
    with refused("X must be text or lists of symbols, not numbers: use a SequenceForecaster for numbers"):
        LanguageModel(tokenize="auto").fit([WAVE])
    for nothing in ("", "a", ["a", ""], []):
        with refused("X holds no"):
            LanguageModel().fit(nothing)
    with refused("X holds no series of 2 steps or more: there is nothing to predict"):
        SequenceForecaster().fit([1.0])
    with refused("X must be a series of numbers (T,) or (T, C), not <U1 of shape (3,)"):
        SequenceForecaster().fit(np.array(["a", "b", "c"]))
    with refused("series must be one series, an array (T,) or (T, C), with at least one row"):
        forecaster.forecast([WAVE, WAVE], 3)
    with refused("horizon must be at least 1, not 0"):
        forecaster.forecast(WAVE, 0)
    with refused("level must be below 1, not 1"):
        forecast(forecaster, WAVE, 3, level=1)
    with refused("model must be a SequenceForecaster, or several"):
        forecast([], WAVE, 3)
    with refused("prime must hold at least one symbol, not ''"):
        model.generate("", 3)
    with refused("X holds no text of two symbols"):
        model.score("a")


def test_a_column_that_does_not_vary_is_scored_as_scikit_learn_does():
    seven = np.full(20, 7.0)
    # Only the mean is right for a constant: the first column is predicted exactly, the others are not.
    regressor = SequenceRegressor(**OP_BY_OP).fit(ROWS[:20], np.stack([seven, SUMS[:20]], axis=1))
    for truth in (np.stack([seven, SUMS[:20]], axis=1), np.stack([seven, seven], axis=1)):
        said = regressor.predict(ROWS[:20])
        assert regressor.score(ROWS[:20], truth) == pytest.approx(r2_score(truth, said))
        weights = np.repeat([1.0, 0.0], 10)
        assert regressor.score(ROWS[:20], truth, weights) == pytest.approx(r2_score(truth[:10], said[:10]))
    assert regressor.score(ROWS[:20], regressor.predict(ROWS[:20])) == 1
    # A report has no R² for a constant column.
    assert np.isnan(regressor.report(ROWS[:20], np.stack([seven, seven], axis=1)).r2)
    with refused("y must be of the shape of what is predicted, (20, 2), not (20, 1)"):
        regressor.score(ROWS[:20], SUMS[:20, np.newaxis])
    one = SequenceRegressor(**OP_BY_OP).fit(ROWS[:20], SUMS[:20])
    assert one.score(ROWS[:20], seven) == 0
    series = np.stack([WAVE, np.full(len(WAVE), 7.0)], axis=1)[:40]
    forecaster = SequenceForecaster(**OP_BY_OP, truncate=None).fit(series)
    assert forecaster.score(series) == pytest.approx(r2_score(series[1:], forecaster.predict(series)[:-1]))


def test_print_shows_the_table_of_every_report():
    tagger = SequenceTagger(**OP_BY_OP).fit(WORDS[:9], MARKS[:9])
    forecaster = SequenceForecaster(**OP_BY_OP, truncate=None).fit(WAVE[:30])
    model = LanguageModel(**OP_BY_OP, truncate=None).fit(WORDS[:9])
    regressor = SequenceRegressor(**OP_BY_OP).fit(ROWS[:9], SUMS[:9])
    classifier = SequenceClassifier(**OP_BY_OP).fit(WORDS[:9], [0, 1, 0] * 3)
    for report, first in (
        (tagger.report(WORDS, MARKS, train=(WORDS[:9], MARKS[:9])), "A class at every step"),
        (model.report(WORDS, train=(WORDS[:9], None)), "The next symbol"),
        (forecaster.report(WAVE[:30]), "Numbers"),
        (regressor.report(ROWS, SUMS), "Numbers"),
        (classifier.report(WORDS[:9], [0, 1, 0] * 3), "Classes"),
        (forecast(forecaster, WAVE[:30], 2, paths=0), "Forecast (1 network)"),
    ):
        assert str(report) == str(report.table()) and str(report).startswith(first)
        assert "\n" not in repr(report)


def test_messages_name_the_problem():
    for kind, nothing in (
        (SequenceTagger, "X must be a list of strings"),
        (LanguageModel, "X must be a text or a list of texts, not None"),
        (SequenceForecaster, "X must be a series, an array (T,) or (T, C), or a list of series, not None"),
    ):
        with refused(nothing):
            kind().fit(None, *([[]] if kind is SequenceTagger else []))
    with refused("every sequence of X is empty: there is no step with a tag"):
        SequenceTagger().fit(["", ""], [[], []])
    found = SequenceRegressor(**OP_BY_OP).fit(ROWS[:9], SUMS[:9])
    assert found.report(ROWS, SUMS * 1e60).rmse > 1e59
    with refused("y has 2 columns, but in fit it had 1"):
        found.report(ROWS, np.stack([SUMS, SUMS], axis=1))
    huge = np.append(SUMS[:19], 1e60)
    with refused("y holds a number that is too large: there is 1e+60 in row 19, column 0"):
        SequenceRegressor(**{**OP_BY_OP, "validation_fraction": 0.5, "random_state": 1}).fit(ROWS[:20], huge)
    with refused("the sequences have 1 column, but those in fit had 2"):
        found.predict([rows[:, :1] for rows in ROWS])


def test_reports_refuse_unused_arguments():
    tagger = SequenceTagger(**OP_BY_OP).fit(WORDS[:9], MARKS[:9])
    regressor = SequenceRegressor(**OP_BY_OP).fit(ROWS[:9], SUMS[:9])
    model = LanguageModel(**OP_BY_OP, truncate=None).fit(WORDS[:9])
    forecaster = SequenceForecaster(**OP_BY_OP, truncate=None).fit(WAVE[:9])
    with refused("train is for tags and text, not for numbers: leave it out"):
        regressor.report(ROWS, SUMS, train=(ROWS, SUMS))
    with refused("train is for tags and text, not for series: leave it out"):
        forecaster.report(WAVE, train=(WAVE, None))
    with refused("period is for series, not for tags: leave it out"):
        tagger.report(WORDS, MARKS, period=2)
    for report, X in ((model.report, WORDS), (forecaster.report, WAVE)):
        with refused("y must be None where"):
            report(X, X)
    with refused("the y of train must be None where text is learned: the sequences tell what comes next"):
        model.report(WORDS, train=(WORDS, WORDS))
    with refused("train must be (X, y), or (X, None) of text, not 'abba'"):
        model.report(WORDS, train="abba")


def test_settings_that_do_not_fit():
    with pytest.raises(TypeError, match=r"^SequenceRegressor takes no argument 'class_weight'"):
        SequenceRegressor(class_weight="balanced")
    with refused("truncate must be at least 1"):
        LanguageModel(truncate=0).fit(TEXT)
    with refused('truncate needs a compiled model: leave engine at "auto" or "native"'):
        LanguageModel(engine="mygrad").fit(TEXT)
    LanguageModel(engine="mygrad", truncate=None, max_epochs=1, dim_recurrent=2).fit(["abab", "baba"])
    assert SequenceTagger(**FEW, max_epochs=2, class_weight={"twice": 5.0}).fit(WORDS, MARKS).score(WORDS, MARKS) > 0


def test_a_tagger_predicts_no_tags_for_strings_without_symbols():
    tagger = SequenceTagger(**OP_BY_OP).fit(["ab", "ba"], [["x", "y"], ["y", "x"]])
    assert [list(tags) for tags in tagger.predict(["", ""])] == [[], []]
