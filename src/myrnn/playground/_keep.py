"""What a person takes along: a run folder, a picture, the Python that does the same."""

from __future__ import annotations

import base64
import shlex
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import plots
from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import LengthReport
from myrnn.graphs import build_graph
from myrnn.inspection import gradient_flow, inspect, recurrent_eigenvalues
from myrnn.models import OwnModel
from myrnn.playground import _looks
from myrnn.playground._loaded import settings_of
from myrnn.playground._network import REPORT_EVERY, ModelClass, Network
from myrnn.playground._settings import OWN
from myrnn.playground._trial import TEST_SEED
from myrnn.runs import Run, claim_folder, describe_model, holds_own, list_runs, load_run, save_run

RUNS = Path("runs")
MOST_LISTED = 50
# With so many runs in the folder, no page saves another: whoever may open a page could fill the disk.
MOST_RUNS = 500
# Draws a picture and returns it as a text.
Drawing = Callable[[], str]
# Pictures are drawn one at a time, but beside the trainings: matplotlib and MyGrad know nothing of each other.
_drawing = threading.Lock()


def check_can_be_saved(network: Network) -> None:
    """Refuse a network that a run folder cannot hold."""
    network.check_whole()
    if not network.iteration:
        what = "nothing to save yet" if network.run is None else "nothing new to save"
        raise InvalidArgument(f"there is {what}: press play first")
    if len(_runs()) >= MOST_RUNS:
        raise InvalidArgument(
            f"there are {MOST_RUNS} runs in {RUNS}/, and the playground adds no more: move some of them away, "
            "or start it in another folder"
        )


def save(network: Network, report: LengthReport, turn: Callable[[], AbstractContextManager[None]]) -> Path:
    """Write a run folder below ``runs`` and return its path; ``with turn():`` is a turn with MyGrad."""
    with _drawing:
        check_can_be_saved(network)
        with turn():
            described = describe_model(network.model, network.task, network.settings["dim_recurrent"])
        with claim_folder(None, network.task.name) as folder:
            return save_run(
                folder,
                task=network.task,
                model=network.model,
                optimizer=network.optimizer,
                history=network.history,
                training=_training_of(network),
                report=report,
                described=described,
                continued_from=network.origin,
                phases=[asdict(phase) for phase in network.phases] if network.was_adjusted else [],
            )


def opening_command(folder: Path, network: Network, own: OwnModel | None) -> str:
    """Return the command that tests a saved run; it needs the file of the person's own class."""
    parts = ["myrnn", "evaluate", folder.as_posix()]
    if network.settings["cell"] == OWN and own is not None:
        file = Path(own.file)
        # Where it lies elsewhere is nobody's business.
        shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file.name
        parts += ["--model", f"{shown}:{own.name}"]
    return shlex.join(parts)


def _training_of(network: Network) -> dict[str, Any]:
    settings = {name: network.settings[name] for name in ("batch_size", "seed", "gradient_clip")}
    return {**settings, "iterations": network.iteration, "report_every": REPORT_EVERY}


def listed_runs() -> list[str]:
    """Return the names of the newest whole runs on tasks below ``runs``, the newest first."""
    return _runs()[:MOST_LISTED]


def _runs() -> list[str]:
    try:
        found = list_runs(RUNS)
    except RunError:
        return []
    # Those on data count epochs.
    return [run.name for run in reversed(found) if run.state == "whole" and run.iterations is not None]


def load(name: str, own: ModelClass | None = None) -> tuple[Run, dict[str, Any]]:
    """Return one of the listed runs and its settings as the playground has them; `own` is the person's own class."""
    # The name is looked up, never used as a path.
    if name not in listed_runs():
        raise RunError("there is no such run any more: look at the list again")
    run = load_run(RUNS / name, own if holds_own(RUNS / name) else None)
    return run, settings_of(run)


def figure(name: str, form: str, network: Network, tokens: list[int]) -> Drawing:
    """Return a function that draws a picture and returns it as a text; what it needs is computed here, at once.

    SVG is returned as it is, PNG as base64.
    """
    if name == "graph":
        return _graph(network, form)
    if name == "training":
        history = network.history
        if not len(history):
            raise InvalidArgument("there is nothing to draw yet: press play first")
        return lambda: drawn(history.plot, form)
    if network.compiled is None:
        raise InvalidArgument("this figure needs a model that can be compiled")
    if name == "states":
        seen = inspect(network.compiled, np.array(tokens), _looks.truth_of(network.task, tokens))
        return lambda: drawn(seen.plot_states, form)
    if name == "gradient":
        flow = gradient_flow(network.compiled, network.task, seed=TEST_SEED, relative=True)
        return lambda: drawn(flow.plot, form)
    values = recurrent_eigenvalues(network.compiled)
    return lambda: drawn(values.plot, form)


def _graph(network: Network, form: str) -> Drawing:
    if form != "svg":
        raise InvalidArgument("the graph is an SVG: choose SVG")
    graph = build_graph(network.model if network.compiled is None else network.compiled)
    assert graph is not None
    return graph.to_svg


def drawn(plot: Callable[[], Any], form: str) -> str:
    """Return the picture that a function draws, as a text."""
    with _drawing, tempfile.TemporaryDirectory(prefix="myrnn-") as folder:
        content = plots.save_figure(plot(), Path(folder) / f"figure.{form}").read_bytes()
    return content.decode("utf-8") if form == "svg" else base64.b64encode(content).decode("ascii")
