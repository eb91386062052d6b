"""``myrnn extract`` extracts an automaton from a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from myrnn import _checks
from myrnn.cli import show
from myrnn.cli.options import OwnClass, RunFolder, load, option, picture_option
from myrnn.compiler import CompiledModel, compile
from myrnn.data.targets import LABELS
from myrnn.errors import CompileError, InvalidArgument
from myrnn.inspection import extract_automaton
from myrnn.inspection.automata.search import LONGEST, table_lengths
from myrnn.plots import save_figure


def extract(
    folder: RunFolder,
    method: Annotated[
        str, option("lstar asks the network about strings, clusters groups its states.", metavar="NAME")
    ] = "lstar",
    equivalence: Annotated[
        str, option("How lstar looks for differences: states, words or both.", metavar="NAME")
    ] = "both",
    accept: Annotated[
        str | None,
        option("The class of accepted strings.  [default: the second, if there are two]", metavar="CLASS"),
    ] = None,
    max_length: Annotated[
        int | None, option("The maximum length of random strings.  [default: the longest trained]", min=1)
    ] = None,
    seconds: Annotated[float, option("The time limit.")] = 60.0,
    max_states: Annotated[int, option("Stop when the automaton has more states.", min=1)] = 200,
    seed: Annotated[int, option("Seed of the random strings.", min=0)] = 0,
    out: Annotated[
        Path | None, picture_option("The figure: a .svg, .png or .pdf file.  [default: RUN/automaton.svg]")
    ] = None,
    model: OwnClass = None,
) -> None:
    """Extract an automaton that accepts the same sequences as a network, and draw it."""
    run = load(folder, model)
    if run.reader.learn != LABELS or not run.reader.is_symbols:
        raise InvalidArgument(
            f"{folder} is not a classifier of symbols: automata are extracted only from such networks"
        )
    names = run.class_names
    if accept is None and len(names) > 2:
        raise InvalidArgument(f"the network has {len(names)} classes: --accept chooses one of {', '.join(names)}")
    longest = min(max(run.history.longest, 1), LONGEST) if max_length is None else max_length
    label = None if accept is None else names.index(_checks.one_of("--accept", accept, names))
    compiled = _compiled(run.recognizer)
    found = extract_automaton(
        compiled,
        run.reader.alphabet,
        method=method,
        equivalence=equivalence,
        accept=label,
        examples=run.reader.examples,
        max_length=longest,
        seconds=seconds,
        max_states=max_states,
        seed=seed,
    )
    show.table(found)
    tested = table_lengths(longest)
    lengths = [*tested, *(longest + length for length in tested[1:] if longest + length <= LONGEST)]
    network = found.agreement(compiled, lengths=lengths, accept=label, seed=seed)
    truth = None
    if callable(getattr(run.reader.recognition, "truth", None)):
        truth = found.agreement(run.reader.recognition, lengths=lengths, accept=label, seed=seed)
    show.table(network, beside=truth)
    print()
    show.named_rows(("accepted", names[1 if label is None else label]))
    path = run.folder / "automaton.svg" if out is None else out
    try:
        show.path("automaton", save_figure(found.plot(), path))
    except InvalidArgument as error:
        show.named_rows(("automaton", f"no picture: {error}"))


def _compiled(model: Any) -> CompiledModel | Any:
    """Return the model compiled, because it is called twice; or itself if it does not compile."""
    try:
        return compile(model)
    except CompileError:
        return model
