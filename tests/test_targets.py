"""Targets of every kind, stored flat: they are returned unchanged, and invalid ones give a one-line error."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn import (
    RNN,
    Experiment,
    build_graph,
    counterexamples,
    evaluate,
    gradient_flow,
    registry,
    run,
    shortcuts,
    transfer,
)
from myrnn.errors import InvalidArgument
from myrnn.registry import kinds
from myrnn.sequences import Sequences
from myrnn.targets import CLASS, NUMBERS, ONE_CLASS, SEVERAL, TargetKind

KINDS = [
    TargetKind(what, per_step, None if what == CLASS else 2)
    for what in (CLASS, SEVERAL, NUMBERS)
    for per_step in (False, True)
]
lengths_of_some = st.lists(st.integers(0, 5), min_size=1, max_size=8)


def refused(message):
    return pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$")


def rows_of(kind, count, rng):
    if kind.what == CLASS:
        return rng.integers(0, 4, count)
    return rng.normal(size=(count, kind.columns)) if kind.what == NUMBERS else rng.random((count, kind.columns)) < 0.5


def some(kind, lengths, seed=0, weighted=False):
    """Return sequences of these lengths with targets of a kind, and these and the weights by sequence."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    bounds = offsets if kind.per_step else np.arange(len(lengths) + 1)
    rows, weights = rows_of(kind, bounds[-1], rng), rng.integers(0, 3, bounds[-1]) if weighted else None
    made = Sequences(rng.integers(0, 3, offsets[-1]), offsets, rows, 3, per_step=kind.per_step, weights=weights)
    parts = [rows[a:b] if kind.per_step else rows[a] for a, b in itertools.pairwise(bounds)]
    return (
        made,
        parts,
        None if weights is None else [weights[a:b] for a, b in itertools.pairwise(bounds)],
    )


def same(one, other):
    arrays = [(getattr(s, name)) for s in (one, other) for name in ("values", "offsets", "targets", "weights")]
    return (
        one.kind == other.kind
        and one.dim_input == other.dim_input
        and all(
            (a is None and b is None) or (a.dtype == b.dtype and a.tobytes() == b.tobytes() and a.shape == b.shape)
            for a, b in zip(arrays[:4], arrays[4:], strict=True)
        )
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(lengths=lengths_of_some, seed=st.integers(0, 9), data=st.data())
def test_each_sequence_has_its_own_targets(kind, weighted, lengths, seed, data):
    made, parts, weights = some(kind, lengths, seed, weighted)
    types = {CLASS: (np.int64, np.int16), SEVERAL: (np.bool_, np.bool_), NUMBERS: (np.float32, np.float32)}[kind.what]
    if made.targets.size:
        assert made.kind == TargetKind(kind.what, kind.per_step, kind.columns, weighted)
    assert made.targets.dtype == types[0]
    for (_, y), part in zip(made, parts, strict=True):
        assert y.dtype == types[1]
        assert y.shape == (np.shape(part) or (1,))
        np.testing.assert_allclose(y, np.reshape(part, y.shape), rtol=1e-6)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    selected = made[chosen]
    for place, (_, y) in zip(chosen, selected, strict=True):
        assert y.tobytes() == made[place][1].tobytes()
    counts = [len(part) if kind.per_step else 1 for part in parts]
    if weighted:
        counts = [int(np.count_nonzero(part)) for part in weights]
        flat = np.concatenate([weights[place] for place in chosen]) if chosen else []
        assert selected.weights.tolist() == list(flat)
    assert made.counted.tolist() == counts
    rows = made.rows(np.array(chosen, dtype=np.int64))
    assert made.targets[rows].tobytes() == selected.targets.tobytes()
    for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made[:], made.over(3)):
        assert same(copied, made)
        assert not copied.targets.flags.writeable


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(lengths=lengths_of_some)
def test_pairs_give_the_same_targets(kind, lengths):
    made, parts, _ = some(kind, lengths, weighted=True)
    xs = [made.tokens(i) for i in range(len(made))]
    pairs = list(zip(xs, parts, strict=True))
    gathered = Sequences.from_pairs(pairs, 3, per_step=kind.per_step, weights=made.weights)
    if made.targets.size:
        assert same(gathered, made)
    again = Sequences.from_pairs(made)
    if made.targets.size:
        assert (again.kind, again.targets.tobytes(), again.weights.tobytes()) == (
            made.kind,
            made.targets.tobytes(),
            made.weights.tobytes(),
        )


