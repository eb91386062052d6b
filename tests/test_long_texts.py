"""Long texts: outputs in parts, in little memory; checkpoints within an epoch; short texts in enough iterations."""

import tracemalloc

import numpy as np
import pytest

from marks import the_rest_is_long
from myrnn import Experiment, LanguageModel, Sequences
from myrnn.compiler import compile
from myrnn.data import flat_sequences
from myrnn.data.targets import RawTargets
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classify import Classifier
from myrnn.models import Stacked
from myrnn.runs.prepare import prepare_given
from myrnn.runs.training import trained
from myrnn.training import Checkpoint
from myrnn.training.checkpoint import load_checkpoint

K = 5


def sequences_of(lengths, is_tokens=True):
    rng, total = np.random.default_rng(0), sum(lengths)
    values = rng.integers(0, K, total) if is_tokens else rng.normal(size=(total, K))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Sequences(values, offsets, rng.integers(0, 3, total), K, per_step=True)


def outputs_of(model, sequences, engine="native"):
    found = {}
    Classifier(model, engine).in_parts(sequences, lambda place, outputs: found.setdefault(place.start, outputs))
    assert sum(map(len, found.values())) == len(sequences.targets)
    return [found[start] for start in sorted(found)]


@pytest.mark.long
@pytest.mark.parametrize(("is_tokens", "cores"), [(True, "1"), (False, "2")])
def test_the_outputs_of_parts_are_those_of_whole_sequences(is_tokens, cores, in_python, monkeypatch):
    model = Stacked(K, 8, 3, cell="gru", layers=1, per_step=True, rng=0)
    sequences = sequences_of([40, 3, 0, 4, 25, 55, 2, 60], is_tokens)
    (whole,) = outputs_of(model, sequences)
    assert np.array_equal(whole, compile(model).logits(sequences))
    monkeypatch.setenv("MYRNN_NUM_THREADS", cores)
    for name, value in {"model.SHORT": 1000, "reader.PORTION": 9000, "model.PART": 60}.items():
        monkeypatch.setattr(f"myrnn.compiler.{name}_BYTES", value)
    monkeypatch.setattr("myrnn.compiler.reader.LEAST_WORK", 1)
    parts = outputs_of(model, sequences)
    assert len(parts) > 20
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.long
def test_a_model_that_reads_backward_reads_long_sequences_whole(in_python, monkeypatch):
    model = Stacked(K, 8, 3, layers=1, bidirectional=True, per_step=True, rng=0)
    sequences = sequences_of([40, 3])
    (whole,) = outputs_of(model, sequences)
    monkeypatch.setattr("myrnn.compiler.model.SHORT_BYTES", 100)
    (again,) = outputs_of(model, sequences)
    assert np.array_equal(again, whole)
    monkeypatch.setattr("myrnn.compiler.native.machine_memory", lambda: 10**5)
    with pytest.raises(InvalidArgument, match=r"403 steps that are computed at once take about .* GB, but"):
        outputs_of(model, sequences_of([400, 3]))


@pytest.mark.long
def test_a_symbol_of_a_text_takes_some_bytes():
    # The logits of a symbol would take 360 bytes.
    rng, peaks = np.random.default_rng(0), {}
    lengths = (150_000, 300_000)
    for length in lengths:
        text = "".join(map(chr, rng.integers(33, 123, length).tolist()))
        model = LanguageModel("gru", dim_recurrent=8, max_epochs=1, random_state=0)
        for use in (model.fit, model.bits, model.report, lambda text, model=model: model.report(text.split("!"))):
            tracemalloc.start()
            use(text)
            peaks.setdefault(length, []).append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    fit, bits, report, lines = (np.array(peaks[lengths[1]]) - peaks[lengths[0]]) / 150_000
    # The lines are strings, too.
    assert max(fit, bits, report, lines - 8) < 24


def fitted(text, folder, **training):
    """Fit a small model to a text, and save checkpoints as often as possible."""
    training = {"batch_size": 2, "truncate": 8, "max_epochs": 2, "validation_fraction": 0.1, **training}
    model = {"name": "rnn", "dim_recurrent": 4}
    experiment = Experiment(data={"learn": "text"}, model=model, training=training)
    raw = flat_sequences([text], tokenize="characters")
    prepared = prepare_given(experiment, raw, RawTargets("text"))
    return trained(prepared, checkpoint=Checkpoint(folder, every=0, share=1e9))


@pytest.mark.long
def test_a_long_epoch_is_resumed_within(tmp_path, in_python, monkeypatch):
    class Killed(Exception):
        pass

    def killed(checkpoint, iteration):
        on_progressed(checkpoint, iteration)
        raise Killed

    text, on_progressed = "abcab" * 400, Checkpoint.on_progressed
    whole = fitted(text, tmp_path / "whole")
    monkeypatch.setattr(Checkpoint, "on_progressed", killed)
    with pytest.raises(Killed):
        fitted(text, tmp_path / "killed")
    done = load_checkpoint(tmp_path / "killed")
    assert done.iteration and not len(done.arrays["reports.iteration"])
    monkeypatch.setattr(Checkpoint, "on_progressed", on_progressed)
    again = fitted(text, tmp_path / "killed")
    for one, other in zip(whole.model.parameters, again.model.parameters, strict=True):
        assert one.data.tobytes() == other.data.tobytes()
    assert {name: column.tolist() for name, column in whole.history.columns.items()} == {
        name: column.tolist() for name, column in again.history.columns.items()
    }


@pytest.mark.parametrize(
    ("steps", "truncate", "batch_size", "iterations"),
    the_rest_is_long(
        [(500, 64, 32, 5), (500, 8, 32, 5), (500, 8, 4, 16), (200, 64, 32, 5), (40, 64, 32, 1)],
        (500, 8, 32, 5),
        (40, 64, 32, 1),
    ),
)
def test_an_epoch_of_a_short_text_has_several_iterations(tmp_path, steps, truncate, batch_size, iterations, in_python):
    given = {"truncate": truncate, "batch_size": batch_size, "max_epochs": 1, "validation_fraction": 0.0}
    fitted("ab" * (steps // 2) + "a", tmp_path, **given)
    assert load_checkpoint(tmp_path).iteration == iterations
