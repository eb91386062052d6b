"""The options of ``myrnn train`` that go with ``--data``, and which options a command line has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn._user_code import warn
from myrnn.errors import InvalidArgument

# Options of `myrnn train` that only --data gives a meaning.
FOR_DATA = (
    "labels",
    "test",
    "test_labels",
    "tokenize",
    "text_column",
    "label_column",
    "delimiter",
    "skip_bad_lines",
    "layers",
    "dim_embedding",
    "max_epochs",
    "validation_fraction",
    "early_stopping_patience",
    "class_weight",
    "max_vocabulary",
)

# Former options, what they are called now, and what they meant where they took no value.
FORMER: dict[str, tuple[str, Any]] = {
    "epochs": ("max_epochs", None),
    "patience": ("early_stopping_patience", None),
    "balanced": ("class_weight", "balanced"),
    "characters": ("tokenize", "characters"),
}

DataFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sequences to learn from: .csv, .tsv, .jsonl or .parquet with columns sequence and label, or .txt.",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The labels of a .txt file, one a line.", show_default=False)
]
TestFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Sequences to test on, as --data.", show_default=False)
]
TestLabels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The labels of --test, as --labels.", show_default=False)
]
Tokenize = Annotated[
    str,
    typer.Option(help="What the symbols of text are: words, characters, or auto (words where there are spaces)."),
]
TextColumn = Annotated[str, typer.Option(metavar="NAME", help="The column of the sequences.")]
LabelColumn = Annotated[str, typer.Option(metavar="NAME", help="The column of the labels.")]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="The character between the fields of a .csv or .tsv file, such as ';'.  [default: a comma, a tab]",
        show_default=False,
    ),
]
SkipBadLines = Annotated[
    bool, typer.Option("--skip-bad-lines", help="Count malformed lines and go on, instead of stopping.")
]
Layers = Annotated[int | None, typer.Option(min=1, help="How many recurrent layers.  [default: 1]")]
DimEmbedding = Annotated[
    int | None,
    typer.Option(
        min=0, help="The size of a learned embedding of symbols; 0 is one-hot.  [default: 32 for gru and lstm, else 0]"
    ),
]
MaxEpochs = Annotated[int | None, typer.Option(min=1, help="How often to go through the data at most.  [default: 100]")]
ValidationFraction = Annotated[
    float | None, typer.Option(help="The share of the data to choose the best epoch by.  [default: 0.1]")
]
EarlyStoppingPatience = Annotated[
    int | None, typer.Option(min=1, help="How many epochs may pass without a better one.  [default: 20]")
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="How much the classes count: balanced, so that rare ones count as much, or as in spam=3,ham=1.  "
        "[default: all the same]",
        show_default=False,
    ),
]
# The former names of --max-epochs, --early-stopping-patience, --class-weight balanced and --tokenize characters.
FormerEpochs = Annotated[int | None, typer.Option("--epochs", min=1, hidden=True)]
FormerPatience = Annotated[int | None, typer.Option("--patience", min=1, hidden=True)]
FormerBalanced = Annotated[bool, typer.Option("--balanced", hidden=True)]
FormerCharacters = Annotated[bool, typer.Option("--characters", hidden=True)]
MaxVocabulary = Annotated[
    int | None, typer.Option(min=1, help="How many symbols to tell apart, the most frequent.  [default: all]")
]


Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Go on with a run that was stopped, as if it had not been; with a whole one, given more --iterations, or "
        "--max-epochs for one on data; or with one that diverged, given --on-divergence restart.",
        show_default=False,
    ),
]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How often the state of the training is saved; 0: at every report.  [default: every 10 seconds, "
        "less often where it would take more than a hundredth of the time]",
        show_default=False,
    ),
]
OwnClass = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:CLASS",
        help="The class of the model, for a run that was trained with one of your own.",
        show_default=False,
    ),
]


def given(context: typer.Context) -> dict[str, Any]:
    """Return the options that stand on the command line, by their names; not those left at their defaults."""
    return {
        name: value
        for name, value in context.params.items()
        # Typer keeps the kind of source to itself, but not its name.
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


def renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their present names, with a warning for every former one."""
    present = {name: value for name, value in options.items() if name not in FORMER}
    for old in FORMER.keys() & options.keys():
        new, meaning = FORMER[old]
        former, now = f"--{old}", f"--{new.replace('_', '-')}"
        if new in present:
            raise InvalidArgument(f"{former} is the former name of {now}: give one of them")
        present[new] = options[old] if meaning is None else meaning
        warn(f"{former} is now {now}{'' if meaning is None else f' {meaning}'}")
    return present


def refuse_without(option: str, options: Mapping[str, Any], names: Collection[str]) -> None:
    """Refuse options that mean nothing without the one that is missing."""
    for name in options:
        if name in names:
            raise InvalidArgument(f"--{name.replace('_', '-')} goes with {option}, which is missing")
