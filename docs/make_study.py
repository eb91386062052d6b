"""Make the figure and the table of study-halves.md from the folder of its sweep.

``myrnn sweep studies/halves.toml`` does the runs, ``python docs/make_study.py [FOLDER]`` reads them, by default from
``sweeps/halves``, and writes the figure and the table into the page.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from study_pages import DOCS, fill, markdown

from myrnn import plots
from myrnn.sweeps import load_sweep

PAGE, FIGURE = DOCS / "explanation" / "study-halves.md", DOCS / "images" / "study-halves.png"
TITLES = {"twin-halves": "twin halves", "palindromes": "palindromes"}


def curves(results):
    """Return the lengths, and the accuracies (R, L) of the runs by task, units and network."""
    lengths = np.unique(results.lengths["length"])
    share = dict.fromkeys(results.runs["run"], ())
    for run, right, total in zip(*(results.lengths[name] for name in ("run", "correct", "total")), strict=True):
        share[run] += (right / total,)
    found = {}
    for run, *key in zip(*(results.runs[name] for name in ("run", *KEY)), strict=True):
        if share[run]:
            found.setdefault(tuple(key), []).append(share[run])
    return lengths, {key: np.array(rows) for key, rows in found.items()}


KEY = ("task.name", "model.dim_recurrent", "variant")


def draw(lengths, found, trained_up_to):
    """Draw a panel for each task and number of units, a line for each network."""
    tasks, widths, networks = (list(dict.fromkeys(key[place] for key in found)) for place in range(3))
    shape = len(tasks), len(widths)
    figure, panels = plt.subplots(
        *shape, figsize=(4 * shape[1], 3.1 * shape[0]), sharex=True, sharey=True, squeeze=False
    )
    for row, task in enumerate(tasks):
        for column, width in enumerate(widths):
            ax = panels[row, column]
            chosen = {name: found[task, width, name] for name in networks if (task, width, name) in found}
            plots.plot_length_bands(lengths, chosen, trained_up_to=trained_up_to, chance=0.5, ax=ax)
            if (row, column) == (0, 0):
                handles, labels = ax.get_legend_handles_labels()
            if ax.get_legend() is not None:
                ax.get_legend().remove()
            ax.set_title(f"{TITLES[task]}, {width} units", fontsize=10)
            ax.set_ylim(0.45, 1.02)
            ax.set_xticks(range(4, 41, 4), labels=range(4, 41, 4))
            ax.label_outer()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    return figure


def table(results):
    """Return the table of the page: the results of every network and number of units on both tasks."""
    tasks, widths, networks = (list(dict.fromkeys(results.runs[name])) for name in KEY)
    head = ["network", "units"]
    for task in tasks:
        head += [f"{TITLES[task]}: worst trained length", "22 to 40"]
    rows = []
    for network in networks:
        for width in widths:
            cells = [_cell(results, (task, width, network), metric) for task in tasks for metric in ("worst", "beyond")]
            rows.append([network, str(width), *cells])
    return markdown(head, rows)


def _cell(results, key, metric):
    """Return the mean over the seeds, the lowest and the highest, in percent."""
    rows = zip(*(results.runs[name] for name in KEY), results.runs[metric], strict=True)
    values = [100 * value for *found, value in rows if tuple(found) == key and value is not None]
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})" if values else "-"


if __name__ == "__main__":
    sweep = load_sweep(sys.argv[1] if len(sys.argv) > 1 else "sweeps/halves")
    longest = max(length for length in sweep.runs["longest"] if length is not None)
    plots.save_figure(draw(*curves(sweep), longest), FIGURE)
    fill(PAGE, {"table": table(sweep)})