def test_one_number_per_sequence_is_one_column():
    for y in ([0.5, 2.0], [[0.5], [2.0]]):
        made = Sequences([1, 0, 1], [0, 1, 3], y)
        assert made.targets.tolist() == [[0.5], [2.0]]
        assert made[1][1].tolist() == [2.0]
    assert Sequences.from_pairs([([1], 0.5), ([0, 1], 2.0)]).targets.tolist() == [[0.5], [2.0]]
    assert Sequences.from_pairs([([1], [3.0]), ([0, 1], [1, 2.0])], per_step=True).targets.tolist() == [[3], [1], [2]]


def test_the_repr_of_targets():
    kinds = {
        "a class for each step": Sequences([1, 0], [0, 2], [1, 0], per_step=True),
        "several classes at once (3) for each sequence": Sequences([1, 0], [0, 2], [[True, False, True]]),
        "numbers (1) for each step, with weights": Sequences([1, 0], [0, 2], [1.0, 0], per_step=True, weights=[1, 0]),
        "a class for each sequence, with weights": Sequences([1, 0], [0, 2], [1], weights=[True]),
    }
    for text, made in kinds.items():
        assert str(made.kind) == text
        assert repr(made) == f"Sequences(1 of tokens below 2, lengths 2 to 2, {text})"
    assert ONE_CLASS == Sequences([1, 0], [0, 2], [1]).kind


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (
            [0, 1, 1],
            {},
            "labels must be one for each of the 2 sequences, but there are 3; per_step=True takes one for each step",
        ),
        ([0.5], {}, "targets must be one for each of the 2 sequences, but there are 1"),
        ([0, 1], {"per_step": True}, "labels must be one for each of the 3 steps, but there are 2"),
        ([[0.5]] * 2, {"per_step": True}, "targets must be one for each of the 3 steps, but there are 2"),
        ([0.5, np.nan], {}, "targets must be finite float32, but there is nan at [1, 0]"),
        ([1e300, 0], {}, "targets must be finite float32, but there is inf at [0, 0]"),
        (np.zeros((2, 0)), {}, "targets must have at least one column"),
        ([0, 1], {"per_step": 1}, "per_step must be True or False, not 1"),
        ([0, 1], {"weights": [1.0]}, "weights must be one for each of the 2 sequences, but there are 1"),
        ([0, 1], {"weights": [1.0, -0.5]}, "weights must be at least 0, but there is -0.5 at [1]"),
        ([0, 1], {"weights": [1.0, np.inf]}, "weights must be finite float32, but there is inf at [1]"),
        ([0, 1], {"weights": [[1.0], [1.0]]}, "weights must be numbers of shape (N,), not float64 of shape (2, 1)"),
        ([0, 1], {"weights": ["a", "b"]}, "weights must be numbers of shape (N,), not <U1 of shape (2,)"),
    ],
)
def test_targets_and_weights_that_do_not_fit_are_refused(targets, options, message):
    with refused(message):
        Sequences([0, 1, 2], [0, 1, 3], targets, **options)


