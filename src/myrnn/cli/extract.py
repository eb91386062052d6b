"""``myrnn extract`` reads an automaton out of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn import _checks
from myrnn.cli import show
from myrnn.cli.options import OwnClass, RunFolder, check_picture, load
from myrnn.compiler import CompiledModel, compile
from myrnn.data import LABELS
from myrnn.errors import CompileError, InvalidArgument
from myrnn.inspection import extract_automaton
from myrnn.plots import save_figure
from myrnn.runs import Run

# About how many lengths of strings a table has.
ROWS = 20


def extract(
    folder: RunFolder,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="lstar asks the network about strings, clusters groups its states.")
    ] = "lstar",
    equivalence: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How lstar looks for differences: it follows states, tries words, or does both."
        ),
    ] = "both",
    accept: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The class of accepted strings.  [default: the second of two]"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=1, help="The length of the longest random strings.  [default: the longest trained]"),
    ] = None,
    seconds: Annotated[float, typer.Option(help="When to stop.")] = 60.0,
    max_states: Annotated[int, typer.Option(min=1, help="Stop at an automaton of more states.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Draws the random strings.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The picture: a file that ends in .svg, .png or .pdf.  [default: RUN/automaton.svg]",
            show_default=False,
        ),
    ] = None,
    model: OwnClass = None,
) -> None:
    """Read out of a network the automaton that accepts the same sequences, and draw it."""
    check_picture("--out", out)
    run = load(folder, model)
    if run.fitted is not None and (run.fitted.targets.learn != LABELS or not run.fitted.is_symbols):
        raise InvalidArgument(f"{folder} is no classifier of symbols: an automaton is read out of such networks only")
    names = run.class_names
    label = None if accept is None else names.index(_checks.one_of("--accept", accept, names))
    longest = max(run.history.longest, 1)
    compiled = _compiled(run.recognizer)
    found = extract_automaton(
        compiled,
        _alphabet(run),
        method=method,
        equivalence=equivalence,
        accept=label,
        examples=() if run.task is None else run.recognition,
        max_length=longest if max_length is None else max_length,
        seconds=seconds,
        max_states=max_states,
        seed=seed,
    )
    show.table(found)
    lengths = range(0, 2 * longest + 1, max(1, 2 * longest // ROWS))
    network = found.agreement(compiled, lengths=lengths, accept=label, seed=seed)
    truth = None
    if callable(getattr(run.recognition, "truth", None)):
        truth = found.agreement(run.recognition, lengths=lengths, accept=label, seed=seed)
    show.table(network, beside=truth)
    typer.echo()
    show.named_rows(("accepted", names[1 if label is None else label]))
    path = run.folder / "automaton.svg" if out is None else out
    try:
        show.path("automaton", save_figure(found.plot(), path))
    except InvalidArgument as error:
        show.named_rows(("automaton", f"no picture: {error}"))


def _compiled(model: Any) -> CompiledModel | Any:
    """Return the model compiled, which is used twice; one that does not compile stays as it is."""
    try:
        return compile(model)
    except CompileError:
        return model


def _alphabet(run: Run) -> Any:
    """Return the names of the symbols: of a run on data by their tokens, without that of unknown ones."""
    if run.fitted is not None:
        known = run.fitted.symbol_names or ()
        return {name: token for token, name in enumerate(known) if token > 0}
    task = run.recognition
    names = getattr(task, "symbol_names", None) or getattr(getattr(task, "language", None), "symbols", None)
    return tuple(map(str, range(task.dim_input))) if names is None else tuple(names)
