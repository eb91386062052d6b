"""Terms that a model adds to its loss: both engines and a loop by hand learn the same from them."""

import re
from itertools import product

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import tanh
from mygrad.nnet.losses import softmax_crossentropy

from marks import the_rest_is_long
from myrnn import add_loss, compile, train
from myrnn.errors import InvalidArgument
from myrnn.optimizers import SGD
from myrnn.training import measure
from myrnn.training.loop import Training
from targets_help import LENGTHS, Model, data, gaussian, smoothed
from test_native_targets import agree


class Calm(Model):
    """Adds a term at every step, and one at the end."""

    strength = 0.3

    def __call__(self, x):
        h, rows = np.zeros((1, 4), dtype=np.float32), []
        for x_t in x:
            new = tanh(x_t[np.newaxis] @ self.wx + h @ self.wh)
            add_loss(self.strength * ((new - h) ** 2).mean())
            h = new
            rows.append(h @ self.wy + self.by)
        if self.per_step:
            return mg.concatenate(rows)
        logits = h @ self.wy + self.by
        add_loss(0.1 * mg.abs(logits).sum())
        return logits


class CalmAfterwards(Model):
    """Adds a penalty on all states after its loop."""

    def __call__(self, x):
        h, states = mg.zeros((1, 4), dtype=np.float32), []
        for x_t in x:
            h = tanh(x_t[np.newaxis] @ self.wx + h @ self.wh)
            states.append(h)
        if states:
            add_loss((mg.concatenate(states) ** 2).sum())
        return h @ self.wy + self.by


EVERY = list(product([("class", "cross-entropy"), ("class", smoothed), ("several", None), ("numbers", gaussian)],
                     (False, True), (1, 4)))  # fmt: skip
SHORT = (EVERY[7],)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(("targets", "per_step", "batch_size"), the_rest_is_long(EVERY, *SHORT))
def test_both_engines_learn_the_same(targets, per_step, batch_size):
    what, loss = targets
    sequences = data(what, per_step, weighted=batch_size > 1)
    history = agree(sequences, batch_size, kind=Calm, loss=loss)
    assert np.isfinite(history.loss).all()


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_term_added_after_the_loop_counts_too(batch_size):
    agree(data(), batch_size, kind=CalmAfterwards)


@pytest.mark.long
def test_the_added_term_has_the_gradient_computed_by_hand():
    sequences, model, other = data(), Calm(False), Calm(False)
    history = train(model, sequences, SGD(model.parameters, learning_rate=0.1), 12, 2, report_every=1, progress=False)
    order = training_order(sequences)
    optimizer, losses = SGD(other.parameters, learning_rate=0.1), []
    for batch in order:
        total = mg.tensor(0.0)
        for i in batch:
            logits, added = by_hand(other, sequences.features(i))
            total = total + (softmax_crossentropy(logits, sequences.targets[i : i + 1]) + added) / len(batch)
        total.backward()
        optimizer.step()
        losses.append(total.item())
    np.testing.assert_allclose(history.loss, losses, rtol=1e-4)
    for ours, theirs in zip(model.parameters, other.parameters, strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, atol=1e-5)


def training_order(sequences):
    """Return the sequences of each of twelve iterations, recorded by a model."""
    seen = []

    class Notes(Model):
        def __call__(self, x):
            seen.append(np.array(x))
            return super().__call__(x)

    model = Notes(False)
    training = Training(model, sequences, SGD(model.parameters, learning_rate=0.0), 2, engine="mygrad")
    seen.clear()
    training.advance(12)
    every = [sequences.features(i) for i in range(len(sequences))]
    found = [next(i for i, x in enumerate(every) if np.array_equal(x, one)) for one in seen]
    return np.reshape(found, (12, 2))


def by_hand(model, x):
    h, added = np.zeros((1, 4), dtype=np.float32), mg.tensor(0.0)
    for x_t in x:
        new = tanh(x_t[np.newaxis] @ model.wx + h @ model.wh)
        added = added + model.strength * ((new - h) ** 2).mean()
        h = new
    logits = h @ model.wy + model.by
    return logits, added + 0.1 * mg.abs(logits).sum()


@pytest.mark.long
def test_the_added_term_makes_states_small():
    spread = {}
    for kind in (Model, CalmAfterwards):
        model, sequences = kind(False), data()
        train(model, sequences, SGD(model.parameters, learning_rate=0.05), 300, 6, progress=False)
        states = [tanh(sequences.features(i)[:1] @ model.wx).data for i, n in enumerate(LENGTHS) if n]
        spread[kind] = np.abs(states).mean()
    assert spread[CalmAfterwards] < 0.5 * spread[Model]


