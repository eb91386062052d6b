"""A run of a user-defined class: it is found by the hash of its file if the user named it, another class is refused."""

import hashlib
import importlib.util
import json
import os
import pickle
import py_compile
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

import myrnn
from myrnn import Experiment
from myrnn.cli import main
from myrnn.errors import InvalidArgument, RunError
from myrnn.models import RNN
from myrnn.models.own import load_own
from myrnn.optimizers import Adam
from myrnn.runs import load_run, save_run
from myrnn.runs.folder import load_job
from myrnn.storage import seal
from myrnn.tasks import TwinHalves
from myrnn.training import train
from names import CELLS

pytestmark = pytest.mark.usefixtures("in_python")

TASK = TwinHalves(pattern_length_max=3, alphabet_size=5)

SOURCE = """import mygrad as mg

import numpy as np
from myrnn import dense


class Mine:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = mg.FUNCTION(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters
"""


def class_with(function):
    """Return the class of the source with this activation."""
    space = {}
    exec(SOURCE.replace("FUNCTION", function), space)
    return space["Mine"]


Mine, Other = class_with("tanh"), class_with("sinh")


def refused(message, kind=InvalidArgument):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def contents(model):
    return [parameter.data.tobytes() for parameter in model.parameters]


def saved(folder, model):
    optimizer = Adam(model.parameters)
    history = train(model, TASK, optimizer, iterations=20, report_every=10, engine="mygrad")
    return save_run(folder, task=TASK, model=model, optimizer=optimizer, history=history)


@pytest.fixture
def run(tmp_path):
    model = Mine(5, 4, 2)
    return saved(tmp_path / "run", model), model


def sized(model, dim_recurrent=4):
    model.dim_recurrent = dim_recurrent
    return model


# --- the library


def test_only_the_name_of_the_class_is_stored(run):
    folder, _ = run
    described = json.loads((folder / "settings.json").read_text())["model"]
    logits = described.pop("logits")
    assert described == {"name": "own", "class": "Mine", "dim_input": 5, "dim_recurrent": None, "dim_output": 2}
    assert np.shape(logits) == (2, 2)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".csv", ".safetensors", ".svg", ".png"}


def test_a_model_gets_its_weights_back(run):
    folder, model = run
    other = Mine(5, 4, 2)
    loaded = load_run(folder, model=other)
    assert loaded.model is other
    assert contents(other) == contents(model)
    assert loaded.task == TASK
    assert loaded.history.iteration.tolist() == [10, 20]


@pytest.mark.parametrize("make", [Mine, lambda *sizes: Mine(*sizes)], ids=["class", "function"])
def test_a_class_creates_the_model_if_its_size_is_known(tmp_path, make):
    model = sized(Mine(5, 4, 2))
    folder = saved(tmp_path / "run", model)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert contents(load_run(folder, model=make).model) == contents(model)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_without_the_class_there_is_no_model(run):
    folder, _ = run
    with refused(
        f"{folder}: its model is of the class Mine, and it holds only the weights: give the class, "
        "with model=Mine or --model FILE.py:Mine"
    ):
        load_run(folder)
    with refused(f"{folder}: it does not know how many units its Mine has: give a model, as model=Mine(...)"):
        load_run(folder, model=Mine)


def test_a_class_with_other_parameters_is_refused(run):
    class Wider:
        def __init__(self):
            self.wide = RNN(5, 9, 2)
            self.parameters = self.wide.parameters

        def __call__(self, x):
            return self.wide(x)

    folder, _ = run
    with pytest.raises(InvalidArgument, match=r": the run was trained with the class Mine, not Wider$"):
        load_run(folder, model=Wider())


def test_a_class_with_other_outputs_is_refused(run):
    folder, _ = run
    with refused(f"{folder}: the model is not the Mine that was saved: with the same weights it gives other logits"):
        load_run(folder, model=Other(5, 4, 2))


