"""``myrnn inspect`` shows step by step how a network processes a sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn import _checks, inspection
from myrnn.cli import show
from myrnn.cli.options import ON_DATA, ON_TASK, SEQUENCE, OwnClass, RunFolder, argument, load, option, refuse_of_others
from myrnn.compiler import CompiledModel, compile
from myrnn.data.targets import LABELS, SERIES, VALUES
from myrnn.errors import InvalidArgument
from myrnn.plots import plot_matrices, save_figure
from myrnn.runs import Run

FORMATS = ("svg", "png", "pdf")


def inspect(
    context: typer.Context,
    folder: RunFolder,
    sequence: Annotated[str, argument(SEQUENCE, "SEQUENCE")],
    data: Annotated[
        str | None,
        option(
            "Labelled sequences for the figures over many sequences.  [default: the first test of the run]",
            of=ON_DATA,
            metavar="FILE",
        ),
    ] = None,
    label: Annotated[int | None, option("The class to take the loss for.  [default: the predicted one]", min=0)] = None,
    samples: Annotated[int, option("How many sequences to draw for the figures over many.", min=1)] = 300,
    seed: Annotated[int, option("Seed of these sequences.", of=ON_TASK, min=0)] = 1,
    out: Annotated[
        Path | None, option("The folder for the figures, created if necessary.  [default: that of the run]")
    ] = None,
    format: Annotated[str, option("The format of the figures: svg, png or pdf.", metavar="NAME")] = "svg",
    model: OwnClass = None,
    quiet: Annotated[bool, option("Write the figures without showing a table.", "--quiet", "-q")] = False,
) -> None:
    """Show step by step how a network processes a sequence; draw its weights and states."""
    _checks.one_of("--format", format, FORMATS)
    if out is not None and out.exists() and not out.is_dir():
        raise InvalidArgument(f"--out must be a folder, not a file: {out}")
    run = load(folder, model)
    refuse_of_others(context, run)
    if not len(run.history):
        raise InvalidArgument(f"{folder} holds a network that is not trained yet: there is nothing to inspect")
    learn = run.reader.learn
    if learn in (VALUES, SERIES):
        raise InvalidArgument(f"{folder} learned {learn}: inspect needs a network with class probabilities")
    read = run.read_texts([sequence])
    tokens = read.tokens(0)
    if not len(tokens):
        predicts = learn == LABELS and not run.reader.per_step
        instead = f": myrnn predict {folder} '' shows its class" if predicts else ""
        raise InvalidArgument(f"an empty sequence has no step to inspect{instead}")
    if label is not None:
        _checks.integer("--label", label, maximum=len(run.class_names) - 1)
    compiled = compile(run.recognizer)
    y: Any = label
    if (answers := run.reader.answers(read)) is not None:
        if label is not None:
            raise InvalidArgument(
                f"--label is for runs with one class per sequence, but {folder} has one at every step"
            )
        y = answers
    found = inspection.inspect(compiled, tokens, y, class_names=run.class_names, symbol_names=run.reader.symbol_names)
    if not quiet:
        show.table(found)
    figures = _of_one(found, show.file_name(sequence, len(found)))
    # The figures over many sequences need labels.
    if run.reader.has_tests(run) or (learn == LABELS and data is not None):
        source = next(iter(run.test_sequences(data).values()))
        figures |= _of_many(compiled, run, source, samples, seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    _write(figures, run.folder if out is None else out, format)


def _write(figures: dict[str, Callable[[], Any]], folder: Path, format: str) -> None:
    """Write the figures; if one cannot be drawn, such as the space of a state that never changes, say why."""
    print()
    show.path("figures", folder)
    for name, draw in figures.items():
        try:
            written = save_figure(draw(), folder / f"{name}.{format}").name
        except InvalidArgument as error:
            written = f"no {name}: {error}"
        show.named_rows(("", written))


def _of_one(found: inspection.Inspection, name: str) -> dict[str, Callable[[], Any]]:
    """Return the functions that draw the figures of one sequence, by file name."""
    states = {f"inspect-{name}-state-{state}": (lambda state=state: found.plot(state=state)) for state in found.states}
    return {
        **states,
        f"inspect-{name}-probabilities": lambda: found.plot("probabilities"),
        f"inspect-{name}-gradients": lambda: found.plot("gradients"),
        "weights": lambda: plot_matrices(found.weights),
    }


def _of_many(compiled: CompiledModel, run: Run, source: Any, samples: int, seed: int) -> dict[str, Callable[[], Any]]:
    """Return the functions that draw the figures over many sequences, by file name."""
    drawn = (compiled, source, samples, seed)
    return {
        "gradient_flow": lambda: inspection.gradient_flow(*drawn).plot(),
        "gradient_flow-relative": lambda: inspection.gradient_flow(*drawn, relative=True).plot(),
        "state_space-step": lambda: inspection.state_space(*drawn).plot(color="step"),
        "state_space-symbol": lambda: inspection.state_space(*drawn, last=True).plot(color="symbol"),
        "state_space-class": lambda: inspection.state_space(*drawn, last=True).plot(color="class"),
        "eigenvalues": lambda: inspection.recurrent_eigenvalues(compiled).plot(
            "eigenvalues_each",
            before=inspection.recurrent_eigenvalues(run.untrained()),
            labels=("untrained", "trained"),
        ),
    }