@pytest.mark.parametrize(
    ("pairs", "per_step", "message"),
    [
        (
            [([1, 0], [0, 1])],
            False,
            "the label of sequence 0 must be one integer, not an array of shape (2,); Sequences.from_pairs(pairs, "
            "per_step=True) takes one for each step",
        ),
        (
            [([1], 0), ([1], 0.5)],
            False,
            "the targets of all sequences must be of one kind, but sequence 1 has float64 of shape (1, 1) and sequence "
            "0 has int64 of shape (1,)",
        ),
        (
            [([1], [0.5, 1]), ([1], [0.5])],
            False,
            "the targets of all sequences must be of one kind, but sequence 1 has float64 of shape (1, 1) and sequence "
            "0 has float64 of shape (1, 2)",
        ),
        (
            [([], []), ([1, 1], [0])],
            True,
            "the targets of sequence 1 must be one for each of its 2 steps, not an array of shape (1,)",
        ),
        ([([1], 3)], True, "the targets of sequence 0 must be one for each of its 1 step, not an array of shape ()"),
    ],
)
def test_pairs_of_other_kinds_are_refused(pairs, per_step, message):
    with refused(message):
        Sequences.from_pairs(pairs, per_step=per_step)


class Drawing:
    """A task that draws targets of a kind."""

    dim_input, dim_output, lengths = 3, 2, (2,)

    def __init__(self, kind):
        self.kind = kind

    def sample(self, n, rng):
        return some(self.kind, [2] * n)[0]

    def sample_lengths(self, lengths, rng):
        return some(self.kind, lengths)[0]


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_functions_for_labels_refuse_other_targets(kind):
    made = some(kind, [2, 3, 1])[0]
    message = f"a class for each sequence is needed here, without weights, but these sequences have {kind}"
    model = RNN(3, 2, 2, rng=0)
    # It counts classes, one or several at once, also for models with outputs at each step.
    shape = "(T, 2)" if kind.what == SEVERAL else "(T, K) for K = 2 classes or more"
    returned = "but it returned shape (1, 2) for 2 steps"
    of_evaluate = f"the targets are {kind}, so the model must return outputs of shape {shape}, {returned}"
    for task in (made, Drawing(kind)):
        if kind.what == SEVERAL and not kind.per_step:
            assert evaluate(model, task, 3, progress=False).total.sum() == 3
        else:
            with refused(of_evaluate if kind.what in (CLASS, SEVERAL) else message):
                evaluate(model, task, engine="mygrad")
        for use in (
            lambda task: counterexamples(model, task, engine="mygrad"),
            shortcuts,
            lambda task: transfer({"one": model}, {"task": task}, engine="mygrad"),
        ):
            with refused(message):
                use(task)
    with refused(message):
        made.labels  # noqa: B018


def test_a_run_learns_labels_and_says_so_before_it_trains(monkeypatch, tmp_path):
    monkeypatch.setattr("myrnn.registry._KINDS", {part: dict(kinds(part)) for part in registry._KINDS})

    @registry.register("task", "numbers")
    class Numbers(Drawing):
        def __init__(self):
            super().__init__(KINDS[-1])

    experiment = Experiment(task="numbers", model={"dim_recurrent": 2})
    with refused(f"a class for each sequence is needed here, without weights, but these sequences have {KINDS[-1]}"):
        run(experiment, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_are_only_for_training():
    made = Sequences([1, 0], [0, 1, 2], [1, 0], weights=[0, 1])
    assert made.labels.tolist() == [1, 0]
    with pytest.raises(InvalidArgument, match=r"^a class for each sequence is needed here, without weights, but these"):
        evaluate(RNN(2, 2, 2, rng=0), made, engine="mygrad")


def test_inspection_needs_labels(in_python):
    model = RNN(3, 2, 2, rng=0)
    with pytest.raises(InvalidArgument, match=r"^a class for each sequence is needed here"):
        gradient_flow(model, some(KINDS[1], [2, 3])[0])
    with pytest.raises(InvalidArgument, match=r"^a class for each sequence is needed here"):
        build_graph(model, x=np.eye(3), y=0.5, rolled=False)