def test_a_model_of_another_size_is_refused(run):
    folder, _ = run
    with refused(
        f"{folder}: model.safetensors has 'fc_x2h.weight' as float32 of shape (5, 4), not float32 of shape (5, 6)",
        RunError,
    ):
        load_run(folder, model=Mine(5, 6, 2))


def test_an_invalid_model_is_refused(tmp_path):
    folder = saved(tmp_path / "run", sized(Mine(5, 4, 2)))
    with pytest.raises(InvalidArgument, match=re.escape(f"{folder}: <lambda>(5, 4, 2) fails: TypeError: no, in ")):

        def fail(*sizes):
            raise TypeError("no")

        fail.__name__ = "<lambda>"
        load_run(folder, model=fail)
    with refused(f"{folder}: model must have `parameters` and be callable on one sequence, which int is not"):
        load_run(folder, model=lambda *sizes: 3)


def test_a_library_model_needs_no_class(tmp_path):
    folder = saved(tmp_path / "run", RNN(5, 4, 2, rng=0))
    with refused(f"{folder}: its model is the built-in rnn: leave out the model class"):
        load_run(folder, model=Mine)


class Random(Mine):
    """Gives another answer at every call."""

    def __call__(self, x):
        return super().__call__(x) + np.random.default_rng().normal()


def test_a_random_model_is_not_compared(tmp_path):
    folder = saved(tmp_path / "run", Random(5, 4, 2))
    assert json.loads((folder / "settings.json").read_text())["model"]["logits"] is None
    load_run(folder, model=Random(5, 4, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": 1}, "class must be the name of a class, not 1"),
        ({"class": "a b"}, "class must be the name of a class, not 'a b'"),
        ({"dim_input": 0}, "dim_input must be at least 1, not 0"),
        ({"dim_recurrent": "4"}, "dim_recurrent must be an integer, not '4'"),
        ({"dim_input": 6}, "the model has 6 inputs and 2 classes, the task 5 and 2"),
        ({"logits": [[1, 2]]}, "logits must be numbers, 2 rows of 2"),
        ({"logits": [["a", "b"]] * 2}, "logits must be numbers, 2 rows of 2"),
        ({"logits": [[1], [1, 2]]}, "logits must be an array, but its items differ in shape"),
        ({"code": "import os"}, "model own has no setting 'code'"),
        ({"logits": ...}, "model own needs 'logits'"),
    ],
)
def test_invalid_settings_of_a_model(run, change, message):
    folder, model = run
    index = json.loads((folder / "settings.json").read_text())
    changed = {**index["model"], **change}
    index["model"] = {name: value for name, value in changed.items() if value is not ...}
    (folder / "settings.json").write_text(json.dumps(seal(index)))
    with refused(f"{folder}: settings.json cannot be used: {message}", RunError):
        load_run(folder, model=model)


# --- the command line

