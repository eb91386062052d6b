"""Make the tables and figures of study-state-tracking.md from the folder of its sweep.

``myrnn sweep studies/state-tracking.toml`` does the runs. ``python docs/make_study_state_tracking.py FOLDER`` fills the
page from its results. With ``--automata`` it trains one network of each kind again, for each group that it learned, and
extracts its automaton; without, the table of automata does not change.
"""

import sys
import tempfile
from dataclasses import dataclass
from string import ascii_letters

import numpy as np
from study_pages import DOCS, LEARNED, fill, markdown, percent

import myrnn
from myrnn import Sequences, extract_automaton, plots, shortcuts
from myrnn.evaluation.shortcuts import symbol_at
from myrnn.flat import offsets_of, places_from
from myrnn.results import pair_counts
from myrnn.sweeps import load_sweep
from myrnn.sweeps.summary import base_rates_of
from myrnn.tasks.groups import group_of
from myrnn.tasks.languages import Dfa

PAGE = DOCS / "explanation" / "study-state-tracking.md"
# The settings that make a task, and its name on the page.
TASK = ("task.name", "task.group", "task.brackets")
TASKS = {
    ("group-words", "Z2", None): "Z2, parity",
    ("group-words", "Z5", None): "Z5",
    ("group-words", "S3", None): "S3",
    ("group-words", "A5", None): "A5",
    ("modular-arithmetic", None, False): "arithmetic",
    ("modular-arithmetic", None, True): "with brackets",
}
# A variant for a task is named after its network, with this at its end.
SUFFIXES = (", A5", ", arithmetic")
# The networks of each figure.
FAMILIES = {
    "nonlinear": ("RNN, tanh", "GRU", "LSTM", "MGU", "Stack-RNN", "sLSTM"),
    "linear": ("minGRU", "LRU", "mLSTM", "Mamba", "gated DeltaNet, [0, 1]"),
    "corrected": (
        "gated DeltaNet, [-1, 1]",
        "DeltaProduct, 1 key",
        "DeltaProduct, 2 keys",
        "DeltaProduct, 4 keys",
        "RWKV-7",
    ),
}
NETWORKS = tuple(name for names in FAMILIES.values() for name in names)
# Sequences whose beginnings are classified by the shortcuts.
SHORTCUT_SEQUENCES = 20_000
# The most of the last symbols that a table predicts from.
MOST_SYMBOLS = 8
# The names of the tasks on groups, whose automata are extracted.
GROUPS = tuple(name for (task, *_), name in TASKS.items() if task == "group-words")


@dataclass(frozen=True)
class TaskRuns:
    """The runs of a network on a task: their ids, the lengths of the tests, and the accuracies, (runs, lengths)."""

    runs: list[str]
    lengths: np.ndarray
    accuracy: np.ndarray
    longest: int  # in the training

    @property
    def learned(self):
        """Which runs are right at every trained length."""
        return (self.accuracy[:, self.lengths <= self.longest] >= LEARNED).all(axis=1)

    @property
    def holds(self):
        """Which of these are also right at every longer one."""
        return self.learned & (self.accuracy >= LEARNED).all(axis=1)


def cells_of(results):
    """Return the runs of every task and network that has some."""
    rows = {}
    for row, (status, variant, *task) in enumerate(
        zip(*(results.runs[name] for name in ("status", "variant", *TASK)), strict=True)
    ):
        if status == "done":
            network = variant
            for suffix in SUFFIXES:
                network = network.removesuffix(suffix)
            rows.setdefault((TASKS[tuple(task)], network), []).append(row)
    found = {}
    for key, chosen in rows.items():
        accuracy, lengths = results.by_length(chosen)
        found[key] = TaskRuns(
            [results.runs["run"][row] for row in chosen], lengths, accuracy, results.runs["longest"][chosen[0]]
        )
    return found


def learned(cells):
    """Return the table of how many runs learned each task, and of how many of them are right on longer sequences."""
    rows = []
    for network in NETWORKS:
        row = [network]
        for task in TASKS.values():
            cell = cells.get((task, network))
            number = 0 if cell is None else int(cell.learned.sum())
            row.append("-" if cell is None else f"**{number}**, {cell.holds.sum()}" if number else "0")
        rows.append(row)
    return markdown(["network", *TASKS.values()], rows)


def accuracies(cells, length, levels):
    """Return the table of the accuracy at a length, with `levels` to compare with: texts by name and task."""
    rows = []
    for network in NETWORKS:
        row = [network]
        for task in TASKS.values():
            cell = cells.get((task, network))
            row.append("-" if cell is None else mean(cell.accuracy[:, cell.lengths == length][:, 0]))
        rows.append(row)
    rows += [[name, *(found[task] for task in TASKS.values())] for name, found in levels.items()]
    return markdown(["network", *TASKS.values()], rows)


def mean(values):
    """Return the mean of some runs, and the lowest and the highest, in percent."""
    low, high = percent(values.min()), percent(values.max())
    return low if low == high else f"{percent(values.mean())}<br>{low} to {high}"


def beginnings(task, length):
    """Return all beginnings of some sequences of a length that end at a step with an answer, with this answer."""
    drawn = task.sample_lengths(np.full(SHORTCUT_SEQUENCES, length), np.random.default_rng(2))
    ends = np.arange(len(drawn.values)) if drawn.weights is None else np.flatnonzero(drawn.weights > 0)
    starts = drawn.offsets[:-1][drawn.owners[ends]]
    lengths = ends + 1 - starts
    values = drawn.values[places_from(starts, lengths)]
    return Sequences(values, offsets_of(lengths), drawn.targets[ends], drawn.dim_input)


