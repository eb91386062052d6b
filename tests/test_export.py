"""Networks as files: what every format knows of them, and what is refused."""

import os
import re
import sys

import mygrad as mg
import numpy as np
import onnx
import pytest

from myrnn import RNN, Experiment, LanguageModel, SequenceClassifier, SequenceForecaster, SequenceRegressor, run
from myrnn.cli import main
from myrnn.compiler import compile
from myrnn.data import Differences
from myrnn.errors import CompileError, InvalidArgument, RunError
from myrnn.exports import FORMATS, Units, export, identifier, network_of
from myrnn.runs import load_run
from run_folders import data_run, task_run
from sweeps_help import LEAKY

pytestmark = pytest.mark.usefixtures("in_python")


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    return task_run(tmp_path_factory.mktemp("runs") / "halves")


def small(estimator, **settings):
    return estimator(cell="rnn", dim_recurrent=4, max_epochs=1, random_state=0, **settings)


# What is known of a network -------------------------------------------------------------------------------------------


def test_a_model_alone():
    model = RNN(4, 3, 2, rng=0)
    for source in (model, compile(model, check=False)):
        network = network_of(source)
        assert (network.title, network.dim_input, network.dim_output, network.per_step) == ("RNN", 4, 2, False)
        assert (network.targets, network.classes, network.symbols) == ("a class", ("class 0", "class 1"), None)
        assert network.names[0] == "fc_x2h.weight"
        assert all(np.array_equal(one, p.data) for one, p in zip(network.weights, model.parameters, strict=True))
        assert network.equations == str(compile(model, check=False))
    assert network_of(RNN(4, 3, 1, rng=0)).targets == "numbers"


def test_a_run_and_its_folder(halves):
    for source in (halves, str(halves), load_run(halves)):
        network = network_of(source)
        assert (network.title, network.symbols) == ("RNN on twin-halves", tuple("01234"))
        assert (network.classes, network.predicts_next_input) == (("no match", "match"), False)


