"""Losses as graphs: they agree with MyGrad for classes and numbers, and other functions are refused."""

import re

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import logsoftmax, softmax

from marks import named
from myrnn.compiler.derive import differentiate_loss
from myrnn.compiler.graph import Builder, check, evaluate
from myrnn.compiler.leaves import OUTPUTS, TARGET, Gradient, Outputs, Target
from myrnn.compiler.loss import MOST_CLASSES, trace_loss
from myrnn.errors import CompileError, InvalidArgument
from myrnn.losses import losses_of
from myrnn.targets import CLASS, NUMBERS, SEVERAL, TargetKind
from targets_help import gaussian, smoothed

CLASSES, NUMBER = TargetKind(CLASS), TargetKind(NUMBERS, columns=2)
WEIGHTS = np.array([0, 1, 2.5, 1], dtype=np.float32)


def own(targets):
    return np.arange(len(targets)), targets


def focal(outputs, targets):
    share = softmax(outputs)[own(targets)]
    return -WEIGHTS[targets] * (1 - share) ** 2 * mg.log(share)


def brier(outputs, targets):
    return ((softmax(outputs) - np.eye(outputs.shape[1])[targets]) ** 2).sum(axis=1)


def hinge(outputs, targets):
    right = outputs[own(targets)].reshape(-1, 1)
    return mg.maximum(0.0, 1 + outputs - right).sum(axis=1) - 1


def earth_mover(outputs, targets):
    classes = outputs.shape[1]
    below = mg.cumsum(softmax(outputs), axis=1)
    return ((below - (np.arange(classes) >= targets[:, np.newaxis])) ** 2).sum(axis=1)


def neighbours(outputs, targets):
    """Takes several numbers for each class."""
    log, (rows, classes) = logsoftmax(outputs), own(targets)
    around = np.stack([classes, (classes + 1) % outputs.shape[1]], axis=1)
    return -(log[rows[:, np.newaxis], around] * np.array([0.8, 0.2])).sum(axis=1)


def zero_is_other(outputs, targets):
    return mg.where(targets == 0, (outputs**2).sum(axis=1), (mg.exp(outputs)).sum(axis=1))


def quantile(outputs, targets):
    off = targets - outputs
    return mg.maximum(0.3 * off, -0.7 * off).mean(axis=1)


def log_cosh(outputs, targets):
    return mg.log(mg.cosh(outputs - np.log1p(np.abs(targets)))).mean(axis=1)


def regardless(outputs, targets):
    return (outputs**2).sum(axis=1)


OF_CLASSES = ["cross-entropy", smoothed, focal, brier, hinge, earth_mover, neighbours, zero_is_other, regardless]
OF_NUMBERS = ["mean-squared-error", "huber", quantile, log_cosh, regardless, gaussian]


def targets_for(kind, outputs, count=40):
    rng = np.random.default_rng(5)
    if kind.what == CLASS:
        return rng.integers(0, outputs, count)
    return rng.random((count, outputs)) < 0.5 if kind.what == SEVERAL else 2 * rng.normal(size=(count, outputs))


@pytest.mark.parametrize(
    ("loss", "kind", "outputs"),
    [
        *((loss, CLASSES, 4) for loss in OF_CLASSES),
        *((loss, TargetKind(NUMBERS, columns=2), 2) for loss in OF_NUMBERS),
        *((loss, TargetKind(NUMBERS, columns=1), 1) for loss in OF_NUMBERS if loss is not gaussian),
        *((loss, TargetKind(SEVERAL, columns=3), 3) for loss in ("sigmoid-cross-entropy", quantile)),
        (smoothed, CLASSES, MOST_CLASSES),
    ],
    ids=named,
)
def test_loss_and_gradient_are_those_of_mygrad(loss, kind, outputs):
    targets = targets_for(kind, outputs)
    graph = trace_loss(loss, kind, outputs, targets)
    build = Builder(simplify=True)
    value, gradient = differentiate_loss(graph, build)
    check([value, gradient], [Outputs, Target, Gradient])
    given = mg.tensor(np.random.default_rng(1).normal(size=(len(targets), outputs)))
    losses = losses_of(loss, given, targets)
    losses.sum().backward()
    numbers = targets.astype(np.float64) if graph.table is None else graph.table[targets]
    for i, row in enumerate(numbers):
        known = {build.leaf(OUTPUTS, outputs): given.data[i], build.leaf(Gradient("loss"), 1): np.ones(1)}
        known[build.leaf(TARGET, len(row))] = row
        found = evaluate([value, gradient], known, np.float64)
        np.testing.assert_allclose(found[0], losses.data[i], rtol=1e-6)
        np.testing.assert_allclose(found[1], given.grad[i], rtol=1e-5, atol=1e-7)


def test_a_loss_of_weight_0_has_no_gradient_even_if_it_is_not_finite():
    graph = trace_loss("mean-squared-error", TargetKind(NUMBERS, columns=2), 2, np.ones((3, 2)))
    build = Builder(simplify=True)
    _, gradient = differentiate_loss(graph, build)
    known = {build.leaf(OUTPUTS, 2): np.full(2, np.inf), build.leaf(TARGET, 2): np.ones(2)}
    known[build.leaf(Gradient("loss"), 1)] = np.zeros(1)
    with np.errstate(invalid="ignore"):
        assert evaluate([gradient], known)[0].tolist() == [0, 0]