SMALL = (
    *(
        "--quiet",
        "--task=twin-halves:pattern_length_max=2",
        "--dim-recurrent=4",
        "--iterations=40",
        "--report-every=10",
    ),
    *("--samples=40", "--engine=mygrad"),
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("mine.py").write_text(SOURCE.replace("FUNCTION", "tanh"))
    Path("other.py").write_text(SOURCE.replace("FUNCTION", "sinh"))
    return tmp_path


def test_a_class_in_a_file_is_trained(here, capsys):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 0
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=again"]) == 0
    assert Path("run/model.safetensors").read_bytes() == Path("again/model.safetensors").read_bytes()
    run = load_run("run", model=Mine)
    assert run.experiment.model.settings.dim_recurrent == 4
    assert "Mine" in json.loads(Path("run/settings.json").read_text())["model"]["class"]


def test_a_run_of_a_class_is_resumed_with_it(here, capsys):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=whole"]) == 0
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run", "--iterations=20"]) == 0
    capsys.readouterr()
    assert main(["train", "--quiet", "--resume=run", "--iterations=40", "--model=other.py:Mine"]) == 2
    assert capsys.readouterr().err == (
        "myrnn: run: the model is not the Mine that was saved: with the same weights it gives other logits\n"
    )
    assert main(["train", "--resume=run", "--iterations=40"]) == 0
    assert "\nmodel       Mine, 4 units, " in capsys.readouterr().out
    for name in ("model.safetensors", "history.csv"):
        assert Path("run", name).read_bytes() == Path("whole", name).read_bytes()


@pytest.mark.usefixtures("in_python")
def test_every_command_accepts_the_class(here, capsys):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 0
    assert main(["train", *SMALL, "--out=rnn"]) == 0
    own = "--model=mine.py:Mine"
    assert main(["evaluate", "run", own, "--samples=40", "--engine=mygrad", "--out=table.csv", "--quiet"]) == 0
    assert Path("table.csv").read_bytes() == Path("run/accuracy_by_length.csv").read_bytes()
    for line in (
        ["predict", "run", "11", own],
        ["graph", "run", "--sequence=11", own],
        ["inspect", "run", "1212", "--samples=20", own],
        ["plot", "run", "rnn"],
    ):
        assert main(line) == 0, line
    capsys.readouterr()
    assert main(["runs", "."]) == 0
    assert "Mine 4" in capsys.readouterr().out
    assert main(["predict", "rnn", "11", own]) == 2
    assert capsys.readouterr().err == ("myrnn: rnn: its model is the built-in rnn: leave out the model class\n")


OFFERED = (
    "myrnn: run: its model is of the class Mine, and it holds only the weights; mine.py has changed or was never named "
    "on this machine: give the class, with model=Mine or --model mine.py:Mine\n"
)


IMPORTING = """try:
    import planted
except ImportError:
    pass
from helper import GAIN
""" + SOURCE.replace("mg.FUNCTION(", "GAIN * mg.tanh(")


@pytest.fixture
def importing(here, monkeypatch):
    """The folder of a class that imports a module next to it; the working folder has another one of that name."""
    (here / "there").mkdir()
    (here / "there/cell.py").write_text(IMPORTING)
    (here / "there/helper.py").write_text("GAIN = 0.5\n")
    (here / "helper.py").write_text("raise SystemExit('the wrong module')\n")
    # As `python -m myrnn` begins.
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return here / "there"


def test_a_class_may_import_a_module_next_to_its_file(importing, capsys):
    assert main(["train", *SMALL, "--model=there/cell.py:Mine", "--out=run"]) == 0
    evaluate = ["evaluate", "run", "--samples=40", "--engine=mygrad", "--quiet"]
    assert main(evaluate) == 0
    # A run finds its class only with the bytes that were named.
    (importing / "helper.py").write_text("GAIN = 0.25\n")
    capsys.readouterr()
    assert main(evaluate) == 2
    assert "cell.py has changed or was never named on this machine" in capsys.readouterr().err
    assert main([*evaluate, "--model=there/cell.py:Mine"]) == 2
    assert "with the same weights it gives other logits" in capsys.readouterr().err
    (importing / "helper.py").write_text("GAIN = 0.5\n")
    assert main(evaluate) == 0


def test_a_run_imports_nothing_that_was_not_imported_when_its_class_was_named(importing):
    assert main(["train", *SMALL, "--model=there/cell.py:Mine", "--out=run"]) == 0
    (importing / "planted.py").write_text("open('marker', 'w').close()\n")
    load_run("run")
    assert not Path("marker").exists()
    load_own("there/cell.py:Mine")
    assert Path("marker").exists()


def test_bytecode_next_to_a_file_is_not_run(importing):
    source = importing / "helper.py"
    cached = Path(importlib.util.cache_from_source(str(source)))
    evil = importing / "evil.py"
    evil.write_text("open('marker', 'w').close(); GAIN = 1")
    os.utime(evil, (1, 1))
    source.write_text("GAIN = 0.5".ljust(evil.stat().st_size))
    os.utime(source, (1, 1))
    py_compile.compile(str(evil), cfile=str(cached))
    load_own("there/cell.py:Mine")
    assert not Path("marker").exists()


def test_each_class_has_the_modules_of_its_own_folder(importing, here):
    (here / "other").mkdir()
    (here / "other/cell.py").write_text(IMPORTING)
    (here / "other/helper.py").write_text("GAIN = 2\n")
    (importing / "planted.py").write_text("")
    classes = [load_own(f"{folder}/cell.py:Mine") for folder in ("there", "other")]
    assert [make.__call__.__globals__["GAIN"] for make in classes] == [0.5, 2]
    assert ["planted" in make.__call__.__globals__ for make in classes] == [True, False]
    (here / "other/helper.py").write_text("GAIN = 3\n")
    assert load_own("other/cell.py:Mine").__call__.__globals__["GAIN"] == 3


def test_an_installed_module_comes_before_one_next_to_the_file(importing):
    (importing / "colorsys.py").write_text("raise SystemExit('the wrong module')\n")
    (importing / "cell.py").write_text("import colorsys\n" + IMPORTING)
    sys.modules.pop("colorsys", None)
    load_own("there/cell.py:Mine")


@pytest.mark.long
def test_a_class_that_was_named_once_is_found_again(here, capsys, monkeypatch):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 0
    described = json.loads(Path("run/settings.json").read_text())["model"]
    source = Path("mine.py").read_bytes()
    assert (described["file"], described["sha256"]) == ("mine.py", hashlib.sha256(source).hexdigest())
    assert Path("run/model.txt").read_bytes() == source
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    for line in (
        ["evaluate", "../run", "--samples=40", "--engine=mygrad", "--quiet"],
        ["predict", "../run", "11"],
        ["inspect", "../run", "1212", "--samples=20"],
        ["extract", "../run", "--max-length=4", "--seconds=1"],
        ["train", "--resume=../run", "--iterations=50", "--quiet"],
    ):
        assert main(line) == 0, (line, capsys.readouterr().err)
    # An experiment of a folder is repeated with the same class.
    found = load_run("../run")
    assert found.experiment.model.name == "mine.py:Mine"
    again = myrnn.run(found.experiment, "again", progress=False)
    assert contents(again.model) == contents(found.model)
    monkeypatch.chdir(here)
    capsys.readouterr()
    Path("mine.py").write_bytes(source + b"# changed\n")
    assert main(["evaluate", "run"]) == 2
    assert capsys.readouterr().err == OFFERED
    assert main(["evaluate", "run", "--samples=40", "--engine=mygrad", "--model=mine.py:Mine", "--quiet"]) == 0
    # A file that moved is found after it was named once at its new place.
    Path("mine.py").write_bytes(source)
    Path("mine.py").rename("moved.py")
    evaluate = ["evaluate", "run", "--samples=40", "--engine=mygrad", "--quiet"]
    assert main(evaluate) == 2
    assert main([*evaluate, "--model=moved.py:Mine"]) == 0
    assert main(evaluate) == 0


def test_settings_of_a_class_are_stored_and_checked(here, capsys):
    source = SOURCE.replace("FUNCTION", "tanh").replace("dim_output):", "dim_output, scale: float = 1.0):")
    Path("scaled.py").write_text(source.replace("self.fc_x2h = ", "self.scale = scale\n        self.fc_x2h = "))
    small = {
        "task": {"pattern_length_max": 2},
        "training": {"iterations": 10, "engine": "mygrad"},
        "evaluation": {"samples": 10},
    }
    experiment = Experiment(model={"name": "scaled.py:Mine", "dim_recurrent": 4, "scale": 3.0}, **small)
    run = myrnn.run(experiment, "run", progress=False)
    assert (run.model.scale, load_run("run").model.scale, load_run("run").untrained().scale) == (3.0, 3.0, 3.0)
    experiment.to_toml("scaled.toml")
    assert Experiment.from_file("scaled.toml").model.settings.scale == 3.0
    for settings, message in (
        (
            {"scael": 3.0},
            "model scaled.py:Mine has no setting 'scael', only 'dim_recurrent', 'scale'; did you mean 'scale'?",
        ),
        ({"scale": "3"}, "scale must be a number, not '3'"),
        ({"scale": [3.0]}, "scale must be a number, a truth value or text, not [3.0]"),
    ):
        with refused(message):
            myrnn.run(Experiment(model={"name": "scaled.py:Mine", **settings}, **small), "other")
    assert not Path("other").exists()


# --- folders of somebody else

EVIL = "from pathlib import Path\nPath('{}').write_text('it ran')\n" + SOURCE.replace("FUNCTION", "tanh")


@pytest.fixture
def received(here, monkeypatch):
    """A run folder that somebody sent, whose class was never named on this machine; it would leave `marker`."""
    folder = here / "received"
    folder.mkdir()
    (folder / "mine.py").write_text(EVIL.format(here / "marker"))
    assert main(["train", *SMALL, f"--model={folder / 'mine.py'}:Mine", "--out=received/run"]) == 0
    assert main(["train", *SMALL, f"--model={folder / 'mine.py'}:Mine", "--out=received/stopped"]) == 0
    stopped = folder / "stopped"
    index = {**json.loads((stopped / "settings.json").read_text()), "format": "myrnn unfinished run"}
    (stopped / "unfinished.json").write_text(json.dumps(seal({**index, "format_version": 1})))
    (stopped / "settings.json").unlink()
    study = {
        "name": "sent",
        "task": {"pattern_length_max": 2},
        "model": {"name": "received/mine.py:Mine", "dim_recurrent": 2},
        "training": {"iterations": 2, "engine": "mygrad"},
        "evaluation": {"samples": 10},
    }
    myrnn.sweep(study, folder / "sweep", jobs=1, progress=False)
    (here / "marker").unlink()
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state of the receiver"))
    return folder


def with_model(folder, **changed):
    """Change the description of the model in a folder, with valid checksums."""
    for name in ("settings.json", "unfinished.json"):
        if (folder / name).exists():
            index = json.loads((folder / name).read_text())
            index["model"].update(changed)
            (folder / name).write_text(json.dumps(seal(index)))


PLACES = ("mine.py", "own.py", "received/mine.py", "received/run/mine.py", "received/run/own.py")


def test_the_folder_of_somebody_else_runs_no_code(here, received, capsys):
    """Wherever its code lies, and whatever the folder says about it."""
    for place in PLACES:
        Path(place).write_bytes((received / "mine.py").read_bytes())
    refused = "has changed or was never named on this machine"
    for file in (*PLACES, "../received/mine.py", f"{here}/received/mine.py"):
        for folder in ("received/run", "received/stopped"):
            with_model(Path(folder), file=file)
        capsys.readouterr()
        lines = (
            ["evaluate", "received/run"],
            ["inspect", "received/run", "1212"],
            ["extract", "received/run"],
            ["predict", "received/run", "11"],
            ["graph", "received/run"],
            ["train", "--resume=received/run", "--iterations=60"],
            ["train", "--resume=received/stopped"],
        )
        # All commands look for the class in the same way.
        for line in lines if file == PLACES[0] else lines[-1:]:
            assert main(line) == 2
            assert refused in capsys.readouterr().err
        for act in (load_run, lambda folder: myrnn.run(load_job(folder).experiment, here / "new")):
            with pytest.raises(InvalidArgument, match=refused):
                act("received/run")
    assert main(["plot", "received/run"]) == 0
    assert main(["runs", "received"]) == 0
    index = json.loads(Path("received/sweep/sweep.json").read_text())
    for classes in ({}, {"received/mine.py:Mine": None}, {"received/mine.py:Mine": "0"}, None):
        Path("received/sweep/sweep.json").write_text(json.dumps(seal({**index, "classes": classes})))
        with pytest.raises(RunError, match=r"sweep\.json cannot be used: "):
            myrnn.load_sweep("received/sweep")
    Path("received/sweep/sweep.json").write_text(json.dumps(index))
    results = myrnn.load_sweep("received/sweep")
    experiment = results.point(results.runs["run"][0]).experiment
    for sent in (experiment, pickle.loads(pickle.dumps(experiment)), Experiment.read(experiment.to_dict())):
        with pytest.raises(InvalidArgument, match=refused):
            myrnn.run(sent)
    assert not Path("marker").exists()
    # Who names the file has chosen to run it.
    assert main(["predict", "received/run", "11", "--model=received/mine.py:Mine"]) == 0
    assert Path("marker").read_text() == "it ran"


def test_another_class_of_a_named_file_is_not_called(here, received, capsys):
    other = Path("other.py")
    other.write_text(
        SOURCE.replace("FUNCTION", "tanh") + "\n\n" + SOURCE.replace("FUNCTION", "tanh").replace("Mine", "Its")
    )
    assert main(["train", *SMALL, "--model=other.py:Mine", "--out=run"]) == 0
    with_model(received / "run", file="other.py", sha256=hashlib.sha256(other.read_bytes()).hexdigest())
    load_run("received/run")
    with_model(received / "run", **{"class": "Its"})
    with pytest.raises(InvalidArgument, match=r"other\.py has changed or was never named on this machine"):
        load_run("received/run")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_list_of_classes_that_others_can_write_is_not_used(here, capsys):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 0
    (listed,) = Path(os.environ["XDG_STATE_HOME"]).rglob("named-classes.jsonl")
    assert stat.S_IMODE(listed.stat().st_mode) == 0o600
    listed.chmod(0o666)
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 2
    assert capsys.readouterr().err == OFFERED
    # It begins again.
    assert main(["predict", "run", "11", "--model=mine.py:Mine"]) == 0
    assert main(["predict", "run", "11"]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"file": "x" * 400 + ".py"}, "file must be the path of a .py file, not ", marks=pytest.mark.long),
        ({"file": "a\x1b[2J.py"}, "file must be the path of a .py file, not "),
        pytest.param({"file": "a.sh"}, "file must be the path of a .py file, not 'a.sh'", marks=pytest.mark.long),
        pytest.param({"sha256": "0"}, "sha256 must be a SHA-256, not '0'", marks=pytest.mark.long),
        ({"sha256": None}, "sha256 must be a SHA-256, not None"),
        ({"settings": [1]}, "settings must be an object, not [1]"),
        pytest.param(
            {"settings": {"a b": 1}}, "a setting of a model must have a name, not 'a b'", marks=pytest.mark.long
        ),
        ({"settings": {"scale": {}}}, "scale must be a number, a truth value or text, not {}"),
    ],
)
def test_an_invalid_description_of_a_class_is_refused(here, change, message):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 0
    with_model(Path("run"), **change)
    with pytest.raises(RunError, match=f"^{re.escape('run: settings.json cannot be used: ' + message)}"):
        load_run("run")


