"""One notebook, open in JupyterLab: run its cells, and see their outputs like a user."""

import json
import re
import urllib.request
from urllib.parse import quote

from browser_page import BrowserPage

# All scripts start with this: the cells of the notebook, in order, including those out of view.
CELLS = "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell')]"
# The notebook that is open, whether or not the page has the focus.
NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')][0]"
# From now on, keep a copy of every picture that an output of cell `arguments[0]` shows, in order, with whether cell
# `arguments[1]` was running.
WATCH = """
    const [shown, running] = [CELLS[arguments[0]], CELLS[arguments[1]]];
    const seen = window.seenPictures = [];
    const look = () => shown.querySelectorAll('.jp-OutputArea-output img').forEach(image => {
        const runs = running.querySelector('.jp-InputPrompt').textContent.trim() === '[*]:';
        if (image.src && image.src !== seen[seen.length - 1]?.[0]) seen.push([image.src, runs]);
    });
    window.pictureObserver?.disconnect();
    window.pictureObserver = new MutationObserver(look);
    window.pictureObserver.observe(shown, {subtree: true, childList: true, attributes: true});
    look();
"""


class LabPage(BrowserPage):
    """One notebook in JupyterLab.

    Parameters
    ----------
    driver : selenium WebDriver
    address, token : str
        Of the server.
    folder : Path
        That the server shows.
    name : str
        Of the notebook.
    """

    timeout = 90  # timeout in seconds

    def __init__(self, driver, address, token, folder, name):
        super().__init__(driver)
        self.address, self.token = address, token
        self.path, self.name = folder / name, name

    def open(self, cells, theme="light"):
        """Write the notebook and wait until its kernel is idle."""
        source = [{"cell_type": "code", "id": f"c{i}", "source": text} for i, text in enumerate(cells)]
        empty = {"execution_count": None, "metadata": {}, "outputs": []}
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        self.path.write_text(
            json.dumps(
                {
                    "cells": [{**cell, **empty} for cell in source],
                    "metadata": {"kernelspec": kernel},
                    "nbformat": 4,
                    "nbformat_minor": 5,
                }
            )
        )
        self.set("themes", theme={"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme])
        self.set("notification", fetchNews="false", checkForUpdates=False)
        self.driver.get(f"{self.address}/doc/tree/{quote(self.name)}?token={self.token}&reset")
        self.wait(lambda: self.script("return NOTEBOOK.context.isReady"), "nothing opened")
        # Without a visible window the page has no focus, and JupyterLab has no current notebook.
        self.script("window.jupyterapp.shell.activateById(NOTEBOOK.id)")
        self.wait(lambda: self.count_cells() == len(cells), "the notebook did not open")
        self.wait(self.kernel_is_ready, "the kernel did not start")

    def set(self, part, **settings):
        """Change settings of JupyterLab."""
        path = f"lab/api/settings/@jupyterlab/apputils-extension:{part}"
        self.call("PUT", path, {"raw": json.dumps(settings)})

    def call(self, method, path, body=None):
        """Call the server's API and return its answer."""
        request = urllib.request.Request(
            f"{self.address}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            return json.loads(answer.read() or "null")

    def close(self):
        """End the kernel, so that the next test does not share the machine with it."""
        for session in self.call("GET", "api/sessions"):
            self.call("DELETE", f"api/sessions/{session['id']}")

    def seen(self):
        """Return the outputs of all cells, and where the picture of the page is."""
        shown = [self.outputs(i) for i in range(self.count_cells())]
        picture = self.path.with_suffix(".png")
        self.screenshot(picture)
        return f"outputs: {shown}; the page: {picture}"

    def script(self, text, *arguments):
        return self.driver.execute_script(text.replace("CELLS", CELLS).replace("NOTEBOOK", NOTEBOOK), *arguments)

    def count_cells(self):
        return self.script("return CELLS.length")

    def kernel_is_ready(self):
        return self.script(
            """
            const kernel = NOTEBOOK.context.sessionContext.session?.kernel;
            return kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
            """
        )

    def watch(self, number, while_runs):
        """Record every picture that a cell shows from now on, and whether another cell is running."""
        self.script(WATCH, number, while_runs)

    def start(self, number):
        """Run a cell without waiting for its end."""
        before = self.prompt(number)
        self.script(
            """
            const notebook = NOTEBOOK.content;
            notebook.activeCellIndex = arguments[0];
            window.jupyterapp.commands.execute('notebook:run-cell');
            """,
            number,
        )
        self.wait(lambda: self.prompt(number) != before, f"cell {number} did not start")

    def prompt(self, number):
        return self.script("return CELLS[arguments[0]].querySelector('.jp-InputPrompt').textContent.trim()", number)

    def is_done(self, number):
        return re.fullmatch(r"\[\d+\]:", self.prompt(number)) is not None

    def run(self, number):
        """Run a cell to its end."""
        self.start(number)
        self.wait(lambda: self.is_done(number), f"cell {number} did not end")

    def outputs(self, number):
        """Return the outputs of a cell: the kind and the text of each."""
        return self.script(
            """
            const kind = output => output.querySelector('img') ? 'picture' : output.querySelector('svg') ? 'svg'
                : output.dataset.mimeType || 'other';
            return [...CELLS[arguments[0]].querySelectorAll('.jp-OutputArea-output')]
                .map(output => [kind(output), output.innerText.trim()]);
            """,
            number,
        )

    def pictures_seen(self, while_running=False):
        """Return every picture that the watched cell has shown, in order, or only those during a run."""
        return [source for source, runs in self.script("return window.seenPictures") if runs or not while_running]

    def count_in(self, number, selector):
        """Count the elements of a kind in a cell's outputs."""
        return self.script("return CELLS[arguments[0]].querySelectorAll(arguments[1]).length", number, selector)

    def colors(self, number):
        """Return the colours of the last line of a cell's output and of the page below it, as red, green, blue."""
        colors = self.script(
            """
            const line = [...CELLS[arguments[0]].querySelectorAll('.jp-OutputArea-output div')].pop();
            const page = document.querySelector('.jp-WindowedPanel-outer, .jp-Notebook');
            return [getComputedStyle(line).color, getComputedStyle(page).backgroundColor];
            """,
            number,
        )
        return [[int(part) for part in re.findall(r"\d+", color)[:3]] for color in colors]

    def saved_outputs(self, number):
        """Save the notebook and return the outputs of a cell in the file."""
        self.driver.execute_async_script(f"{NOTEBOOK}.context.save().finally(arguments[arguments.length - 1])")
        return json.loads(self.path.read_text())["cells"][number]["outputs"]

    def screenshot(self, path):
        self.driver.save_screenshot(str(path))
