"""What ``myrnn inspect`` does: show what goes on inside a trained network, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from myrnn.cli._options import OwnClass

if TYPE_CHECKING:
    from myrnn.compiler import CompiledModel
    from myrnn.inspection import Inspection
    from myrnn.runs import Run

# The options must be known before the command runs; what it needs is imported when it does.

FORMATS = ("svg", "png", "pdf")
# A longer sequence is not spelled out in the names of files.
LONGEST_IN_NAME = 40


def inspect(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    sequence: Annotated[
        str,
        typer.Argument(
            metavar="SEQUENCE",
            help="Digits, such as 123123; or numbers with commas between. Of a run on data: text as in its files.",
            show_default=False,
        ),
    ],
    label: Annotated[
        int | None,
        typer.Option(min=0, help="The class that the loss is taken for.  [default: what the network predicts]"),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many sequences the figures over many are from.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seeds the drawing of these sequences.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the figures, made if need be.  [default: that of the run]", show_default=False
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="Of the figures: svg, png or pdf.")] = "svg",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labelled sequences for the figures over many, of a run on data.  [default: its first test]",
            show_default=False,
        ),
    ] = None,
    model: OwnClass = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write the figures, show no table.")] = False,
) -> None:
    """Show what a trained network does with a sequence, step by step, and draw what is inside it."""
    from myrnn import _checks
    from myrnn.cli import _show
    from myrnn.cli._load import load
    from myrnn.compiler import compile
    from myrnn.errors import InvalidArgument
    from myrnn.inspection import inspect as look_inside

    _checks.one_of("--format", format, FORMATS)
    if out is not None and out.exists() and not out.is_dir():
        raise InvalidArgument(f"--out must be a folder, which {out} is not")
    run = load(folder, model)
    if not len(run.history):
        raise InvalidArgument(f"{folder} holds a network that was never trained: there is nothing in it to look at yet")
    tokens = run.read_texts([sequence]).tokens(0)
    if label is not None:
        _checks.integer("--label", label, maximum=len(run.class_names) - 1)
    compiled = compile(run.model)
    symbols = None if run.fitted is None else run.fitted.symbol_names
    found = look_inside(compiled, tokens, label, class_names=run.class_names, symbol_names=symbols)
    if not quiet:
        _show.table(found)
    is_short = len(sequence) <= LONGEST_IN_NAME and sequence.isprintable() and not set(sequence) & set("/\\")
    name = sequence.replace(" ", "-") if is_short else f"{len(found)}-steps"
    figures = _of_one(found, name)
    if run.fitted is None or data is not None or run.experiment.evaluation.test:
        figures |= _of_many(compiled, run, run.samples(None if data is None else str(data)), samples, seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    _write(figures, run.folder if out is None else out, format)


def _write(figures: dict[str, Callable[[], Any]], folder: Path, format: str) -> None:
    """Write the figures; what cannot be drawn, such as the space of a state that never changes, is said instead."""
    from myrnn.cli import _show
    from myrnn.errors import InvalidArgument
    from myrnn.plots import save_figure

    typer.echo()
    _show.path("figures", folder)
    for name, draw in figures.items():
        try:
            told = save_figure(draw(), folder / f"{name}.{format}").name
        except InvalidArgument as error:
            told = f"no {name}: {error}"
        _show.named_rows(("", told))


def _of_one(found: Inspection, name: str) -> dict[str, Callable[[], Any]]:
    """Return what draws the figures of one sequence, by the names of their files."""
    states = {
        f"inspect-{name}-state-{state}": (lambda state=state: found.plot_states(state=state)) for state in found.states
    }
    return {
        **states,
        f"inspect-{name}-probabilities": found.plot_probabilities,
        f"inspect-{name}-gradients": found.plot_gradients,
        "weights": found.plot_weights,
    }


def _of_many(compiled: CompiledModel, run: Run, source: Any, samples: int, seed: int) -> dict[str, Callable[[], Any]]:
    """Return what draws the figures over many sequences, by the names of their files."""
    from myrnn.inspection import gradient_flow, recurrent_eigenvalues, state_space

    drawn = (compiled, source, samples, seed)
    return {
        "gradient_flow": lambda: gradient_flow(*drawn).plot(),
        "gradient_flow-relative": lambda: gradient_flow(*drawn, relative=True).plot(),
        "state_space-step": lambda: state_space(*drawn).plot(color="step"),
        "state_space-symbol": lambda: state_space(*drawn, last=True).plot(color="symbol"),
        "state_space-class": lambda: state_space(*drawn, last=True).plot(color="class"),
        "eigenvalues": lambda: recurrent_eigenvalues(compiled).plot_each(
            before=recurrent_eigenvalues(run.untrained()), labels=("untrained", "trained")
        ),
    }
