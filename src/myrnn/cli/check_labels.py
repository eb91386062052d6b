"""``myrnn check-labels`` finds strings of a file with wrong labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from myrnn.cli import show
from myrnn.cli.options import Delimiter, SkipBadLines, check_file
from myrnn.data import TokenSequences, read_sequences
from myrnn.errors import InvalidArgument
from myrnn.experiment import Part
from myrnn.tasks.languages import FLARE, Language
from myrnn.tasks.languages import check_labels as wrong_labels

# More lines would scroll the first ones off the terminal.
MOST_SHOWN = 20


def check_labels(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Labelled strings, as for myrnn train --data.", show_default=False),
    ],
    language: Annotated[
        str,
        typer.Option(
            help=f"What the strings are: one of FLaRe's languages ({', '.join(FLARE)}), or a task of a language, such "
            "as regular:(ab)* or tomita:3.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The labels of plain text, one per line.", show_default=False),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="The label of members.  [default: 1, True, yes or accept]", show_default=False
        ),
    ] = None,
    tokenize: Annotated[str, typer.Option(help="What symbols are: words, characters, or auto.")] = "auto",
    text_column: Annotated[str, typer.Option(metavar="NAME", help="The column with the strings.")] = "sequence",
    label_column: Annotated[str, typer.Option(metavar="NAME", help="The column with the labels.")] = "label",
    delimiter: Delimiter = None,
    skip_bad_lines: SkipBadLines = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all strings with a wrong label as CSV.", show_default=False),
    ] = None,
) -> None:
    """Compare the labels of strings with a language, and list the wrong ones.

    The exit code is 1 if there are any.
    """
    check_file("--out", out)
    known = _language(language)
    data = read_sequences(
        file,
        labels,
        tokenize=tokenize,
        text_column=text_column,
        label_column=label_column,
        delimiter=delimiter,
        kind="tokens",
        skip_bad_lines=skip_bad_lines,
    )
    assert isinstance(data.sequences, TokenSequences) and data.labels is not None
    strings = [list(map(str, string)) for string in data.sequences]
    found = wrong_labels(strings, data.labels.tolist(), known, member=member, lines=data.lines)
    wrong = len(found.places)
    show.named_rows(
        ("file", str(file)),
        ("language", language),
        ("strings", f"{found.total:,}, {found.members:,} of them members"),
        ("wrong", f"{wrong:,} labels ({wrong / found.total:.2%})"),
    )
    if wrong:
        show.table(found, most=MOST_SHOWN)
    if out is not None:
        found.table().to_csv(out)
        show.path("all", out)
    if wrong:
        raise typer.Exit(1)


def _language(given: str) -> Language:
    """Return the language of FLaRe with this name, or the language of a task."""
    part = Part.read("task", f"flare:{given}" if given in FLARE else given)
    # The lengths of the task do not matter here; some may have no members or no others.
    whole = {"any_length": True} if "any_length" in part.settings.__struct_fields__ else {}
    found = getattr(part.make(**whole), "language", None)
    if not isinstance(found, Language):
        raise InvalidArgument(f"language must be a formal language, such as {FLARE[0]} or regular:(ab)*, not {given!r}")
    return found
