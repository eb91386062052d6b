"""What a person can save: a run folder, a figure, a Python program."""

from __future__ import annotations

import base64
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import plots
from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import LengthReport
from myrnn.experiment.parts import OWN
from myrnn.graphs import build_graph
from myrnn.inspection import gradient_flow, inspect, recurrent_eigenvalues
from myrnn.models import Stacked
from myrnn.models.own import ClassFile, file_of
from myrnn.playground.material import TEST_SEED
from myrnn.playground.network import REPORT_EVERY, ModelClass, Network, TrainingPhase
from myrnn.playground.settings import sections_of, settings_of
from myrnn.results import Result
from myrnn.runs import Run, list_runs, load_run, save_run
from myrnn.runs.folder import claim_folder
from myrnn.runs.saved import holds_own

RUNS = Path("runs")
MOST_LISTED = 50
# With this many runs in the folder, nobody can save another: a page must not fill the disk.
MOST_RUNS = 500
# Draws a figure and returns it as text.
Drawing = Callable[[], str]


def check_can_be_saved(network: Network) -> None:
    """Refuse a network that cannot be saved as a run."""
    network.check_whole()
    if not network.iteration:
        what = "nothing to save yet" if network.run is None else "nothing new to save"
        raise InvalidArgument(f"there is {what}: press play first")
    if len(_runs()) >= MOST_RUNS:
        raise InvalidArgument(
            f"there are {MOST_RUNS} runs in {RUNS}/, and the playground adds no more: move some of them away, "
            "or start it in another folder"
        )


def save(network: Network, report: LengthReport) -> Path:
    """Write a run folder below ``runs`` and return its path."""
    check_can_be_saved(network)
    with claim_folder(None, network.settings["task"]) as folder:
        return save_run(
            folder,
            task=network.task,
            model=network.model,
            optimizer=network.optimizer,
            history=network.history,
            training=_training_of(network),
            report=report,
            dim_recurrent=network.settings["dim_recurrent"],
            continued_from=network.origin,
            phases=[asdict(phase) for phase in network.phases] if network.was_adjusted else [],
        )


def opening_command(folder: Path, network: Network, own: ModelClass | None) -> str:
    """Return the command that tests a saved run; it needs the file of the user-defined class."""
    parts, file = ["myrnn", "evaluate", folder.as_posix()], file_of(own)
    if network.settings["cell"] == OWN and file is not None:
        parts += ["--model", f"{file.shown_file}:{file.name}"]
    return shlex.join(parts)


def _training_of(network: Network) -> dict[str, Any]:
    settings = {name: network.settings[name] for name in ("batch_size", "seed", "gradient_clip")}
    return {**settings, "iterations": network.iteration, "report_every": REPORT_EVERY, "loss": network.loss}


def listed_runs() -> list[str]:
    """Return the names of the newest complete runs below ``runs``, the newest first."""
    return _runs()[:MOST_LISTED]


def _runs() -> list[str]:
    try:
        found = list_runs(RUNS)
    except RunError:
        return []
    return [run.name for run in reversed(found) if run.state == "whole"]


def load(name: str, own: ModelClass | None = None) -> tuple[Run, dict[str, Any]]:
    """Return one of the listed runs and its settings for the playground; `own` is the user-defined class."""
    # The name is compared with the list, never used as a path.
    if name not in listed_runs():
        raise RunError("there is no such run any more: look at the list again")
    run = load_run(RUNS / name, own if holds_own(RUNS / name) else None)
    return run, settings_of(run)


def figure(name: str, form: str, network: Network, tokens: list[int]) -> Drawing:
    """Compute the content of a figure, and return a function that draws it without MyGrad, as SVG or as base64 PNG."""
    if name == "graph":
        if form != "svg":
            raise InvalidArgument("the graph is an SVG: choose SVG")
        graph = build_graph(network.model if network.compiled is None else network.compiled)
        assert graph is not None
        return graph.to_svg
    if name == "training":
        if not len(network.history):
            raise InvalidArgument("there is nothing to draw yet: press play first")
        return partial(drawn, network.history.plot, form)
    if network.compiled is None:
        raise InvalidArgument("this figure needs a model that can be compiled")
    result: Result
    if name == "states":
        material = network.material
        names = {"class_names": material.class_names, "symbol_names": material.symbol_names}
        result = inspect(network.compiled, np.array(tokens), material.targets(material.answers(tokens)), **names)
    elif name == "gradient":
        result = gradient_flow(network.compiled, network.task, seed=TEST_SEED, relative=True)
    else:
        result = recurrent_eigenvalues(network.compiled)
    return partial(drawn, result.plot, form)


def drawn(plot: Callable[[], Any], form: str) -> str:
    """Return the figure that a function draws, as text."""
    with tempfile.TemporaryDirectory(prefix="myrnn-") as folder:
        content = plots.save_figure(plot(), Path(folder) / f"figure.{form}").read_bytes()
    return content.decode("utf-8") if form == "svg" else base64.b64encode(content).decode("ascii")


