"""``myrnn export`` writes a network as a file that other programs read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from myrnn import exports
from myrnn.cli import show
from myrnn.cli.options import OwnClass, RunFolder, argument, load, option
from myrnn.errors import InvalidArgument


def export(
    run: RunFolder,
    file: Annotated[
        Path, argument(f"The file to write; its ending chooses the format: {', '.join(exports.FORMATS)}.", "FILE")
    ],
    tokens: Annotated[
        bool | None,
        option(
            "Read the numbers of symbols, or rows of features.  [default: as in the training]", "--tokens/--features"
        ),
    ] = None,
    batched: Annotated[bool, option("Read several sequences of one length at once.", "--batched")] = False,
    training: Annotated[bool, option("Write what is needed to continue training, too.", "--training")] = False,
    name: Annotated[
        str | None,
        option(
            "The name of an ONNX graph, or what names in a .c file begin with.  [default: the name of the file]",
            metavar="NAME",
        ),
    ] = None,
    force: Annotated[bool, option("Replace the file if it exists.", "--force")] = False,
    model: OwnClass = None,
) -> None:
    """Write a network as a file that other programs read."""
    if os.path.exists(file) and not force:
        raise InvalidArgument(f"{file} exists: --force replaces it")
    written = exports.export(
        load(run, model), file, tokens=tokens, batched=batched, training=training, name=name, overwrite=force
    )
    show.path("network", written)
