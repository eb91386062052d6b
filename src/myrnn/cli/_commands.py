"""The commands and their options. What they do stands in modules of their own.

Those modules are imported when a command runs: MyGrad and matplotlib take a second to import, which ``--help`` and
``--version`` need not wait for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn.cli._evaluate import evaluate
from myrnn.cli._inspect import inspect
from myrnn.cli._lesson import lesson
from myrnn.cli._options import (
    CheckpointEvery,
    FormerBalanced,
    FormerCharacters,
    FormerEpochs,
    FormerPatience,
    OwnClass,
    Resume,
    given,
    renamed,
)
from myrnn.cli._playground import playground
from myrnn.cli._plot import plot
from myrnn.cli._predict import predict
from myrnn.cli._runs import runs
from myrnn.cli._settings import with_settings
from myrnn.cli._sweep import sweep
from myrnn.cli._transfer import transfer

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Engine = Annotated[str, typer.Option(help="How to run the equations: auto, native or mygrad.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no tables.")]


@app.callback(invoke_without_command=True)
def myrnn(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Train recurrent networks on sequences, and see what they learned."""
    if version:
        from myrnn._version import __version__

        typer.echo(f"myrnn {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@with_settings
def train(
    context: typer.Context,
    preset: Annotated[
        str,
        typer.Option(help="Where the other options begin: lesson, as they say, or best, the best training found."),
    ] = "lesson",
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the other options begin: a .toml or .json file with a table for each part of an experiment.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to.  [default: runs/<task>-<time>]", show_default=False)
    ] = None,
    checkpoint_every: CheckpointEvery = None,
    resume: Resume = None,
    quiet: Quiet = False,
    epochs: FormerEpochs = None,
    patience: FormerPatience = None,
    balanced: FormerBalanced = False,
    characters: FormerCharacters = False,
    **settings: Any,
) -> None:
    """Train a network, test it by length, and write a run folder.

    With no options: a simple recurrent network of 50 units learns in 100,000 iterations whether a sequence of digits
    is the same half twice. With --data, a network learns from the sequences of a file, and is tested on those of
    --test. What was stopped goes on with --resume.
    """
    options = renamed(given(context))
    if resume is not None:
        from myrnn.cli._train import resume as go_on

        return go_on(resume, options)
    from myrnn.cli._train import train_and_save

    train_and_save(options)


@app.command()
def graph(
    run: Folder,
    sequence: Annotated[
        str | None,
        typer.Option(
            help="Draw all steps of this sequence: digits, such as 2020; or numbers with commas between.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The SVG file.  [default: RUN/recurrence.svg, or RUN/graph-<sequence>.svg]", show_default=False
        ),
    ] = None,
    model: OwnClass = None,
) -> None:
    """Draw the step that a network repeats, or the computational graph of one sequence, as SVG."""
    from myrnn.cli._use import draw_graph

    draw_graph(run, sequence, out, model)


app.command()(evaluate)
app.command()(inspect)
app.command()(lesson)
app.command()(playground)
app.command()(plot)
app.command()(predict)
app.command()(sweep)
app.command()(transfer)
app.add_typer(runs, name="runs")