def test_equal_losses_are_equal():
    kind = TargetKind(NUMBERS, columns=2)
    made = [lambda o, t, n=n: ((o - t) ** 2).mean(axis=1) * n for n in (2.0, 2.0, 3.0)]
    one, same, other = (trace_loss(loss, kind, 2, np.ones((3, 2))) for loss in made)
    assert one == same and hash(one) == hash(same) and one != other
    tables = [trace_loss(lambda o, t, w=w: o[own(t)] * w[t], CLASSES, 4, np.arange(4)) for w in (WEIGHTS, 1 - WEIGHTS)]
    assert tables[0] != tables[1]


def test_numbers_that_differ_between_classes_become_a_row():
    graph = trace_loss(focal, CLASSES, 4, np.arange(4))
    np.testing.assert_array_equal(graph.table, np.column_stack([-WEIGHTS, np.eye(4)]))
    assert trace_loss(regardless, CLASSES, 4, np.arange(4)).table.shape == (4, 0)
    # A row for both places that use the class.
    twice = trace_loss(lambda o, t: o[own(t)] + mg.exp(o)[own(t)], CLASSES, 3, np.arange(3))
    np.testing.assert_array_equal(twice.table, np.eye(3))


def test_a_loss_that_changes_is_detected():
    factor = [2.0]
    graphs = [
        # The bound is larger than any of these losses.
        trace_loss(lambda o, t: mg.minimum((o - t) ** 2, 1e6 * factor[0]).mean(axis=1), NUMBER, 2, np.ones((3, 2))),
        trace_loss(lambda o, t: ((o - t) ** 2).mean(axis=1) * factor[0], NUMBER, 2, np.ones((3, 2))),
        trace_loss(lambda o, t: (o * WEIGHTS[t].reshape(-1, 1)).sum(axis=1) * factor[0], CLASSES, 4, np.zeros(3, int)),
        trace_loss(
            lambda o, t: (o + (factor[0] - 2) * (t == 3).reshape(-1, 1)).sum(axis=1), CLASSES, 4, np.zeros(3, int)
        ),
        trace_loss(lambda o, t: mg.max(mg.abs(o - t), axis=1) * factor[0], NUMBER, 2, np.ones((3, 2))),
    ]
    assert [graph.has_changed() for graph in graphs] == [False] * 5
    factor[0] = 3.0
    assert [graph.has_changed() for graph in graphs] == [True] * 5
    factor.clear()
    assert [graph.has_changed() for graph in graphs] == [True] * 5


counted = [0]


def counting(outputs, targets):
    counted[0] += 1
    return (outputs**2).sum(axis=1) * counted[0]


def random(outputs, targets):
    return (outputs * np.random.default_rng().normal(size=outputs.shape)).sum(axis=1)


def centred(outputs, targets):
    return ((outputs - outputs.mean(axis=0)) ** 2).sum(axis=1)


def looking(outputs, targets):
    return (outputs**2).sum(axis=1) * float(outputs.data.max() > -1000)


def comparing(outputs, targets):
    return ((outputs - targets) ** 2 * (targets > 0)).sum(axis=1)


def by_class(outputs, targets):
    return mg.stack([(mg.exp(o) if t == 1 else o**2).sum() for o, t in zip(outputs, targets, strict=True)])


def cut_off(outputs, targets):
    return mg.tensor(outputs.data**2).sum(axis=1)


def failing(outputs, targets):
    return {}[len(targets)]


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        (counting, NUMBER, "the loss of a row depends on other rows"),
        (random, NUMBER, "the loss of a row depends on other rows"),
        (centred, NUMBER, "the loss of a row depends on other rows"),
        (looking, NUMBER, "it inspects numbers of its outputs or targets, and may behave differently for others:"),
        (comparing, NUMBER, "it inspects numbers of its outputs or targets, and may behave differently for others:"),
        (by_class, CLASSES, "for class 1 it computes something different than for class 0"),
        (cut_off, NUMBER, "it inspects numbers of its outputs or targets, and may behave differently for others:"),
        (failing, NUMBER, "it fails: KeyError: 1, in "),
    ],
)
def test_a_loss_that_is_not_a_function_of_its_row_is_refused(loss, kind, message):
    with pytest.raises(CompileError) as caught:
        trace_loss(loss, kind, 2, targets_for(kind, 2))
    assert str(caught.value).startswith(f"the loss {loss.__qualname__!r} has no native form: {message}")


def test_a_loss_is_traced_for_dozens_of_classes():
    message = f"the loss 'smoothed' has no native form: it is traced for every class, for {MOST_CLASSES} at most"
    with pytest.raises(CompileError, match=f"^{re.escape(message)}$"):
        trace_loss(smoothed, CLASSES, MOST_CLASSES + 1, np.arange(4))


def test_a_loss_must_not_read_the_parameters_of_the_model():
    parameter = mg.tensor(np.ones((1, 2), np.float32))
    with pytest.raises(CompileError, match=r"it reads a parameter of the model: only the model and a penalty may$"):
        trace_loss(lambda o, t: ((o - t) ** 2 * parameter).sum(axis=1), NUMBER, 2, np.ones((3, 2)), [parameter])


def test_a_loss_must_return_a_number_for_each_row():
    with pytest.raises(InvalidArgument, match=r"must return a tensor of shape \(N,\)"):
        trace_loss(lambda o, t: (o - t) ** 2, NUMBER, 2, np.ones((3, 2)))