def test_an_untrained_model_is_one_with_the_first_weights(here):
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--iterations=1", "--out=run"]) == 0
    run = load_run("run", model=Mine)
    once, again = run.untrained(), run.untrained()
    assert contents(once) == contents(again) != contents(run.model)
    with refused("run was loaded into a model: give load_run its class to make another one"):
        load_run("run", model=Mine(10, 4, 2)).untrained()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model=gone.py:Mine"], "there is no file gone.py"),
        (["--model=mine.py:Mine:gain=2"], "model mine.py:Mine has no setting 'gain', only 'dim_recurrent'"),
        (["--model=mine.py"], "a model must name the class in its file, too, such as mine.py:Mine, not 'mine.py'"),
        (["--model=mine"], f"--model must be one of {CELLS}, not 'mine'"),
    ],
)
def test_an_unusable_class_is_reported(here, capsys, options, message):
    assert main(["train", *SMALL, *options, "--out=run"]) == 2
    assert capsys.readouterr().err == f"myrnn: {message}\n"
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "self.fc_h2y(h)",
            "self.fc_hy(h)",
            "the model fails on a sequence of 10 inputs: AttributeError: 'Mine' object has no attribute 'fc_hy', in "
            "mine.py:17: return self.fc_hy(h)",
        ),
        (
            "dense(dim_recurrent, dim_output)",
            "dense(self.dim, dim_output)",
            "Mine(10, 4, 2) fails: AttributeError: 'Mine' object has no attribute 'dim', in mine.py:11: self.fc_h2y = "
            "dense(self.dim, dim_output)",
        ),
        (
            "+ self.fc_h2y.parameters",
            "+ self.fc_h2y.params",
            "Mine.parameters fails: AttributeError: 'dense' object has no attribute 'params', in mine.py:21: return "
            "self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.params",
        ),
        (
            "for x_t in x:",
            "for x_t in x",
            "mine.py fails: SyntaxError: expected ':', in mine.py:15: for x_t in x",
        ),
        (
            "import mygrad as mg",
            "import mygrad as mg; mg.nothing",
            "mine.py fails: AttributeError: module 'mygrad' has no attribute 'nothing', in mine.py:1: import "
            "mygrad as mg; mg.nothing",
        ),
        (
            "self.fc_h2y(h)",
            "exit(3)",
            "your code ends the process: SystemExit: 3, in mine.py:17: return exit(3)",
        ),
        (
            "import mygrad as mg",
            "import mygrad as mg; raise SystemExit(0)",
            "your code ends the process: SystemExit: 0, in mine.py:1: import mygrad as mg; raise SystemExit(0)",
        ),
    ],
)
def test_an_error_in_the_class_shows_its_line(here, capsys, right, wrong, message):
    Path("mine.py").write_text(SOURCE.replace("FUNCTION", "tanh").replace(right, wrong))
    assert main(["train", *SMALL, "--model=mine.py:Mine", "--out=run"]) == 2
    assert capsys.readouterr().err == f"myrnn: {message}\n"
    assert not Path("run").exists()


