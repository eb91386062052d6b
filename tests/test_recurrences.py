"""The corpus of recurrent models: each runs in MyGrad, compiles or is refused as expected, and is right if compiled.

This holds for whole sequences and for pieces of one.
"""

import numpy as np
import pytest
from mygrad.nnet.losses import softmax_crossentropy

from exported import TOLERANCE, largest_difference
from marks import the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import CompileError, MyRNNError
from recurrences import ALL, C, K
from recurrences.oracle import by_differences, difference, disagreement
from recurrences.randomly import examined
from recurrences.truncated import by_hand

pytestmark = pytest.mark.usefixtures("gru_in_python")

LENGTHS = (1, 2, 5, 9, 17)
# One sequence at a time, and batches with equal and with different lengths.
GROUPS = ([1], [21], [4, 4, 4], [5, 11, 1, 2])
# The lengths at which exported models are compared.
EXPORTED = (1, 2, 7, 50)
# The number of sequences that must give every parameter a nonzero gradient.
LONG = (5, 9, 17)
# Compiling takes up to a few seconds, so most models of each group are long tests.
SHORT = {"Elman", "ThinProduct", "CarriedProjection"}
DIFFERENCES = ("LEM", "SLSTM", "Mamba", "DeltaNet", "NeuralTuringMachine", "StackRNN", "MeanPooling", "TimeAwareLSTM")

by_name = {entry.name: entry for entry in ALL}
# Machine code takes seconds; the programs of the others run in Python.
NATIVE = [entry for i, entry in enumerate(e for e in ALL if e.compiles) if i % 16 == 0 or entry.name == "CTRNN"]


def each(entries, short):
    """One case for each model; most are long."""
    marks = [() if entry.name in short else pytest.mark.long for entry in entries]
    return [pytest.param(entry, id=f"{entry.group}-{entry}", marks=m) for entry, m in zip(entries, marks, strict=True)]


def drawn(entry, length):
    rng = np.random.default_rng(length)
    labels = rng.integers(0, K, length if entry.outputs == "steps" else 1)
    return rng.normal(size=(length, C)).astype(np.float32), labels


def test_there_are_many_models_and_each_names_its_source():
    assert len(ALL) >= 250
    assert all(entry.source and entry.make.__doc__ for entry in ALL)
    assert {entry.outputs for entry in ALL} == {"last", "steps"}
    assert SHORT | {*DIFFERENCES} <= set(by_name)


@pytest.mark.parametrize("entry", each(ALL, SHORT | {*DIFFERENCES}))
def test_it_runs_in_mygrad(entry):
    model = entry.made()
    assert all(parameter.dtype == np.float32 for parameter in model.parameters)
    largest = np.zeros(len(model.parameters))
    for length in LENGTHS:
        x, labels = drawn(entry, length)
        logits = model(x)
        assert logits.shape == (len(labels), K) and np.isfinite(logits.data).all()
        softmax_crossentropy(logits, labels).backward()
        for i, parameter in enumerate(model.parameters):
            assert length < entry.complete or parameter.grad is not None, f"no gradient of parameter {i}"
            if parameter.grad is not None:
                assert parameter.grad.shape == parameter.shape and np.isfinite(parameter.grad).all()
                largest[i] = max(largest[i], np.abs(parameter.grad).max()) if length in LONG else largest[i]
            parameter.null_grad()
    assert (largest > 0).all(), f"nothing depends on some of the parameters: {largest}"


def compiled_or_refused(entry):
    try:
        compiled = compile(entry.made(), max_length=min(20, entry.largest), dim_input=C, check=False)
    except MyRNNError as error:
        assert not entry.compiles, f"{entry} is expected to compile, but: {error}"
        return None
    assert entry.compiles, f"{entry} is expected to be refused, but it compiles; compare it and say so in the corpus"
    return compiled


# Models whose loops cannot be changed as by hand, by the reason.
OTHERWISE = {
    "the first steps differ, and weights are used before the loop": {"HoltTrend", "TensorChain"},
    "it goes on after the last row, or reads one row ahead": {"StartAndEndTokens", "PaddedWindows"},
    "it has no loop statement": {"Fold", "FoldOfEmbeddings", "Scan", "Recursive", "MyGradGRU"},
    "all steps are convolved at once": {"RealGatedLRU", "ConvolutionFirst", "MyGradConvolution"},
    "all states are read at the end": {"SmoothMax"},
    "it takes every second or third row, counted from the first": {"TwoRowsByIndex", "TwoRowsZipped", "EveryThirdRow"},
}


def changed(model):
    rng = np.random.default_rng(1)
    for parameter in model.parameters:
        parameter.data = np.asarray(parameter.data + 0.3 * rng.normal(size=parameter.shape), np.float32)


def alike(ones, others):
    return all(
        np.allclose(np.ravel(one), np.ravel(other), rtol=1e-4, atol=1e-5)
        for one, other in zip(ones, others, strict=True)
    )


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("entry", each(ALL, SHORT))
def test_it_compiles_or_is_refused_as_expected(entry):
    compiled = compiled_or_refused(entry)
    if not compiled:
        return
    assert disagreement(compiled, GROUPS) is None
    assert largest_difference(compiled, [length for length in EXPORTED if length <= entry.largest]) < TOLERANCE
    x = np.random.default_rng(0).normal(size=(16, C)).astype(np.float32)
    try:
        start = compiled.start()
    except CompileError as error:
        assert str(error).startswith("the states of the model cannot be carried from one piece of a sequence to the ")
        return
    # Read in pieces it gives the same.
    outputs, state = [], start
    for piece in (x[:5], x[5], x[6:12]):
        state, logits = compiled.step(state, piece)
        outputs.append(logits.reshape(-1, logits.shape[-1]))
    found = np.concatenate(outputs) if compiled.per_step else outputs[-1]
    np.testing.assert_allclose(found, compiled(x[:12]), rtol=1e-3, atol=1e-4)
    # It carries what a loop written by hand carries: after a change of the weights, a product with an old weight is not
    # what the model's variables make of it.
    state, first = compiled.step(start, x[:7])
    changed(compiled.model)
    found = first, compiled.step(state, x[7:])[1]
    assert any(alike(found, others) for others in by_hand(entry, x, 7, changed)) != any(
        entry.name in names for names in OTHERWISE.values()
    )


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", ["FiringRates", "ReadsWhatIsSentOn"])
def test_what_the_next_step_and_the_output_compute_of_a_state_is_no_state(name):
    compiled = compile(by_name[name].made())
    assert compiled.recurrence.goes_backward == (False,)
    assert compiled.start().names == compiled.state_names


@pytest.mark.long
@pytest.mark.parametrize("entry", each(NATIVE, ()))
def test_machine_code_is_right(entry):
    assert disagreement(compiled_or_refused(entry), GROUPS) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", the_rest_is_long(DIFFERENCES, "MeanPooling"))
def test_gradients_agree_with_central_differences(name):
    entry = by_name[name]
    x, label = drawn(entry, 6)
    loss, gradients = compiled_or_refused(entry).loss_and_gradients(x, label)
    assert difference((loss, gradients), (loss, by_differences(entry.made(), x, label)), 5e-4) is None


# Every manner to write a model occurs.
@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "seeds",
    the_rest_is_long([range(3, 4), *(range(first, first + 8) for first in (4, 12, 20, 28, 60))], range(3, 4)),
)
def test_random_models_are_refused_or_right(seeds):
    for seed in seeds:
        model, told = examined(seed)
        assert not told.startswith("WRONG"), f"seed {seed} is {told}\n{model.source}"
