"""``myrnn generate`` continues a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from myrnn.cli.options import OwnClass, argument, load_learned, option
from myrnn.data.targets import TEXT

if TYPE_CHECKING:
    # scikit-learn takes longer to import than everything else, so commands import it when they need it.
    from myrnn.estimators import LanguageModel


def generate(
    run: Annotated[Path, argument("The folder of a run that learned text.", "RUN")],
    prime: Annotated[str, option("What the text begins with.  [default: a line break]")] = "",
    length: Annotated[int, option("How many symbols to write.", min=1)] = 500,
    temperature: Annotated[
        float, option("Below 1 likely symbols become likelier; with 0 the most likely one is taken.", min=0)
    ] = 1.0,
    top_k: Annotated[
        int | None, option("Draw from the K most likely symbols.  [default: from all]", metavar="K", min=1)
    ] = None,
    seed: Annotated[
        int | None, option("The same seed writes the same text.  [default: another at each call]", min=0)
    ] = None,
    model: OwnClass = None,
) -> None:
    """Write text with a network: each symbol is drawn from its prediction."""
    from myrnn.estimators import LanguageModel

    writer = LanguageModel.of_run(load_learned(run, model, TEXT, "writes"))
    begin = prime or _first_symbol(writer)
    written = writer.generate(begin, length, temperature=temperature, top_k=top_k, seed=seed)
    between = "" if writer.tokenize_ == "characters" or not prime else " "
    print(f"{prime}{between}{written if isinstance(written, str) else ' '.join(map(str, written))}")


def _first_symbol(writer: LanguageModel) -> Any:
    """Return the default first symbol of a text: a line break, or else the first known symbol."""
    symbols = writer.encoder_.symbols
    first = "\n" if "\n" in symbols else symbols[0]
    return first if writer.tokenize_ is not None else [first]
