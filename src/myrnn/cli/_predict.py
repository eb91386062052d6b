"""What ``myrnn predict`` does: say the classes of sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from myrnn.cli._options import Delimiter, OwnClass, SkipBadLines, given, refuse_without

# The options must be known before the command runs; what it needs is imported when it does.


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    sequences: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SEQUENCE",
            help="Digits, such as 123123; or numbers with commas between. Of a run on data: text as in its files.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of sequences, for a run that was trained with --data; labels are not needed.",
            show_default=False,
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column of the sequences.  [default: as in the training]", show_default=False
        ),
    ] = None,
    delimiter: Delimiter = None,
    skip_bad_lines: SkipBadLines = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the CSV of --data here.  [default: print it]", show_default=False),
    ] = None,
    model: OwnClass = None,
    not_finite: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The class to give to sequences whose logits are not finite.  [default: such a sequence is an error]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the class of sequences, and its probability; of a file's sequences, as CSV."""
    from myrnn.errors import InvalidArgument
    from myrnn.runs import is_data_run

    if data is None:
        refuse_without("--data", given(context), ("out", "text_column", "delimiter", "skip_bad_lines"))
        if not sequences:
            raise InvalidArgument("give sequences, or a file of them with --data")
        _of_texts(run, sequences, model, not_finite)
        return
    if sequences:
        raise InvalidArgument("sequences and --data do not go together: give one or the other")
    if run.is_dir() and not is_data_run(run):
        raise InvalidArgument(f"--data goes with a run that was trained on data, which {run} was not: give sequences")
    from myrnn.cli._predict_data import predict_file

    predict_file(
        run, data, out, not_finite, model, text_column=text_column, delimiter=delimiter, skip_bad_lines=skip_bad_lines
    )


def _of_texts(run: Path, texts: list[str], model: str | None, not_finite: str | None) -> None:
    from myrnn.cli._predict_data import predict_texts
    from myrnn.cli._use import predict_sequences
    from myrnn.runs import is_data_run

    (predict_texts if is_data_run(run) else predict_sequences)(run, texts, model, not_finite)