def test_a_run_of_an_own_class(tmp_path, monkeypatch):
    """The class has no other attributes than those that a model must have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_cell.py").write_text(LEAKY)
    trained = run(
        Experiment("twin-halves:pattern_length_max=2,alphabet_size=4", "my_cell.py:Leaky:dim_recurrent=3")
        .with_training(iterations=2, engine="mygrad")
        .with_evaluation(samples=20)
    )
    network = network_of(trained)
    assert (network.title, network.symbols) == ("Leaky on twin-halves", tuple("0123"))
    for ending in FORMATS:
        assert b"Leaky" in export(trained, tmp_path / f"net{ending}").read_bytes()


def test_halves_of_surrogate_pairs_in_names_are_escaped(tmp_path, monkeypatch):
    """UTF-8 has no such characters."""
    half = "\udc80"
    model = Changing()
    vars(model)[f"w{half}"] = vars(model).pop("w")
    monkeypatch.setattr(Changing, "w", property(lambda self: self.parameters[0]), raising=False)
    compiled = compile(model, dim_input=2, check=False)
    assert network_of(compiled).names == ("w\\udc80",)
    for ending in FORMATS:
        assert b"w\\udc80" in export(compiled, tmp_path / f"net{ending}").read_bytes()
    labelled = small(SequenceClassifier).fit(["ab", "ba"] * 4, [half, "b"] * 4)
    for ending in FORMATS:
        export(labelled, tmp_path / f"labelled{ending}")


def test_a_run_on_data(tmp_path):
    network = network_of(data_run(tmp_path / "run"))
    assert (network.title, network.classes) == ("RNN on data", ("neg", "pos"))
    assert network.symbols == ("<unknown>", "a", "bad", "film", "fine", "good")


def test_estimators():
    text = network_of(small(LanguageModel).fit(["abcabc"] * 5))
    assert (text.predicts_next_input, text.per_step) == (True, True)
    assert text.symbols == text.classes == ("\ufffd", "a", "b", "c")
    wave = np.sin(np.arange(100) / 5)
    series = network_of(small(SequenceForecaster, difference=1, truncate=None, validation_fraction=0).fit(wave))
    changes = np.diff(wave)
    assert series.inputs == series.outputs == Units((pytest.approx(changes.mean()),), (pytest.approx(changes.std()),))
    assert (series.targets, series.predicts_next_input, series.differences) == ("numbers", True, Differences(1))
    rows = [np.arange(6.0).reshape(3, 2), np.ones((2, 2))]
    numbers = network_of(small(SequenceRegressor).fit(rows, [1.0, 3.0]))
    assert (numbers.targets, numbers.classes, numbers.outputs) == ("numbers", (), Units((2.0,), (1.0,)))
    assert (numbers.dim_input, numbers.inputs.mean) == (2, (8 / 5, 11 / 5))


class Changing:
    """Computes something else when `twice` is set."""

    def __init__(self):
        self.w, self.twice = mg.tensor(np.eye(2, dtype=np.float32)), False
        self.parameters = (self.w,)

    def __call__(self, x):
        h = np.zeros((1, 2), dtype=np.float32)
        for x_t in x:
            h = x_t[np.newaxis] + (2 * h if self.twice else h) @ self.w
        return h


class Looking(Changing):
    """Looks at its numbers."""

    def __call__(self, x):
        h = super().__call__(x)
        return h if np.all(h.data < 1e9) else h * 2


def test_a_model_that_changes_or_looks_at_numbers_is_refused():
    model = Changing()
    compiled = compile(model, dim_input=2, check=False)
    model.twice = True
    with pytest.raises(CompileError, match=r"^on a sequence of \d+ steps the model does not compute what was compiled"):
        network_of(compiled)
    with pytest.raises(CompileError, match="takes numbers out of its tensors"):
        network_of(compile(Looking(), dim_input=2, check=False))


def test_weights_that_are_not_finite_are_refused():
    model = RNN(4, 3, 2, rng=0)
    model.fc_h2h.weight.data[1, 1] = np.inf
    with pytest.raises(InvalidArgument, match=r"^the weights must be finite to export them, but fc_h2h.weight holds"):
        network_of(model)


# The file -------------------------------------------------------------------------------------------------------------


def test_a_file(tmp_path):
    path = export(RNN(4, 3, 2, rng=0), tmp_path / "2 nets.onnx")
    assert path == tmp_path / "2 nets.onnx" and os.listdir(tmp_path) == ["2 nets.onnx"]
    assert onnx.load(path).graph.name == "net_2_nets"
    assert onnx.load(path).graph.input[0].name == "x"
    export(RNN(4, 3, 2, rng=0), path, tokens=True, batched=True, name="mine", overwrite=True)
    (given,) = onnx.load(path).graph.input
    assert (given.name, [one.dim_param for one in given.type.tensor_type.shape.dim]) == ("tokens", ["N", "T"])
    assert onnx.load(path).graph.name == "mine"


def test_what_learned_from_symbols_reads_tokens(halves, tmp_path):
    for tokens, name in ((None, "tokens"), (True, "tokens"), (False, "x")):
        path = export(halves, tmp_path / "net.onnx", tokens=tokens, overwrite=True)
        assert onnx.load(path).graph.input[0].name == name


def test_a_module_has_either_ending(tmp_path):
    one, other = (export(RNN(4, 3, 2, rng=0), tmp_path / name) for name in ("net.js", "net.mjs"))
    assert one.read_bytes() == other.read_bytes() and b"export function step(" in one.read_bytes()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("net", "net"),
        ("my-net 2", "my_net_2"),
        ("2nets", "net_2nets"),
        ("größe", "gr__e"),
        ("_x__", "x"),
        ("-1", "net_1"),
        ("", "net"),
        ("ü", "net"),
        ("_", "net"),
        ("class", "net_class"),
    ],
)
def test_names_become_identifiers(name, found):
    assert identifier(name) == found


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"path": "net.tflite"}, InvalidArgument, "the name of the file must end in one of .onnx"),
        ({"path": "net"}, InvalidArgument, "the name of the file must end in one of .onnx"),
        ({"path": "there/net.onnx"}, InvalidArgument, "must lie in a folder that exists, but there does not"),
        ({"path": "old.onnx"}, InvalidArgument, "old.onnx exists: overwrite=True replaces it"),
        ({"training": True}, InvalidArgument, "training is for .c, .js, .mjs files, not for .onnx"),
        ({"path": "net.js", "batched": True}, InvalidArgument, "batched is for .onnx files, not for .js"),
        ({"path": "net.js", "name": "net"}, InvalidArgument, "name is for .onnx, .c files, not for .js"),
        ({"path": "net.mjs", "name": ""}, InvalidArgument, "name is for .onnx, .c files, not for .mjs"),
        ({"path": "net.html", "name": "net"}, InvalidArgument, "name is for .onnx, .c files, not for .html"),
        ({"path": None}, InvalidArgument, "path must be a path, not None"),
        ({"path": 5}, InvalidArgument, "path must be a path, not 5"),
        ({"path": b"net.c"}, InvalidArgument, "path must be a path, not b'net.c'"),
        ({"path": "a\0.c"}, InvalidArgument, r"path must be a path without null characters, not 'a\x00.c'"),
        ({"path": "n" * 300 + ".c"}, RunError, ".c: File name too long"),
        ({"name": 5}, InvalidArgument, "name must be text, not 5"),
        ({"name": b"x"}, InvalidArgument, "name must be text, not b'x'"),
        ({"overwrite": "no"}, InvalidArgument, "overwrite must be True or False, not 'no'"),
        ({"training": "no"}, InvalidArgument, "training must be True or False, not 'no'"),
        ({"tokens": "yes"}, InvalidArgument, "tokens must be True or False, not 'yes'"),
        ({"batched": 1}, InvalidArgument, "batched must be True or False, not 1"),
        ({"source": 3}, InvalidArgument, "source must be a model with `parameters`, a run or its folder, or a fitted"),
        ({"source": SequenceClassifier()}, ValueError, "not fitted yet"),
        ({"source": "nowhere"}, RunError, "there is no run folder nowhere"),
        (
            {"tokens": True, "source": "series"},
            InvalidArgument,
            "tokens=True is for networks that read symbols, but",
        ),
    ],
)
def test_bad_arguments(arguments, kind, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.onnx").write_text("old")
    given = {"source": RNN(4, 3, 2, rng=0), "path": "net.onnx", **arguments}
    if given["source"] == "series":
        given["source"] = small(SequenceRegressor).fit([[1.0, 2.0], [3.0]], [0.0, 1.0])
    with pytest.raises(kind, match=re.escape(message)) as caught:
        export(**given)
    assert len(str(caught.value).splitlines()) == 1
    assert (tmp_path / "old.onnx").read_text() == "old" and os.listdir(tmp_path) == ["old.onnx"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(RunError, match=r"^cannot write .*net.onnx: No space left on device$"):
        export(RNN(4, 3, 2, rng=0), tmp_path / "net.onnx")
    assert os.listdir(tmp_path) == []


def test_without_the_package(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("myrnn.exports.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        InvalidArgument, match=r"^\.onnx files need onnx: pip install '\.\[export\]' in the folder of MyRNN$"
    ):
        export(RNN(4, 3, 2, rng=0), tmp_path / "net.onnx")


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command(halves, tmp_path, capsys):
    path = tmp_path / "net.onnx"
    assert main(["export", str(halves), str(path), "--features", "--batched", "--name", "halves"]) == 0
    assert capsys.readouterr().out == f"network     {path}\n"
    assert (onnx.load(path).graph.name, onnx.load(path).graph.input[0].name) == ("halves", "x")
    for options, message in (
        ([], f"{path} exists: --force replaces it"),
        (["--force", "--training"], "--training is for "),
    ):
        assert main(["export", str(halves), str(path), *options]) == 2
        assert capsys.readouterr().err.startswith(f"myrnn: {message}")
    assert main(["export", str(halves), str(path), "--force"]) == 0
    assert onnx.load(path).graph.input[0].name == "tokens"
