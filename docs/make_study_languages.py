"""Make the tables and figures of study-languages.md from the folders of its sweeps.

``myrnn sweep studies/flare.toml`` and ``myrnn sweep studies/deepmind.toml`` do the runs. ``python
docs/make_study_languages.py FOLDER [FOLDER]`` reads their folders and fills the page. Without the folder of a
study, its part of the page does not change.
"""

import sys

from study_pages import DOCS, LEARNED, fill, markdown, percent

from myrnn import plots
from myrnn.sweeps import load_sweep

PAGE = DOCS / "explanation" / "study-languages.md"
# The columns that name a network, by study; the language comes first.
NETWORKS = {"flare": ("variant",), "deepmind": ("model.name", "model.activation")}
TITLES = {
    ("rnn", "tanh"): "RNN, tanh",
    ("rnn", "relu"): "RNN, ReLU",
    ("gru", None): "GRU",
    ("lstm", None): "LSTM",
    ("mgu", None): "MGU",
    ("stack-rnn", None): "Stack-RNN",
}
ORDER = tuple(TITLES.values())


def table(rows, languages, span):
    """Return the Markdown table of a span of lengths: a row for each language, a column for each network."""
    with_shortcuts = any(row[f"shortcut_{span}"] is not None for row in rows.values())
    head = ["language", *ORDER, *(["best shortcut"] if with_shortcuts else []), "base rate"]
    lines = []
    for language in languages:
        cells = [cell(rows.get((language, network)), span) for network in ORDER]
        row = next(row for (name, _), row in rows.items() if name == language)
        if with_shortcuts:
            best = row[f"shortcut_{span}"]
            cells.append("-" if best is None else f"{percent(best)} ({row[f'shortcut_{span}_name']})")
        rate = row[f"base_rate_{span}"]
        cells.append("-" if rate is None else percent(rate))
        lines.append([language, *cells])
    return markdown(head, lines)


def cell(row, span):
    """Return the mean of some runs, half of its interval, and the lowest and the highest run, in percent."""
    if row is None or row[span] is None:
        return "-"
    low, high = percent(row[f"{span}_lowest"]), percent(row[f"{span}_highest"])
    if row[f"{span}_low"] is None or low == high:
        return percent(row[span])
    reach = max(row[f"{span}_high"] - row[span], row[span] - row[f"{span}_low"])
    return f"{percent(row[span])} ± {percent(reach)}<br>{low} to {high}"


def held(rows, languages):
    """Return for each network what every run learned, for trained lengths only and also for longer strings."""
    lines = []
    for network in ORDER:
        known = {name: rows[name, network] for name in languages if (name, network) in rows}
        learned = {name for name, row in known.items() if (row["accuracy_lowest"] or 0) >= LEARNED}
        holds = {name for name in learned if (known[name]["beyond_lowest"] or 0) >= LEARNED}
        lists = [", ".join(name for name in languages if name in chosen) or "-" for chosen in (holds, learned - holds)]
        lines.append([network, *lists])
    return markdown(["network", "learned, and right on long strings", "learned for trained lengths only"], lines)


def write(folder):
    """Write the part of a study into the page, and draw its figure."""
    results = load_sweep(folder)
    name = results.study.name
    by = ("task.language_name", *NETWORKS[name])
    records = results.summary(by).rows()
    rows = {}
    for record in records:
        key = tuple(record[setting] for setting in NETWORKS[name])
        network = key[0] if name == "flare" else TITLES[key]
        rows[record["task.language_name"], network] = record
    languages = list(dict.fromkeys(language for language, _ in rows))
    parts = {
        "trained": table(rows, languages, "accuracy"),
        "beyond": table(rows, languages, "beyond"),
        "held": held(rows, languages),
    }
    fill(PAGE, {f"{name}: {part}": text for part, text in parts.items()})
    axes = results.plot("grid", by=by)
    plots.save_figure(axes.flat[0].figure, DOCS / "images" / f"study-{name}.png")


if __name__ == "__main__":
    for given in sys.argv[1:]:
        write(given)