# The script -----------------------------------------------------------------------------------------------------------

_PROGRAM = """
task = {task}
{model}
optimizer = {optimizer}

"""
_NEW = """# The seed draws the initial weights, in a different stream from the sequences.
weights = np.random.default_rng(({seed}, 1))
model = {made}"""
_LOADED = """# The playground continued this run with a new optimizer.
model = load_run({given}).model"""
_TRAIN = """{name} = myrnn.train(
    model, task, optimizer, iterations={iterations}, batch_size={batch_size}, seed={seed},
    report_every={report_every}, gradient_clip={gradient_clip},{further}
)
"""
_LATER = """
# From here on with other settings, and other sequences.
optimizer.learning_rate = {learning_rate}
{train}history = history.joined(later)
"""
_REPORT = """print(history)

report = myrnn.evaluate(model, task, samples=20_000, lengths={lengths}, trained=history)
print(report)
myrnn.plots.save_figure(history.plot(), "training.png")
myrnn.plots.save_figure(report.plot(), "accuracy_by_length.png")
"""


# The imports of a program, by the text that needs them.
_IMPORTS = {
    "np.": "import numpy as np",
    "myrnn.": "import myrnn",
    "registry.": "from myrnn import registry",
    "load_own(": "from myrnn.models.own import load_own",
    "make_own(": "from myrnn.models.own import make_own",
    "load_run(": "from myrnn.runs import load_run",
}


def script(network: Network, own: ModelClass | None = None) -> str:
    """Return a Python program that makes the network and trains it to its present state, unless its training failed."""
    network.check_whole()
    sections, phases, file = sections_of(network.settings), network.phases, file_of(own)
    optimizer = sections["optimizer"]
    if phases:
        # Later phases have other rates.
        optimizer = {**optimizer, "learning_rate": phases[0].learning_rate}
    program = _PROGRAM.format(
        task=_made("task", network.task, sections["task"]),
        model=_model(network, sections["model"], file),
        optimizer=_made("optimizer", network.optimizer, optimizer, "params=model.parameters"),
    )
    if phases:
        program += _trained(phases, network.loss) + _REPORT.format(
            lengths=_listed(network.material.tested.lengths.tolist())
        )
    else:
        program += "# It has not been trained yet.\n"
    imports = [f"{line}\n" for used, line in _IMPORTS.items() if used in program]
    beside = f"\n\nRun it in the folder of {Path(file.file).name}.\n" if file and "load_own(" in program else ""
    head = f'"""The network of the playground, after {network.iteration:,} iterations.{beside}"""\n\n'
    return "".join([head, *imports, program])


def _model(network: Network, section: dict[str, Any], file: ClassFile | None) -> str:
    """Return the lines that make or load the model."""
    sizes = {"dim_input": network.task.dim_input, "dim_output": network.task.dim_output}
    if network.material.per_step:
        sizes["per_step"] = True
    of_own = f"load_own({f'{Path(file.file).name}:{file.name}'!r})" if file and section["name"] == OWN else ""
    if network.run is not None:
        return _LOADED.format(given=", ".join(filter(None, [repr(network.run.folder.as_posix()), of_own])))
    if of_own:
        shape = network.task.dim_input, section["dim_recurrent"], network.task.dim_output
        made = f"make_own({of_own}, {shape}, weights)"
    else:
        made = _made("model", network.model, {**sizes, **section}, "rng=weights")
    return _NEW.format(seed=network.settings["seed"], made=made)


def _trained(phases: list[TrainingPhase], loss: str | None) -> str:
    further = "" if loss is None else f" loss={loss!r},"
    calls = [
        _TRAIN.format(name="later" if i else "history", report_every=REPORT_EVERY, further=further, **asdict(phase))
        for i, phase in enumerate(phases)
    ]
    later = [
        _LATER.format(learning_rate=phase.learning_rate, train=call)
        for phase, call in zip(phases[1:], calls[1:], strict=True)
    ]
    return "".join([calls[0], *later])


def _made(part: str, thing: Any, section: dict[str, Any], further: str = "") -> str:
    """Return the call that makes a task, a model or an optimizer like `thing`."""
    settings = [f"{name}={value!r}" for name, value in section.items() if name != "name"]
    arguments = ", ".join(filter(None, [further, *settings]))
    # A network of layers is made by the name of its cell.
    if type(thing).__module__.startswith("myrnn.") and not isinstance(thing, Stacked):
        return f"myrnn.{'tasks.' if part == 'task' else ''}{type(thing).__name__}({arguments})"
    return f"registry.make({part!r}, {section['name']!r}, {arguments})"


def _listed(lengths: list[int]) -> str:
    """Return lengths as Python code, as a range if possible."""
    steps = {after - before for before, after in pairwise(lengths)}
    if len(steps) != 1:
        return repr(lengths)
    return f"range({lengths[0]}, {lengths[-1] + 1}, {steps.pop()})"
