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
    FOR_DATA,
    SETTINGS,
    CheckpointEvery,
    ClassWeight,
    DataFile,
    Delimiter,
    DimEmbedding,
    EarlyStoppingPatience,
    FormerBalanced,
    FormerCharacters,
    FormerEpochs,
    FormerPatience,
    LabelColumn,
    Labels,
    Layers,
    MaxEpochs,
    MaxVocabulary,
    OnDivergence,
    OwnClass,
    Resume,
    SkipBadLines,
    TestFile,
    TestLabels,
    TextColumn,
    Tokenize,
    ValidationFraction,
    given,
    refuse_without,
    renamed,
)
from myrnn.cli._playground import playground
from myrnn.cli._plot import plot
from myrnn.cli._predict import predict
from myrnn.cli._runs import runs
from myrnn.cli._sweep import sweep
from myrnn.cli._transfer import transfer
from myrnn.runs import LARGEST

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})

LONGEST_HALF, MOST_SYMBOLS, WIDEST = (
    LARGEST[name] for name in ("pattern_length_max", "alphabet_size", "dim_recurrent")
)

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Samples = Annotated[int, typer.Option(min=1, max=LARGEST["samples"], help="How many sequences to evaluate on.")]
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
def train(
    context: typer.Context,
    preset: Annotated[
        str,
        typer.Option(help="Where the other options begin: lesson, as they say, or best, the best training found."),
    ] = "lesson",
    task: Annotated[str, typer.Option(help="What to learn: twin-halves or palindromes.")] = "twin-halves",
    negatives: Annotated[
        str, typer.Option(help="Second halves that do not match: uniform (any), or near_miss (a few symbols changed).")
    ] = "uniform",
    pattern_length_min: Annotated[
        int, typer.Option(min=1, max=LONGEST_HALF, help="The shortest half of a sequence.")
    ] = 1,
    pattern_length_max: Annotated[
        int, typer.Option(min=1, max=LONGEST_HALF, help="The longest half of a sequence.")
    ] = 10,
    alphabet_size: Annotated[
        int, typer.Option(min=2, max=MOST_SYMBOLS, help="How many different symbols there are.")
    ] = 10,
    parity: Annotated[
        str | None, typer.Option(help="Lengths of palindromes: even, odd or both.  [default: even]")
    ] = None,
    max_changes: Annotated[int, typer.Option(min=1, help="How many symbols of a near miss are changed at most.")] = 3,
    model: Annotated[
        str, typer.Option(help="The network: rnn, gru or lstm; or a class of your own, as my_file.py:MyClass.")
    ] = "rnn",
    activation: Annotated[str | None, typer.Option(help="Of an rnn: relu or tanh.  [default: relu]")] = None,
    recurrent_init: Annotated[
        str | None,
        typer.Option(
            help="Of an rnn: how its recurrent weights begin, glorot, identity or minus-identity.  [default: glorot]"
        ),
    ] = None,
    dim_recurrent: Annotated[int, typer.Option(min=1, max=WIDEST, help="How many recurrent units there are.")] = 50,
    iterations: Annotated[int, typer.Option(min=1, help="How many optimizer steps to do.")] = 100_000,
    batch_size: Annotated[int, typer.Option(min=1, help="How many sequences each step is the mean of.")] = 1,
    optimizer: Annotated[str, typer.Option(help="sgd, rmsprop or adam.")] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help="The size of a step.  [default: the optimizer's own]")
    ] = None,
    momentum: Annotated[
        float | None, typer.Option(help="Of sgd: how much of the last step goes on.  [default: 0]")
    ] = None,
    weight_decay: Annotated[
        float, typer.Option(help="A step shrinks every weight by this share times the learning rate.")
    ] = 0.0,
    schedule: Annotated[
        str, typer.Option(help="The learning rate: constant, or falling to zero as cosine or linear.")
    ] = "constant",
    gradient_clip: Annotated[
        float | None, typer.Option(help="The largest norm of the gradient.  [default: no limit]")
    ] = None,
    engine: Engine = "auto",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    report_every: Annotated[int, typer.Option(min=1, help="Iterations that each point of the history averages.")] = 500,
    samples: Samples = 100_000,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to.  [default: runs/<task>-<time>]", show_default=False)
    ] = None,
    on_divergence: OnDivergence = "stop",
    checkpoint_every: CheckpointEvery = None,
    resume: Resume = None,
    quiet: Quiet = False,
    data: DataFile = None,
    labels: Labels = None,
    test: TestFile = None,
    test_labels: TestLabels = None,
    tokenize: Tokenize = "auto",
    text_column: TextColumn = "sequence",
    label_column: LabelColumn = "label",
    delimiter: Delimiter = None,
    skip_bad_lines: SkipBadLines = False,
    layers: Layers = None,
    dim_embedding: DimEmbedding = None,
    max_epochs: MaxEpochs = None,
    validation_fraction: ValidationFraction = None,
    early_stopping_patience: EarlyStoppingPatience = None,
    class_weight: ClassWeight = None,
    max_vocabulary: MaxVocabulary = None,
    epochs: FormerEpochs = None,
    patience: FormerPatience = None,
    balanced: FormerBalanced = False,
    characters: FormerCharacters = False,
) -> None:
    """Train a network, test it by length, and write a run folder.

    With no options: a simple recurrent network of 50 units learns in 100,000 iterations whether a sequence of digits
    is the same half twice. With --data, a classifier of your own sequences is trained, and tested with --test. What
    was stopped goes on with --resume.
    """
    options = renamed(given(context))
    if resume is not None:
        from myrnn.cli._train import resume as go_on

        return go_on(resume, options)
    if data is not None:
        from myrnn.cli._train_data import train_on_data

        return train_on_data(options)
    refuse_without("--data", options, FOR_DATA)
    from myrnn.cli._train import train_and_save
    from myrnn.presets import find_preset

    begins = find_preset(preset)
    chosen = {**context.params, **begins.beside(options)}
    for name in ("negatives", "recurrent_init"):
        chosen[name] = chosen[name] and chosen[name].replace("-", "_")
    settings = {part: {name: chosen[name] for name in names} for part, names in SETTINGS.items()}
    train_and_save(
        **{part: _given(name=chosen[part], **settings[part]) for part in ("task", "model", "optimizer")},
        training=settings["training"],
        preset=begins.described(options) if "preset" in options else None,
        samples=samples,
        out=out,
        every=checkpoint_every,
        quiet=quiet,
    )


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


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given; the others keep the defaults of what they belong to."""
    return {name: value for name, value in options.items() if value is not None}
