"""Train networks on Tomita's languages, extract their automata, and draw some.

``python docs/make_automata.py`` prints a table of seven languages and three kinds of networks, then the automata of a
network that learned a^n b^n. With a folder as argument it writes pictures there.
"""

import sys
import time
from pathlib import Path

import myrnn
from myrnn import GRU, LSTM, RNN, Adam, extract_automaton
from myrnn.plots import save_figure
from myrnn.results import Table, integer, number, text
from myrnn.tasks import EqualCounts, Tomita

KINDS = {
    "RNN": lambda inputs: RNN(inputs, 16, 2, activation="tanh", rng=0),
    "GRU": lambda inputs: GRU(inputs, 16, 2, rng=0),
    "LSTM": lambda inputs: LSTM(inputs, 16, 2, rng=0),
}
LONGEST = 15


def trained(kind, task, iterations=8_000):
    """Return a compiled network trained on a task, and the seconds of training without compiling."""
    for count in (1, iterations):
        model = KINDS[kind](task.dim_input)
        optimizer = Adam(model.parameters, learning_rate=0.01, weight_decay=0.01)
        begin = time.perf_counter()
        myrnn.train(model, task, optimizer, count, batch_size=20, schedule="cosine", seed=0, progress=False)
    seconds = time.perf_counter() - begin
    return myrnn.compile(model), seconds


def tomita(folder):
    """Return the table of all languages and networks."""
    rows = []
    for number_ in range(1, 8):
        task = Tomita(number_, length_min=0, length_max=LONGEST, any_length=True)
        for kind in KINDS:
            model, seconds = trained(kind, task)
            found = extract_automaton(model, "01", max_length=LONGEST)
            clusters = extract_automaton(model, "01", max_length=LONGEST, method="clusters", seconds=20, max_states=40)
            differs = [one.dfa.difference(task.language) for one in (found, clusters)]
            longer = found.agreement(model, lengths=range(2 * LONGEST + 1))
            rows.append(
                {
                    "language": number_,
                    "network": kind,
                    "states": len(found),
                    "exact": "yes" if differs[0] is None else f"no: {differs[0]}",
                    "train": seconds,
                    "extract": found.seconds,
                    "asked": found.queries,
                    "agree": 100 * longer.share,
                    "clusters": "yes" if differs[1] is None else "no",
                    "cluster_s": clusters.seconds,
                }
            )
            if folder is not None and kind == "GRU":
                save_figure(found.plot(), folder / f"automaton-tomita-{number_}.svg")
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    shown = (
        integer("language"),
        text("network"),
        integer("states"),
        text("exact"),
        number("train", ".2f", "training, s"),
        number("extract", ".2f", "extraction, s"),
        integer("asked", "strings asked"),
        number("agree", ".2f", f"agrees up to {2 * LONGEST}, %"),
        text("clusters", "clusters exact"),
        number("cluster_s", ".2f", "clusters, s"),
    )
    return Table("Automata of trained networks", columns, shown)


def not_regular(folder):
    """Return the automata of a network trained on a^n b^n, and their agreement with it and with the language."""
    task = EqualCounts("ab", length_min=0, length_max=16, any_length=True)
    model, _ = trained("LSTM", task, 20_000)
    found = extract_automaton(model, "ab", examples=task, max_length=32, max_states=30)
    if folder is not None:
        chosen = next(one for one in found.hypotheses if one.states >= 9)
        save_figure(myrnn.plots.plot_automaton(chosen.dfa), folder / "automaton-equal-counts.svg")
    lengths = range(0, 49, 4)
    agreement = found.agreement(model, lengths=lengths).table(beside=found.agreement(task, lengths=lengths))
    return found.table(), agreement


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for table in (tomita(where), *not_regular(where)):
        print(table.to_text(140))