def by_last_symbols(sequences):
    """Return how many of the last symbols predict the most targets, and the share: by a table fitted on one half."""
    fitted, scores = np.arange(len(sequences)) % 2 == 0, {}
    codes, classes = np.zeros(len(sequences), dtype=np.int64), int(sequences.targets.max()) + 1
    for number in range(1, MOST_SYMBOLS + 1):
        codes = codes * (sequences.dim_input + 1) + symbol_at(sequences, -number) + 1
        row = np.unique(codes, return_inverse=True)[1]
        seen = pair_counts(row[fitted], sequences.targets[fitted], (int(row.max()) + 1, classes))
        scores[number] = float((seen.argmax(axis=1)[row] == sequences.targets)[~fitted].mean())
    best = max(scores, key=scores.get)
    return best, scores[best]


def levels_at(tasks, length, with_shortcuts):
    """Return texts to compare accuracies at a length with: the base rate and the best shortcut of each task."""
    found = {"base rate": {name: percent(base_rates_of(task, (length,))[0]) for name, task in tasks.items()}}
    if with_shortcuts:
        found |= {"last symbols": {}, "best shortcut": {}}
        for name, task in tasks.items():
            # They are right as often as on all beginnings together: these are the steps of the sequences.
            each = beginnings(task.make(), length)
            number, share = by_last_symbols(each)
            found["last symbols"][name] = f"{percent(share)} ({number})"
            overall = shortcuts(each).overall
            best = max(overall, key=overall.get)
            found["best shortcut"][name] = f"{percent(overall[best])} ({best})"
    return found


def figure(cells, networks, tasks):
    """Draw accuracy by length, a panel for each task and a line for each of some networks."""
    panels = {}
    for title, task in tasks.items():
        known = {network: cells[title, network] for network in networks if (title, network) in cells}
        if known:
            first = next(iter(known.values()))
            curves = {network: cell.accuracy for network, cell in known.items()}
            rates = base_rates_of(task, tuple(first.lengths.tolist()))
            panels[title] = plots.Panel(first.lengths, curves, first.longest, rates)
    return plots.plot_length_grid(panels).flat[0].figure


def automata(cells, results, tasks):
    """Return the table of the automata of one network of each kind, for each group that a run of it holds."""
    rows = []
    for network in NETWORKS:
        found = [cells.get((title, network)) for title in GROUPS]
        if any(cell is not None and cell.holds.any() for cell in found):
            each = zip(GROUPS, found, strict=True)
            known = (
                "" if cell is None or not cell.holds.any() else states(cell, results, tasks[t].make())
                for t, cell in each
            )
            rows.append([network, *known])
    heads = [f"{title}: {tasks[title].make().dim_output} elements" for title in GROUPS]
    return markdown(["network", *heads], rows)


def automaton_of(task):
    """Return the automaton of the words whose product is element 1 of a group; its symbols are letters."""
    group = group_of(task.group)
    moves = group.table[:, [group.names.index(name) for name in task.symbol_names]]
    return Dfa(ascii_letters[: task.dim_input], moves, np.arange(len(moves)) == 1).minimal()


def states(cell, results, task):
    """Train the first network that holds again; return the number of states of the group's automaton if it has it."""
    point = results.point(cell.runs[int(np.flatnonzero(cell.holds)[0])])
    with tempfile.TemporaryDirectory() as folder:
        model = myrnn.run(point.experiment, f"{folder}/run", progress=False).model
    wanted, longest = automaton_of(task), int(cell.lengths[-1])
    limits = {"max_length": longest, "max_states": 2 * len(wanted), "seconds": 300}
    found = extract_automaton(model, wanted.symbols, accept=1, **limits)
    print(f"{point.label}: {found.summary()}", flush=True)
    equal = next((one for one in found.hypotheses if one.dfa.difference(wanted) is None), None)
    if equal is None:
        return f"not found: {len(found)}"
    return f"{len(wanted)}" + (f" ({len(equal.counterexample)})" if equal.counterexample else "")


def write(folder, with_automata):
    """Fill the page and draw its figures."""
    results = load_sweep(folder)
    cells = cells_of(results)
    settings = {}
    for point in results.study.points:
        name = TASKS[tuple(point.settings.get(setting) for setting in TASK)]
        settings[name] = point.experiment.source.settings
    first = next(iter(cells.values()))
    trained, longest = first.longest, int(first.lengths[-1])
    parts = {
        "learned": learned(cells),
        "trained": accuracies(cells, trained, levels_at(settings, trained, with_shortcuts=True)),
        "beyond": accuracies(cells, longest, levels_at(settings, longest, with_shortcuts=False)),
    }
    if with_automata:
        parts["automata"] = automata(cells, results, settings)
    fill(PAGE, parts)
    for name, networks in FAMILIES.items():
        if not any(network in networks for _, network in cells):
            continue
        plots.save_figure(figure(cells, networks, settings), DOCS / "images" / f"study-state-tracking-{name}.png")


if __name__ == "__main__":
    folders = [given for given in sys.argv[1:] if given != "--automata"]
    write(folders[0] if folders else "sweeps/state-tracking", "--automata" in sys.argv)
