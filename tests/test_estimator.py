"""How a classifier learns."""

import json
import signal
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from marks import the_rest_is_long
from myrnn import GRU, RNN, SequenceClassifier, dense
from myrnn.data import flat_sequences
from myrnn.errors import InvalidArgument, NotFinite, TrainingDiverged
from myrnn.runs.prepare import validation_mask
from myrnn.runs.training import loss_and_score
from myrnn.training.progress import TrainingProgress

SMALL = {"dim_recurrent": 4, "max_epochs": 3, "engine": "mygrad", "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.reshape(-1, 8, 8), y, test_size=0.25, random_state=0, stratify=y)


def draw(count, seed=0, longest=12):
    """Return sequences of two columns whose class is the sign of the first column's sum, mostly."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rng.integers(1, longest), 2)) for _ in range(count)]
    return X, np.array(["up" if part[:, 0].sum() + rng.normal() > 0 else "down" for part in X])


def weights(classifier):
    return [parameter.data.copy() for parameter in classifier.model_.parameters]


def keep_for_validation(monkeypatch, mask):
    monkeypatch.setattr("myrnn.runs.prepare.validation_mask", lambda *_: mask)


@pytest.mark.long
def test_digits_read_row_by_row(digits):
    X, X_test, y, y_test = digits
    classifier = SequenceClassifier("gru", random_state=0).fit(X, y)
    assert classifier.score(X_test, y_test) >= 0.96


# --- sequences of different lengths


@pytest.mark.parametrize("engine", ["native", "mygrad"])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="rnn"),
        pytest.param({"cell": "gru", "layers": 2}, id="two gru", marks=pytest.mark.long),
        pytest.param({"cell": "lstm"}, id="lstm", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("kind", the_rest_is_long(["numbers", "tokens", "embedding"], "numbers"))
def test_padding_cannot_leak(engine, settings, kind):
    rng = np.random.default_rng(0)
    lengths = [1, 3, 0, 2, 7, 1]
    if kind == "numbers":
        X, long = [rng.normal(size=(length, 2)) for length in lengths], rng.normal(size=(200, 2))
    else:
        X, long = ["".join(rng.choice(list("abc"), size=length)) for length in lengths], "abc" * 66 + "b"
    embedding = 2 if kind == "embedding" else None
    settings = {**SMALL, "engine": engine, "max_epochs": 1, "dim_embedding": embedding, **settings}
    classifier = SequenceClassifier(**settings).fit(X, [0, 1] * 3)
    alone = classifier.predict_proba(X)
    for at in (0, 3, 6):
        together = classifier.predict_proba([*X[:at], long, *X[at:]])
        assert np.array_equal(np.delete(together, at, axis=0), alone)
    for index in range(len(X)):
        assert np.array_equal(classifier.predict_proba(X[index : index + 1])[0], alone[index])
    # The last state of each sequence: the model, op by op, on one sequence at a time.
    given = classifier.encoder_.encode(flat_sequences(X, classifier.encoder_.kind))
    for index, row in enumerate(alone):
        logits = classifier.model_(given.features(index)).data.astype(np.float64)[0]
        assert row == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("settings", [{}, {"layers": 2}, {"cell": "gru"}, {"cell": "lstm", "layers": 2}], ids=str)
def test_recurrent_weights_start_as_orthogonal_matrices(settings):
    X, y = draw(20)
    classifier = SequenceClassifier(**{**SMALL, "learning_rate": 1e-9, **settings}).fit(X, y)
    layers = getattr(classifier.model_, "stack", (classifier.model_,))
    recurrent = [part.weight.data for layer in layers for name, part in vars(layer).items() if name in RECURRENT]
    assert len(recurrent) == {"gru": 3, "lstm": 4}.get(classifier.cell, 1) * classifier.layers
    for weight in recurrent:
        assert weight @ weight.T == pytest.approx(np.eye(4), abs=1e-5)
    assert len(np.unique(recurrent)) == 16 * len(recurrent)


@pytest.mark.parametrize(
    ("X", "settings", "size"),
    [
        (["ab", "ba", "b"], {"cell": "lstm"}, 32),
        (["ab", "ba", "b"], {"cell": "gru", "layers": 2}, 32),
        (["ab", "ba", "b"], {"cell": "gru", "dim_embedding": 3}, 3),
        (["ab", "ba", "b"], {"cell": "gru", "dim_embedding": None}, None),
        (["ab", "ba", "b"], {"cell": "rnn"}, None),
        (["ab", "ba", "b"], {"cell": lambda *dims: GRU(*dims)}, None),
        ([[[0.5]], [[1.5], [2.0]], [[0.1]]], {"cell": "gru"}, None),
    ],
)
def test_gated_networks_read_symbols_through_an_embedding(X, settings, size):
    X = X if isinstance(X[0], str) else [np.array(x) for x in X]
    classifier = SequenceClassifier(**{**SMALL, "max_epochs": 1, **settings}).fit(X * 4, [0, 1, 0] * 4)
    embedding = getattr(classifier.model_, "embedding", None)
    assert (None if embedding is None else embedding.weight.shape[1]) == size
    assert classifier.get_params()["dim_embedding"] == settings.get("dim_embedding", "auto")


RECURRENT = [f"fc_h2{gate}" for gate in "hzrnifog"]


@pytest.mark.parametrize("engine", [pytest.param("native", marks=pytest.mark.long), "mygrad"])
def test_a_batch_of_a_short_and_a_long_sequence_learns_as_they_do(engine):
    rng = np.random.default_rng(1)
    X, y = [rng.normal(size=(length, 2)) for length in (1, 200)], ["a", "b"]
    settings = {"optimizer": "sgd", "learning_rate": 0.1, "gradient_clip": None, "validation_fraction": 0}
    fixed = {"cell": fixed_gru, "engine": engine, "max_epochs": 1, "standardize": False, **settings}
    before = [parameter.data.copy() for parameter in fixed_gru(2, 4, 2).parameters]

    def moved(X, y):
        fit = SequenceClassifier(**{**SMALL, **fixed, "batch_size": len(X)}).fit(X, y)
        return [after - first for after, first in zip(weights(fit), before, strict=True)]

    # A fit needs two classes: each sequence is trained with another one, whose effect is subtracted.
    short = rng.normal(size=(2, 2))
    both, rest = moved(X, y), moved([short, short], y)
    each = [moved([X[0], short], y), moved([short, X[1]], y)]
    for found, first, second, twice in zip(both, *each, rest, strict=True):
        assert found == pytest.approx(first + second - twice, abs=2e-6)


def fixed_gru(dim_input, dim_recurrent, dim_output):
    return GRU(dim_input, dim_recurrent, dim_output, rng=0)


# --- class weights


@pytest.mark.parametrize("given", the_rest_is_long(["balanced", {"up": 3.0}, {"up": 0.5, "down": 2}], "balanced"))
def test_class_weights_are_those_of_scikit_learn(given, monkeypatch):
    X, y = draw(60)
    mask = np.arange(60) % 3 == 0
    keep_for_validation(monkeypatch, mask)
    classifier = SequenceClassifier(**{**SMALL, "class_weight": given}).fit(X, y)
    counted = compute_sample_weight(given, y)[mask]
    kept = [part for part, chosen in zip(X, mask, strict=True) if chosen]
    expected = log_loss(y[mask], classifier.predict_proba(kept), sample_weight=counted, normalize=False) / mask.sum()
    assert classifier.history_["validation_loss"].min() == pytest.approx(expected, rel=1e-5)


def test_a_class_weight_of_3_equals_three_copies_of_a_sequence():
    X = [np.array([[1.0, 2.0]]), np.array([[-1.0, 0.5], [0.0, 1.0]])]
    settings = {"optimizer": "sgd", "gradient_clip": None, "validation_fraction": 0, "standardize": False}
    settings |= {"cell": partial(RNN, rng=0), "max_epochs": 1, "engine": "native", "batch_size": 4, "random_state": 0}
    weighted = SequenceClassifier(**settings, learning_rate=0.1, class_weight={"a": 3.0}).fit(X, ["a", "b"])
    # The mean over two sequences instead of four: half the rate.
    repeated = SequenceClassifier(**settings, learning_rate=0.2).fit([X[0], *X, X[0]], ["a", "a", "b", "a"])
    for found, expected in zip(weights(weighted), weights(repeated), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


def test_balanced_equals_a_dict_of_its_weights():
    X, y = draw(20)
    counts = {name: int(np.sum(y == name)) for name in ("up", "down")}
    numbers = {name: 20 / (2 * count) for name, count in counts.items()}
    balanced, given = (SequenceClassifier(**SMALL, class_weight=w).fit(X, y) for w in ("balanced", numbers))
    assert all(map(np.array_equal, weights(balanced), weights(given)))


# --- validation and early stopping


@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.floats(0, 0.99), st.integers(0, 1000))
def test_validation_holds_out_the_same_share_of_every_class(labels, fraction, seed):
    labels = np.array(labels)
    mask = validation_mask(labels, fraction, np.random.default_rng(seed).permutation(len(labels)))
    classes = np.unique(labels)
    assert mask.sum() == min(round(fraction * len(labels)), len(labels) - len(classes))
    spare = {label: np.sum(labels == label) - 1 for label in classes}
    for label in classes:
        kept = mask[labels == label].sum()
        assert kept <= spare[label]
        # Its share of the validation set, as close as whole numbers allow.
        assert abs(kept - mask.sum() * spare[label] / max(1, sum(spare.values()))) < 1


def test_the_best_weights_are_restored(monkeypatch):
    X, y = draw(60)
    mask = np.arange(60) % 2 == 0
    keep_for_validation(monkeypatch, mask)
    settings = {"learning_rate": 0.05, "max_epochs": 200, "early_stopping_patience": 4, "engine": "native"}
    classifier = SequenceClassifier(**{**SMALL, **settings}).fit(X, y)
    losses, best = classifier.history_["validation_loss"], classifier.best_epoch_
    assert best == 1 + losses.argmin()
    assert len(losses) == best + 4 < 200
    assert classifier.history_["epoch"].tolist() == list(range(1, best + 5))
    kept = [part for part, chosen in zip(X, mask, strict=True) if chosen]
    probabilities = classifier.predict_proba(kept)
    assert losses[best - 1] == pytest.approx(log_loss(y[mask], probabilities), rel=1e-5)
    accuracy = accuracy_score(y[mask], classifier.classes_[probabilities.argmax(axis=1)])
    assert classifier.history_["validation_accuracy"][best - 1] == accuracy
    # Exactly the weights of a training that ends there.
    stopped = SequenceClassifier(**{**SMALL, **settings, "max_epochs": best}).fit(X, y)
    assert all(map(np.array_equal, weights(classifier), weights(stopped)))


def test_an_early_stop_is_explained(capsys):
    X, y = draw(60)
    settings = {"learning_rate": 0.5, "max_epochs": 40, "early_stopping_patience": 2, "verbose": True}
    classifier = SequenceClassifier(**{**SMALL, **settings}).fit(X, y)
    done = classifier.best_epoch_ + 2
    assert capsys.readouterr().err.endswith(
        f"\nstopped after {done} of 40 epochs: the last 2 epochs brought no smaller validation loss "
        "(early_stopping_patience=2)\n"
    )


def test_without_validation_the_last_weights_are_kept():
    X, y = draw(30)
    classifier = SequenceClassifier(**SMALL, validation_fraction=0).fit(X, y)
    assert set(classifier.history_) == {"epoch", "loss", "accuracy"}
    assert (classifier.best_epoch_, len(classifier.history_["loss"])) == (3, 3)


def test_without_patience_all_epochs_are_done():
    X, y = draw(30)
    settings = {**SMALL, "max_epochs": 12, "learning_rate": 0.5, "early_stopping_patience": None}
    classifier = SequenceClassifier(**settings).fit(X, y)
    assert len(classifier.history_["loss"]) == 12


# --- repeated


@pytest.mark.parametrize("engine", the_rest_is_long(["native", "mygrad"], "native"))
def test_the_same_seed_gives_the_same_bytes(engine, tmp_path):
    X, y = draw(20)
    for name in ("one", "two"):
        SequenceClassifier(**{**SMALL, "engine": engine}).fit(X, y).save(tmp_path / name)
    # The index also holds the time.
    for file in ("encoding.json", "history.csv", "model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    other = SequenceClassifier(**{**SMALL, "engine": engine, "random_state": 1}).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), SequenceClassifier.load(tmp_path / "one").predict_proba(X))


def test_a_generator_continues_between_fits():
    X, y = draw(30)
    rng = np.random.RandomState(0)
    first, second = (SequenceClassifier(**{**SMALL, "random_state": rng}).fit(X, y) for _ in range(2))
    assert not np.array_equal(weights(first)[0], weights(second)[0])


@pytest.mark.parametrize("given", [lambda: None, lambda: np.random.RandomState(7)])
def test_a_fit_draws_a_seed_and_keeps_it(given, tmp_path):
    X, y = draw(12)
    settings = {**SMALL, "max_epochs": 1}
    generator = given()
    fits = [SequenceClassifier(**{**settings, "random_state": generator}).fit(X, y) for _ in range(2)]
    seeds = []
    for number, classifier in enumerate(fits):
        folder = classifier.save(tmp_path / str(number))
        seeds.append(json.loads((folder / "settings.json").read_text())["training"]["seed"])
        again = SequenceClassifier(**{**settings, "random_state": seeds[-1]}).fit(X, y)
        assert all(map(np.array_equal, weights(classifier), weights(again)))
    assert seeds[0] != seeds[1]


# --- a user-defined cell


class Sums:
    """Adds up the rows of the sequence."""

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h, self.fc_h2y = dense(dim_input, dim_recurrent), dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.zeros((1, self.fc_x2h.bias.shape[0]), dtype=np.float32)
        for x_t in x:
            h = h + self.fc_x2h(x_t[np.newaxis])
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2y.parameters


@pytest.mark.parametrize(
    "cell",
    [
        lambda *dims: Sums(*dims),
        *(pytest.param(c, marks=pytest.mark.long) for c in (Sums, partial(RNN, activation="tanh"))),
    ],
)
@pytest.mark.parametrize("engine", ["native", pytest.param("mygrad", marks=pytest.mark.long)])
def test_a_user_defined_cell(cell, engine):
    X, y = draw(60)
    settings = {**SMALL, "engine": engine, "max_epochs": 30, "learning_rate": 0.01, "dim_recurrent": 8}
    classifier = SequenceClassifier(cell, **settings).fit(X, y)
    assert classifier.score(X, y) > 0.75
    again = SequenceClassifier(cell, **settings).fit(X, y)
    assert all(map(np.array_equal, weights(classifier), weights(again)))


def test_layers_are_only_for_named_cells():
    told = "^layers, dim_embedding and bidirectional are for the cells that have a name: leave them out$"
    with pytest.raises(InvalidArgument, match=told):
        SequenceClassifier(Sums, **SMALL, layers=2).fit(*draw(10))


# --- stopped


class Interrupt:
    """A hook that presses Ctrl-C after a number of iterations."""

    def __init__(self, monkeypatch, iteration):
        shown = TrainingProgress.on_progress

        def on_progress(progress, done):
            shown(progress, done)
            if done >= iteration and not self.pressed:
                self.pressed = True
                signal.raise_signal(signal.SIGINT)

        self.pressed = False
        monkeypatch.setattr(TrainingProgress, "on_progress", on_progress)


@pytest.mark.parametrize("engine", the_rest_is_long(["native", "mygrad"], "native"))
def test_ctrl_c_leaves_the_best_weights_so_far(engine, monkeypatch):
    X, y = draw(60)
    settings = {**SMALL, "engine": engine, "max_epochs": 50, "batch_size": 8}
    # These few iterations are one native call, so the third epoch is complete.
    done = 3 if engine == "native" else 2
    whole = SequenceClassifier(**{**settings, "max_epochs": done}).fit(X, y)
    Interrupt(monkeypatch, iteration=7 * 2 + 1)
    message = rf"^the training was interrupted in epoch {done + 1}: the model is that of epoch \d, and can be"
    with pytest.warns(UserWarning, match=message):
        classifier = SequenceClassifier(**settings).fit(X, y)
    assert len(classifier.history_["loss"]) == done
    assert all(map(np.array_equal, weights(classifier), weights(whole)))
    assert np.array_equal(classifier.predict_proba(X), whole.predict_proba(X))


def test_ctrl_c_in_the_first_epoch_keeps_the_previous_fit(monkeypatch):
    X, y = draw(60)
    classifier = SequenceClassifier(**SMALL).fit(X, y)
    before = classifier.predict_proba(X)
    Interrupt(monkeypatch, iteration=1)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(batch_size=4, dim_recurrent=7).fit(X, y)
    assert np.array_equal(classifier.predict_proba(X), before)
    fresh = SequenceClassifier(**SMALL)
    Interrupt(monkeypatch, iteration=1)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X, y)
    assert not [name for name in vars(fresh) if name.endswith("_")]


def test_ctrl_c_is_not_lost_in_a_finalizer(monkeypatch):
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def watched(*arguments):
        Finalized()
        return loss_and_score(*arguments)

    monkeypatch.setattr("myrnn.runs.training.loss_and_score", watched)
    with pytest.warns(UserWarning, match=r"^the training was interrupted in epoch 2: the model is that of epoch 1"):
        classifier = SequenceClassifier(**SMALL).fit(*draw(30))
    assert len(classifier.history_["loss"]) == 1


@pytest.mark.parametrize(
    ("kept", "where"),
    [
        (0.0, "the loss is nan at iteration 1: "),
        (0.2, "after epoch 1 the logits of 2 of 2 sequences are not finite, "),
    ],
)
def test_a_training_that_diverges_suggests_remedies(kept, where):
    X, y = [np.full((60, 2), 5.0), np.full((60, 2), -5.0)] * 4, ["a", "b"] * 4
    settings = {**SMALL, "standardize": False, "learning_rate": 10.0, "validation_fraction": kept}
    told = "an RNN's states may overflow on long sequences, those of a GRU or an LSTM do not$"
    with pytest.raises(TrainingDiverged, match=f"^{where}.*; {told}"):
        SequenceClassifier(**settings).fit(X, y)


@pytest.fixture(scope="module")
def growing():
    """A classifier of strings that overflows on those of 321 symbols."""
    classifier = SequenceClassifier(**SMALL).fit(["ab", "ba", "aab", "b"] * 4, ["x", "y", "x", "y"] * 4)
    model = classifier.model_
    model.fc_x2h.weight.data[...] = 1
    model.fc_h2h.weight.data[...] = 2 * np.eye(4)
    return classifier


def test_sequences_with_nonfinite_logits_only_have_a_class_on_request(growing):
    X = ["ab", "a" * 321, "b"]
    message = "^the logits of 1 of 3 sequences are not finite, the shortest of length 321: "
    for method in (growing.predict, growing.predict_proba):
        with pytest.raises(NotFinite, match=f"{message}the model's numbers overflow there$"):
            method(X)
    finite = growing.predict([X[0], X[2]]).tolist()
    for label in ("x", "y"):
        assert growing.predict(X, not_finite=label).tolist() == [finite[0], label, finite[1]]
    assert np.isnan(growing.predict_proba(X, not_finite=np.nan)).all(axis=1).tolist() == [False, True, False]
    assert growing.predict_proba(X, not_finite=0.5)[1].tolist() == [0.5, 0.5]
    assert np.array_equal(growing.predict_proba(X, not_finite=np.nan)[::2], growing.predict_proba(X[::2]))
    with pytest.raises(InvalidArgument, match=r"^not_finite must be one of the classes, not 'z'$"):
        growing.predict(X, not_finite="z")


def test_sequences_whose_logits_are_not_finite_score_as_wrong(growing):
    X, y = ["ab", "a" * 321, "b"], growing.predict(["ab", "b", "b"])
    with pytest.warns(UserWarning, match="^the logits of 1 of 3 sequences are not finite, .* they count as wrong$"):
        assert growing.score(X, y) == pytest.approx(2 / 3)
    with pytest.warns(UserWarning, match="^the logits of 1 of 3"):
        assert growing.score(X, y, sample_weight=[1, 2, 1]) == pytest.approx(0.5)
    with pytest.warns(UserWarning, match="^the logits of 1 of 1 sequence are"):
        assert growing.score(X[1:2], y[1:2]) == 0


def test_only_nonfinite_scores_are_a_divergence(monkeypatch):
    def refusing(*arguments):
        raise InvalidArgument("a label is 3, but the model has 2 classes, 0 .. 1")

    monkeypatch.setattr("myrnn.runs.training.loss_and_score", refusing)
    with pytest.raises(InvalidArgument, match=r"^a label is 3, but the model has 2 classes, 0 \.\. 1$"):
        SequenceClassifier(**SMALL).fit(*draw(30))
