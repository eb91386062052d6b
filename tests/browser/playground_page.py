"""The playground, open in a browser: its server, and the actions and views of a user."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from browser_page import BrowserPage
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select


class PlaygroundServer:
    """``myrnn playground`` in a separate folder.

    Parameters
    ----------
    folder : Path
        Where it runs, and saves.
    options : str
        Further options of the command.
    """

    def __init__(self, folder, *options):
        self.folder, self._options, self._port = folder, options, 0
        self.start()

    def start(self):
        """Start it, on the port that it had before if there was one."""
        command = [sys.executable, "-m", "myrnn", "playground", "--no-browser", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, *self._options],
            cwd=self.folder,
            # The folder for its token.
            env={**os.environ, "XDG_STATE_HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._process.stdout.readline().split()[-1]
        self._port = urlsplit(self.address).port

    def stop(self):
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class PlaygroundPage(BrowserPage):
    """The page in a browser.

    Parameters
    ----------
    driver : selenium WebDriver
    server : PlaygroundServer
    downloads : Path
        Where the browser puts what is downloaded.
    """

    timeout = 240  # timeout in seconds: compiling is slow on a busy machine

    def __init__(self, driver, server, downloads):
        super().__init__(driver)
        self.server, self.downloads = server, downloads
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        # Act as the tab with the keyboard focus, whichever tab is in front.
        driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        self.resize(1280, 900)

    def open(self, settings="", width=1280):
        """Open the page with settings in the address, and wait until all views of the network are compiled."""
        self.resize(width, 900)
        # A change of only the fragment of the address would not load the page again.
        self.driver.get("about:blank")
        self.driver.get(f"{self.server.address}#{settings}")
        self.wait_until_ready()

    def resize(self, width, height, theme="light"):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def hide(self, hidden):
        """Tell the page that its tab is hidden, or visible again."""
        self.script(
            """
            Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
            """,
            hidden,
        )

    def seen(self):
        return f"the page shows: {self.script('return document.body.innerText')}"

    def wait_until_ready(self):
        ready = "return Boolean(document.body.dataset.network && window.playground.row.seen)"
        self.wait(lambda: self.script(ready) and not self.shown("banner"), "the network did not get ready")

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def click(self, name):
        self.click_on(self.find(name))

    def click_on(self, element):
        """Scroll instantly, then click with the browser: a smooth scroll would be too late."""
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def scroll_to(self, name):
        """Scroll to a part of the page, because parts out of view are not redrawn."""
        self.script("document.getElementById(arguments[0]).scrollIntoView({block: 'start', behavior: 'instant'})", name)

    def box(self, name):
        """Return the box of an element in the window: left, right, top and bottom in pixels."""
        return self.script("return document.getElementById(arguments[0]).getBoundingClientRect().toJSON()", name)

    def in_view(self, name, height=None):
        """Return whether an element, or the given height of its top, is in the window and below the header."""
        box, header = self.box(name), self.script("return document.querySelector('.top').offsetHeight")
        bottom = box["bottom"] if height is None else box["top"] + height
        return box["top"] >= header - 1 and bottom <= self.script("return innerHeight") + 1

    def frames(self):
        """Wait until charts are redrawn, with the next frame and again when their size has changed."""
        self.driver.execute_async_script(
            "const next = requestAnimationFrame, [done] = arguments; next(() => next(() => next(() => next(done))));"
        )

    def text(self, name):
        return self.find(name).text

    def texts(self, selector):
        """Return the texts of all matching elements, read at once: the page may replace them between two reads."""
        return self.script("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector)

    def shown(self, name):
        return self.find(name).is_displayed()

    def choose(self, name, label):
        Select(self.find(name)).select_by_visible_text(label)

    def setting(self, name):
        """Return what a control of the settings shows."""
        return Select(self.find(f"set-{name}")).first_selected_option.text

    def network(self):
        """Return the settings of the network that the page shows; empty without a network."""
        return json.loads(self.driver.find_element(By.TAG_NAME, "body").get_attribute("data-network") or "{}")

    def wait_for_network(self, **settings):
        """Wait until there is an untrained network with these settings, and all its views are compiled."""

        def made():
            has = self.network()
            return all(has.get(name) == value for name, value in settings.items()) and self.iteration == 0

        self.wait(lambda: made() and not self.shown("banner"), f"there is no network of {settings}")

    def press(self, *keys):
        """Press keys in the focused element."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def set_speed(self, told):
        """Move the slider until it shows this speed."""
        slider = self.find("speed")
        slider.send_keys(Keys.HOME)
        while self.text("speed-told") != told:
            slider.send_keys(Keys.ARROW_RIGHT)

    @property
    def iteration(self):
        return int(self.text("iteration").replace(",", ""))

    @property
    def accuracy(self):
        """The displayed mean accuracy on the trained lengths; NaN before the first."""
        return float(self.find("accuracy-told").get_attribute("data-trained") or "nan")

    def tried(self):
        """Return on how many sequences of each length the network was tested, from the labels of the bars."""
        told = self.script("return [...document.querySelectorAll('#accuracy .bar')].map(bar => bar.textContent)")
        return min(int(text.split()[-2].replace(",", "")) for text in told) if told else 0

    @property
    def playing(self):
        return self.find("play").get_attribute("aria-label") == "Pause"

    def pause(self):
        """Pause, and wait until all views show the iteration where it stopped."""
        self.click("play")
        self.wait(lambda: not self.playing, "it did not pause")
        self.wait(lambda: self.row()["iteration"] == self.new_iterations(), "the row was not drawn at rest")

    def new_iterations(self):
        return self.script("return window.playground.transport.iteration")

    def step(self):
        """Do one iteration, and wait until it is shown."""
        before = self.iteration
        self.click("step")
        self.wait(lambda: self.iteration == before + 1, "no iteration was done")
        self.wait(lambda: self.row()["iteration"] == self.new_iterations(), "the row was not redrawn")

    def row(self):
        """Return the numbers behind the row."""
        return self.script("const seen = window.playground.row.seen; return {...seen, values: [...seen.values]};")

    def digits(self):
        """Return the sequence as displayed symbols."""
        return "".join(self.script("return [...document.querySelectorAll('.digit')].map(digit => digit.textContent)"))

    def type(self, digits, start=0):
        """Type digits, or other symbols, over the present ones, and wait until the network has read them."""
        self.script("document.querySelectorAll('.digit')[arguments[0]].focus()", start)
        self.press(*digits)
        read = "return window.playground.row.seen.tokens.map(token => window.playground.task.symbols[token]).join('')"
        self.wait(lambda: self.script(read) == self.digits(), "the row did not follow")

    def downloaded(self, name):
        """Wait for a download and return its path."""
        path = self.downloads / name
        self.wait(lambda: path.exists() and path.stat().st_size, f"{name} was not downloaded")
        return Path(path)