@pytest.mark.filterwarnings("default::UserWarning")
def test_numbers_taken_out_of_the_graph_are_reported_in_one_line(here, capsys):
    source = SOURCE.replace("FUNCTION", "tanh").replace("self.fc_h2h(h))", "float(h.sum()))")
    Path("looks.py").write_text(source)
    assert main(["train", *SMALL, "--engine=auto", "--model=looks.py:Mine", "--out=run"]) == 0
    # Once, although the network is trained and tested.
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "op by op" in line)
    assert line == (
        "myrnn: warning: the model runs op by op with MyGrad, because the model takes numbers out of its tensors "
        "with float(), which a compiled model cannot do: looks.py:16 h = "
        "mg.tanh(self.fc_x2h(x_t[np.newaxis]) + float(h.sum())); A compiled model has no Python numbers. Keep an "
        'array: mg.sum(h).data has the number, without a gradient, or train with engine="mygrad".'
    )


def test_an_error_on_a_later_sequence_also_shows_its_line(here, capsys):
    failing = "        if len(x) == 4:\n            self.nothing\n        return self.fc_h2y(h)"
    Path("later.py").write_text(SOURCE.replace("FUNCTION", "tanh").replace("        return self.fc_h2y(h)", failing))
    # The first sequence has another length.
    assert main(["train", *SMALL, "--seed=1", "--model=later.py:Mine", "--out=run"]) == 2
    told = (
        "myrnn: the model fails: AttributeError: 'Mine' object has no attribute 'nothing', in later.py:18: self.nothing"
    )
    err = capsys.readouterr().err
    assert err.startswith(told) and err.count("\n") == 1
    # The saved run can be resumed when the class is fixed.
    assert re.search(
        r"; iteration \d+ is saved, resume with: myrnn train --resume run --model later\.py:Mine$", err.strip()
    )
