"""The native engine agrees with MyGrad, op by op, and is reproducible bit for bit."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import mygrad as mg
import mynn.optimizers.adam
import mynn.optimizers.sgd
import numpy as np
import pytest

import myrnn
from marks import most_are_long, the_rest_is_long
from myrnn import GRU, RNN, SGD, Adam, RMSprop, Stacked, tasks
from myrnn.errors import CompileError, InvalidArgument, TrainingDiverged
from myrnn.training.loop import Training

TASK = tasks.TwinHalves(1, 4)


def trained(make_optimizer, engine, batch_size=1, iterations=200, model=None, **options):
    model = model or RNN(10, 12, 2, activation="tanh", rng=0)
    optimizer = make_optimizer(model.parameters)
    history = myrnn.train(
        model,
        TASK,
        optimizer,
        iterations,
        batch_size,
        seed=3,
        engine=engine,
        report_every=50,
        progress=False,
        **options,
    )
    return model, optimizer, history


OPTIMIZERS = {
    "sgd": lambda p: SGD(p, learning_rate=0.05),
    "sgd with momentum and decay": lambda p: SGD(p, learning_rate=0.02, momentum=0.8, weight_decay=0.05),
    "rmsprop": lambda p: RMSprop(p, learning_rate=1e-3, weight_decay=0.1),
    "adam": lambda p: Adam(p, weight_decay=0.1),
    "MyNN's sgd": lambda p: mynn.optimizers.sgd.SGD(p, learning_rate=0.02, momentum=0.8, weight_decay=1e-3),
    "MyNN's adam": lambda p: mynn.optimizers.adam.Adam(p, weight_decay=1e-4),
}


def memory(optimizer):
    return [array for name in ("m", "v", "param_moments") for array in (getattr(optimizer, name, None) or [])]


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("name", most_are_long(OPTIMIZERS, 8))
def test_weights_optimizer_state_and_history_agree_with_mygrad(name, batch_size):
    # MyGrad takes a third of a second for thirty batches.
    iterations = 100 if batch_size == 1 else 30
    ours, optimizer, history = trained(OPTIMIZERS[name], "native", batch_size, iterations)
    theirs, reference, expected = trained(OPTIMIZERS[name], "mygrad", batch_size, iterations)
    assert (history.engine, expected.engine) == ("native", "mygrad")
    np.testing.assert_allclose(history.loss, expected.loss, atol=1e-5)
    np.testing.assert_array_equal(history.accuracy, expected.accuracy)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)
    assert getattr(optimizer, "t", None) == getattr(reference, "t", None)
    for one, other in zip(memory(optimizer), memory(reference), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


class Started(RNN):
    """Learns its first state, which also has a gradient from an empty sequence."""

    def __init__(self):
        super().__init__(10, 12, 2, activation="tanh", rng=0)
        self.start = mg.tensor(np.full((1, 12), 0.1, dtype=np.float32))

    @property
    def parameters(self):
        return (*super().parameters, self.start)

    def __call__(self, x):
        h = self.start
        for x_t in x:
            h = mg.tanh(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 2], 1))
@pytest.mark.parametrize("name", most_are_long(OPTIMIZERS, 3))
def test_an_empty_sequence_does_not_change_weights_that_only_steps_use(name, batch_size):
    rng = np.random.default_rng(0)
    data = [(rng.normal(size=(n, 10)).astype(np.float32), n % 2) for n in (3, 0, 0, 0, 2, 0, 0, 1)]
    models = {"native": Started(), "mygrad": Started()}
    for engine, model in models.items():
        myrnn.train(model, data, OPTIMIZERS[name](model.parameters), 60, batch_size, engine=engine, progress=False)
    for one, other in zip(*(model.parameters for model in models.values()), strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


class Weights:
    """Weights of given names and sizes."""

    def __init__(self, **shapes):
        rng = np.random.default_rng(0)
        tensors = {n: mg.tensor(rng.normal(size=s).astype(np.float32) * np.float32(0.4)) for n, s in shapes.items()}
        vars(self).update(tensors)
        self.parameters = tuple(tensors.values())


class Feedback(Weights):
    """Computes its feedback at the end of a step; that of the last step is unused."""

    def __init__(self):
        super().__init__(W=(10, 6), f=(1, 6), V=(6, 2))

    def __call__(self, x):
        back = np.zeros((1, 6), dtype=np.float32)
        for x_t in x:
            h = mg.tanh(x_t[np.newaxis] @ self.W + back)
            back = h * self.f
        return h @ self.V


class Delays(Weights):
    """Delays by two steps, and starts with learned states, each used at few lengths."""

    def __init__(self):
        super().__init__(W=(10, 6), F=(6, 6), G=(6, 6), H=(6, 6), a=(1, 6), b=(1, 6), c=(1, 6), V=(6, 2))

    def __call__(self, x):
        first, second, third = self.a, self.b, self.c
        for x_t in x:
            a = x_t[np.newaxis] @ self.W
            first, second = mg.tanh(a + second @ self.F), mg.tanh(a + third @ self.G)
            third = mg.tanh(a + third @ self.H)
        return (first + second + third) @ self.V


class Together(Weights):
    """Updates two states at once, the second from the old value of the first, and only reads out the second."""

    def __init__(self):
        super().__init__(W=(10, 6), F=(6, 6), G=(6, 6), H=(6, 6), V=(6, 2))

    def __call__(self, x):
        first, second = np.zeros((1, 6), dtype=np.float32), np.zeros((1, 6), dtype=np.float32)
        for x_t in x:
            first, second = mg.tanh(x_t[None] @ self.W + first @ self.F), mg.tanh(first @ self.G + second @ self.H)
        return second @ self.V


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("batch_size", the_rest_is_long([1, 2], 2))
@pytest.mark.parametrize("name", most_are_long(OPTIMIZERS, 3))
@pytest.mark.parametrize(
    ("model_class", "lengths"),
    [
        pytest.param(Feedback, (1, 5, 1, 1, 2), marks=pytest.mark.long),
        pytest.param(Delays, (3, 1, 2, 1, 1, 2, 6), marks=pytest.mark.long),
        (Together, (3, 1, 0, 1, 2, 0, 6)),
    ],
)
def test_a_short_sequence_does_not_change_weights_that_it_does_not_use(model_class, lengths, name, batch_size):
    rng = np.random.default_rng(0)
    data = [(rng.normal(size=(n, 10)).astype(np.float32), k % 2) for k, n in enumerate(lengths)]
    models = {"native": model_class(), "mygrad": model_class()}
    for engine, model in models.items():
        myrnn.train(model, data, OPTIMIZERS[name](model.parameters), 60, batch_size, engine=engine, progress=False)
    for one, other in zip(*(model.parameters for model in models.values()), strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 8])
def test_clipping_and_schedules_give_the_same_numbers(batch_size):
    options = {"gradient_clip": 0.2, "schedule": lambda iteration: 0.1 / (1 + iteration)}
    ours, optimizer, _ = trained(OPTIMIZERS["sgd"], "native", batch_size, **options)
    theirs, _, _ = trained(OPTIMIZERS["sgd"], "mygrad", batch_size, **options)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)
    assert optimizer.learning_rate == 0.05


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 8])
def test_class_weights_give_the_same_numbers(batch_size):
    options = {"class_weight": [0.25, 3.0], "gradient_clip": 1.0}
    ours, _, history = trained(OPTIMIZERS["sgd"], "native", batch_size, **options)
    theirs, _, expected = trained(OPTIMIZERS["sgd"], "mygrad", batch_size, **options)
    np.testing.assert_allclose(history.loss, expected.loss, atol=1e-5)
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_same_seed_gives_the_same_bytes(batch_size):
    runs = [trained(OPTIMIZERS["adam"], "native", batch_size) for _ in range(2)]
    assert runs[0][2].loss.tobytes() == runs[1][2].loss.tobytes()
    for one, other in zip(runs[0][0].parameters, runs[1][0].parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


def test_a_training_can_run_in_parts():
    whole, _, history = trained(OPTIMIZERS["adam"], "native")
    model = RNN(10, 12, 2, activation="tanh", rng=0)
    training = Training(model, TASK, Adam(model.parameters, weight_decay=0.1), seed=3, engine="native", report_every=50)
    for iterations in (70, 1, 129):
        training.run(iterations)
    assert training.iteration == 200
    assert training.history.iteration.tolist() == [50, 70, 71, 100, 150, 200]
    assert training.history.loss[[0, 4, 5]].tobytes() == history.loss[[0, 2, 3]].tobytes()
    for one, other in zip(model.parameters, whole.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()


def test_a_model_can_change_engine_at_any_time():
    model = RNN(10, 12, 2, activation="tanh", rng=0)
    optimizer = Adam(model.parameters)
    other = RNN(10, 12, 2, activation="tanh", rng=0)
    reference = Adam(other.parameters)
    for seed, engine in enumerate(("native", "mygrad", "native")):
        myrnn.train(model, TASK, optimizer, 50, seed=seed, engine=engine, progress=False)
        myrnn.train(other, TASK, reference, 50, seed=seed, engine="mygrad", progress=False)
    assert optimizer.t == reference.t == 150
    for one, two in zip(model.parameters, other.parameters, strict=True):
        np.testing.assert_allclose(one.data, two.data, atol=2e-5)


def test_parameters_that_the_optimizer_does_not_hold_stay():
    model, _, _ = trained(lambda p: Adam(p[:2]), "native", iterations=50)
    fresh = RNN(10, 12, 2, activation="tanh", rng=0)
    moved = [not np.array_equal(a.data, b.data) for a, b in zip(model.parameters, fresh.parameters, strict=True)]
    assert moved == [True, True, False, False, False]


class Halving(SGD):
    """An optimizer without a native form."""

    def step(self):
        for parameter in self.params:
            parameter.data *= np.float32(0.999)


def test_an_optimizer_without_a_native_form_is_refused_or_run_by_mygrad():
    with pytest.raises(CompileError, match="Halving has no native form"):
        trained(Halving, "native", iterations=5)
    with pytest.warns(UserWarning, match="op by op with MyGrad, because Halving"):
        _, _, history = trained(Halving, "auto", iterations=5)
    assert history.engine == "mygrad"


def of_type(dtype, *names):
    model = RNN(10, 12, 2, activation="tanh", rng=0)
    for name in names:
        layer, parameter = name.split(".")
        tensor = getattr(getattr(model, layer), parameter)
        tensor.data = tensor.data.astype(dtype)
    return model


@pytest.mark.parametrize("engine", ["native", "auto"])
def test_float64_parameters_are_trained_in_float32_with_one_warning(engine):
    names = ("fc_x2h.bias", "fc_h2h.weight")
    with pytest.warns(
        UserWarning, match=r"in float32 and rounds what is float64 here: fc_x2h\.bias, fc_h2h\.weight"
    ) as warned:
        model, optimizer, history = trained(Adam, engine, iterations=50, model=of_type(np.float64, *names))
    assert len(warned) == 1 and history.engine == "native"
    reference, other, _ = trained(Adam, "mygrad", iterations=50, model=of_type(np.float64, *names))
    ours, theirs = ([*m.parameters, *o.m, *o.v] for m, o in ((model, optimizer), (reference, other)))
    for one, two in zip(ours, theirs, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_allclose(np.asarray(one), np.asarray(two), atol=2e-5)


def test_parameters_of_other_types_are_refused_together():
    told = r"^a compiled model works in float32, but it has fc_x2h\.bias \(float16\), fc_h2y\.weight \(float16\): make"
    with pytest.raises(CompileError, match=told):
        trained(SGD, "native", iterations=5, model=of_type(np.float16, "fc_h2y.weight", "fc_x2h.bias"))


def test_a_tensor_that_the_model_does_not_list_is_not_left_untrained():
    with pytest.raises(CompileError, match="the optimizer holds a tensor that is not among the model's parameters"):
        trained(lambda p: SGD([*p, mg.tensor(np.ones(3, np.float32))]), "native", iterations=5)


class Changing:
    """A task whose second block has another kind than its first."""

    def __init__(self, dim_input, tokens):
        self.dim_input, self.tokens, self.blocks = dim_input, tokens, 0

    def sample(self, n, rng):
        self.blocks += 1
        width = 10 if self.blocks == 1 else self.dim_input
        offsets, labels = np.arange(n + 1), rng.integers(0, 2, n)
        if self.blocks == 1 or self.tokens:
            return myrnn.Sequences(rng.integers(0, width, n), offsets, labels, width)
        return myrnn.Sequences(rng.normal(size=(n, width)), offsets, labels)


@pytest.mark.parametrize("engine", ["native", "mygrad"])
def test_sequences_that_grow_wider_are_refused(engine, monkeypatch):
    monkeypatch.setattr("myrnn.training.feed.BLOCK", 64)
    model = RNN(10, 12, 2, activation="tanh", rng=0)
    with pytest.raises(InvalidArgument, match=r"^sequences with 5,000 inputs turned up, but the first ones have 10$"):
        myrnn.train(model, Changing(5000, True), SGD(model.parameters), 80, engine=engine, progress=False)


def test_sequences_that_turn_into_features_continue_op_by_op(monkeypatch):
    monkeypatch.setattr("myrnn.training.feed.BLOCK", 64)
    models = [RNN(10, 12, 2, activation="tanh", rng=0) for _ in range(2)]
    with pytest.raises(CompileError, match=r"^the sequences are features now and were tokens at first"):
        myrnn.train(models[0], Changing(10, False), SGD(models[0].parameters), 80, engine="native", progress=False)
    models[0] = RNN(10, 12, 2, activation="tanh", rng=0)
    with pytest.warns(UserWarning, match="op by op with MyGrad, because the sequences are features now"):
        myrnn.train(models[0], Changing(10, False), SGD(models[0].parameters), 80, progress=False)
    myrnn.train(models[1], Changing(10, False), SGD(models[1].parameters), 80, engine="mygrad", progress=False)
    for one, other in zip(models[0].parameters, models[1].parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


@pytest.mark.long
def test_weights_can_have_any_memory_order():
    class Cube:
        """Has recurrent weights with three axes."""

        def __init__(self):
            rng = np.random.default_rng(0)
            self.x, self.y = RNN(4, 6, 2, rng=1).fc_x2h, RNN(4, 6, 2, rng=1).fc_h2y
            self.cube = mg.tensor(rng.normal(size=(3, 2, 6)).astype(np.float32).transpose(2, 1, 0) * np.float32(0.4))

        @property
        def parameters(self):
            return (self.cube, *self.x.parameters, *self.y.parameters)

        def __call__(self, x):
            h = np.zeros((1, 6), np.float32)
            for x_t in x:
                h = mg.tanh(self.x(x_t[None]) + h @ self.cube.reshape(6, 6))
            return self.y(h)

    assert not Cube().cube.data.flags.c_contiguous
    rng = np.random.default_rng(2)
    pairs = [(rng.normal(size=(n, 4)), n % 2) for n in (3, 5, 4)]
    models = [Cube(), Cube()]
    for model, engine in zip(models, ("native", "mygrad"), strict=True):
        myrnn.train(model, pairs, Adam(model.parameters), 30, engine=engine, progress=False)
    assert np.abs(models[0].cube.data - Cube().cube.data).max() > 1e-3
    for one, other in zip(models[0].parameters, models[1].parameters, strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=2e-5)


@pytest.mark.long
def test_several_threads_can_use_one_compiled_model():
    rng = np.random.default_rng(0)
    compiled = myrnn.compile(GRU(3, 9, 4, rng=0))
    given = [rng.normal(size=(n, 3)).astype(np.float32) for n in (300, 200, 100)]
    alone = [(compiled(x), compiled.loss_and_gradients(x, 1)[1]) for x in given]

    def use(which):
        for _ in range(30):
            np.testing.assert_array_equal(compiled(given[which]), alone[which][0])
            for one, other in zip(compiled.loss_and_gradients(given[which], 1)[1], alone[which][1], strict=True):
                np.testing.assert_array_equal(one, other)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(use, which) for which in range(3)]:
            future.result()


def test_divergence_names_the_iteration():
    with pytest.raises(TrainingDiverged, match="at iteration"):
        trained(lambda p: SGD(p, learning_rate=1e30), "native", model=RNN(10, 4, 2, rng=0))


@pytest.mark.long
def test_a_batch_of_very_different_lengths_is_the_mean_of_its_sequences():
    rng = np.random.default_rng(0)
    model = GRU(3, 9, 4, rng=0)
    pairs = [(rng.normal(size=(n, 3)).astype(np.float32), k % 4) for k, n in enumerate((1, 700, 3, 0, 40))]
    compiled = myrnn.compile(model)
    singles = [compiled.loss_and_gradients(x, y)[1] for x, y in pairs]
    before = [parameter.data.copy() for parameter in model.parameters]
    myrnn.train(model, pairs, SGD(model.parameters, learning_rate=1.0), 1, 5, engine="native", progress=False)
    for i, parameter in enumerate(model.parameters):
        mean = np.mean([gradients[i] for gradients in singles], axis=0)
        np.testing.assert_allclose(before[i] - parameter.data, mean, atol=1e-5)


class MatrixState:
    """A sum of outer products: no step multiplies it by weights."""

    def __init__(self, rng):
        draw = np.random.default_rng(rng)
        self.k, self.v, self.q = (mg.tensor(draw.normal(size=(3, 4)).astype(np.float32)) for _ in "kvq")
        self.parameters = (self.k, self.v, self.q)

    def __call__(self, x):
        memory, rows = np.zeros((4, 4), dtype=np.float32), []
        for x_t in x:
            memory = memory + (x_t @ self.k)[:, np.newaxis] * (x_t @ self.v)
            rows.append((x_t @ self.q) @ memory)
        return mg.stack(rows)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Stacked(3, 9, 4, cell="gru", per_step=True, rng=0), id="gru", marks=pytest.mark.long),
        pytest.param(lambda: MatrixState(0), id="a matrix"),
    ],
)
def test_the_parts_of_a_batch_give_its_gradients_and_logits(make):
    rng = np.random.default_rng(0)
    # More sequences than any program gets at once.
    lengths = rng.permutation(np.arange(70) % 12)
    sequences = myrnn.Sequences.from_pairs(
        [(rng.normal(size=(n, 3)).astype(np.float32), rng.integers(4, size=n)) for n in lengths], per_step=True
    )
    compiled, taught = myrnn.compile(make()), make()
    singles = [compiled.loss_and_gradients(x, y)[1] for x, y in sequences if len(x)]
    weights = lengths[lengths > 0] / lengths.sum()
    before = [parameter.data.copy() for parameter in taught.parameters]
    history = myrnn.train(
        taught, sequences, SGD(taught.parameters, learning_rate=1.0), 1, 70, engine="native", progress=False
    )
    for i, parameter in enumerate(taught.parameters):
        mean = sum(weight * gradients[i] for weight, gradients in zip(weights, singles, strict=True))
        np.testing.assert_allclose(before[i] - parameter.data, mean, atol=2e-5)
    alone = np.concatenate([compiled(x).data for x, _ in sequences if len(x)])
    np.testing.assert_allclose(compiled.logits(sequences), alone, rtol=1e-5, atol=1e-5)
    right = (alone.argmax(axis=1) == np.concatenate([y for _, y in sequences])).mean()
    assert history.accuracy == pytest.approx([right])


@pytest.mark.long
def test_other_sequences_of_a_batch_do_not_change_logits():
    rng = np.random.default_rng(0)
    compiled = myrnn.compile(GRU(3, 9, 4, rng=0))
    pairs = [(rng.normal(size=(n, 3)).astype(np.float32), 0) for n in (5, 2, 9)]
    alone = compiled.logits(myrnn.Sequences.from_pairs(pairs))
    longer = [*pairs, (rng.normal(size=(400, 3)).astype(np.float32), 0)]
    np.testing.assert_allclose(compiled.logits(myrnn.Sequences.from_pairs(longer))[:3], alone, rtol=1e-6)


@pytest.mark.long
def test_a_large_vocabulary_needs_little_memory():
    def train_on_words(words):
        sequences = myrnn.Sequences(np.arange(40) * (words // 40), np.arange(5) * 10, [0, 1, 0, 1], words)
        model = RNN(words, 12, 2, activation="tanh", rng=0)
        optimizer = SGD(model.parameters)
        tracemalloc.start()
        try:
            myrnn.train(model, sequences, optimizer, 4, 2, engine="native", progress=False)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = train_on_words(40)
    weights = 4 * 16 * 20_000
    # A one-hot row of each word would be 1.6 GB.
    assert train_on_words(20_000) - few < 20 * weights