@pytest.mark.usefixtures("in_python")
def test_nothing_is_added_outside_of_training():
    sequences, model, plain = data(), Calm(False), Model(False)
    assert measure(model, sequences) == measure(plain, sequences)
    compiled, reference = compile(model), compile(plain)
    x = sequences.features(0)
    np.testing.assert_array_equal(compiled(x), reference(x))
    assert compiled.loss_and_gradients(x, 1)[0] == reference.loss_and_gradients(x, 1)[0]


@pytest.mark.usefixtures("in_python")
def test_the_score_is_that_of_the_outputs():
    """The added term would be the largest output."""

    class Much(Model):
        def __call__(self, x):
            add_loss(100 + 0 * self.wx[0, 0])
            return super().__call__(x)

    histories = []
    for kind, engine in ((Much, "native"), (Much, "mygrad"), (Model, "native")):
        model = kind(False)
        optimizer = SGD(model.parameters, learning_rate=0.1)
        histories.append(train(model, data(), optimizer, 20, 3, report_every=1, engine=engine, progress=False))
    for history in histories[:2]:
        np.testing.assert_array_equal(history.accuracy, histories[2].accuracy)
        np.testing.assert_allclose(history.loss, histories[2].loss + 100, rtol=1e-5)


class CalmLater(Model):
    """Adds a term at every step but the first two."""

    def __call__(self, x):
        h = np.zeros((1, 4), dtype=np.float32)
        for t, x_t in enumerate(x):
            new = tanh(x_t[np.newaxis] @ self.wx + h @ self.wh)
            if t > 1:
                add_loss(0.3 * ((new - h) ** 2).mean())
            h = new
        return h @ self.wy + self.by


@pytest.mark.usefixtures("in_python")
def test_a_model_may_add_only_later_than_the_first_sequences_end():
    sequences = data()
    short_first = sequences.select(np.argsort(sequences.lengths, kind="stable"))
    assert short_first.lengths[-1] > 2 > short_first.lengths[1]
    losses = []
    for engine in ("native", "mygrad"):
        model = CalmLater(False)
        optimizer = SGD(model.parameters, learning_rate=0.1)
        losses.append(train(model, iter(short_first), optimizer, 6, 2, engine=engine, progress=False).loss)
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_a_model_that_begins_to_add_is_refused(engine):
    class Begins(Model):
        begun = False

        def __call__(self, x):
            if self.begun:
                add_loss((self.wx**2).sum())
            return super().__call__(x)

        def on_report(self, report):
            self.begun = True

    model = Begins(False)
    optimizer = SGD(model.parameters, learning_rate=0.1)
    options = {"engine": engine, "report_every": 10, "hooks": [model], "progress": False}
    with pytest.raises(InvalidArgument, match="the model calls add_loss, but did not do so when the training was made"):
        train(model, data(), optimizer, 100, **options)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_the_added_term_may_change(engine):
    class Anneals(Calm):
        def on_report(self, report):
            self.strength = 0.0

    model = Anneals(False)
    optimizer = SGD(model.parameters, learning_rate=0.0)
    options = {"report_every": 6, "hooks": [model], "progress": False}
    history = train(model, data(), optimizer, 12, 6, engine="auto" if engine == "native" else engine, **options)
    assert history.engine == engine
    assert history.loss[0] > history.loss[1] + 0.01


@pytest.mark.parametrize("engine", the_rest_is_long(["native", "mygrad"], "mygrad"))
def test_a_resumed_training_gives_the_same_bytes(tmp_path, engine):
    found = []
    for parts in ((40,), (15, 40)):
        for until in parts:
            model = Calm(True)
            optimizer = SGD(model.parameters, learning_rate=0.1, momentum=0.9)
            options = {"checkpoint": tmp_path / str(len(parts)), "resume": True, "progress": False, "engine": engine}
            train(model, data(per_step=True), optimizer, until, 3, **options)
        found.append([p.data.tobytes() for p in model.parameters])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.5, "0.5"),
        (np.float32(1), "np.float32(1.0)"),
        (mg.tensor([1.0, 2.0]), "a tensor of shape (2,)"),
        (None, "None"),
    ],
)
def test_the_argument_is_a_tensor_with_one_number(value, told):
    with pytest.raises(InvalidArgument, match=re.escape(f"one number, such as a sum, not {told}")):
        add_loss(value)


def test_it_cannot_be_combined_with_truncated_backpropagation():
    model, sequences = Calm(True), data(per_step=True)
    with pytest.raises(InvalidArgument, match="truncate does not go with a model that calls add_loss"):
        train(model, sequences, SGD(model.parameters, learning_rate=0.1), 5, 2, truncate=2, progress=False)
