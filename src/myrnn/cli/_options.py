"""Options that several commands have, former options, and which options a command line has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from myrnn._user_code import warn
from myrnn.errors import InvalidArgument

# Former options, what they are called now, and what they meant where they took no value.
FORMER: dict[str, tuple[str, Any]] = {
    "epochs": ("max_epochs", None),
    "patience": ("early_stopping_patience", None),
    "balanced": ("class_weight", "balanced"),
    "characters": ("tokenize", "characters"),
}

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
# The former names of --max-epochs, --early-stopping-patience, --class-weight balanced and --tokenize characters.
FormerEpochs = Annotated[int | None, typer.Option("--epochs", min=1, hidden=True)]
FormerPatience = Annotated[int | None, typer.Option("--patience", min=1, hidden=True)]
FormerBalanced = Annotated[bool, typer.Option("--balanced", hidden=True)]
FormerCharacters = Annotated[bool, typer.Option("--characters", hidden=True)]


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
