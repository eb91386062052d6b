"""Make the pictures of the playground's page for the README and ``docs/how-to/playground.md``.

``python docs/make_playground_images.py`` serves the playground, trains from its page in a headless Chromium, and takes
the pictures. It needs chromium, chromedriver and ``pip install -e '.[browser]'``.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from playground_page import PlaygroundPage, PlaygroundServer  # noqa: E402

from conftest import BROWSERS, DRIVERS, FLAGS, program  # noqa: E402

IMAGES = ROOT / "docs" / "images"
COLORS = 256
# Training of the network in the figures, in iterations.
LEARNED = 100_000
# The number of test sequences of each length, at rest.
TRIED = 400


def make_images() -> None:
    """Take all pictures."""
    options = webdriver.ChromeOptions()
    options.binary_location = program(BROWSERS)
    for flag in (*FLAGS, "--hide-scrollbars"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(program(DRIVERS)))
    with tempfile.TemporaryDirectory() as folder:
        server = PlaygroundServer(Path(folder))
        try:
            take_pictures(PlaygroundPage(driver, server, Path(folder)))
        finally:
            driver.quit()
            server.stop()


def take_pictures(page: PlaygroundPage) -> None:
    """Train one network, and then another next to it."""
    page.open("sequence=31415926")
    train(page)
    # The most active unit at the end.
    states = page.row()["values"][-page.row()["units"] :]
    unit = max(range(len(states)), key=states.__getitem__)
    page.script("playground.row.mark({step: 7, unit: arguments[0]})", unit)
    page.wait(lambda: "fc_h2h" in page.text("unit"), "the weights did not come")
    picture(page, "playground.png", 1280, 1120)
    picture(page, "playground_dark.png", 1280, 1120, "dark")
    page.open("cell=rnn-tanh&learning_rate=0.003&sequence=3141592631415926")
    train(page)
    page.click("pin")
    page.wait(lambda: page.shown("pinned-label"), "it was not pinned")
    page.choose("set-cell", "LSTM")
    page.choose("set-learning_rate", "0.001")
    page.wait_for_network(cell="lstm", learning_rate=0.001)
    train(page)
    page.scroll_to("card-mistakes")
    page.wait(lambda: "pinned" in page.text("gradient-told"), "the gradients are not compared")
    trained = str(page.new_iterations())
    page.wait(
        lambda: page.find("mistakes-told").get_attribute("data-iteration") == trained, "no mistakes were looked for"
    )
    picture(page, "playground_compare.png", 1280, 760)


def train(page: PlaygroundPage) -> None:
    """Train at full speed, and wait until everything is drawn."""
    page.set_speed("full")
    page.click("play")
    page.wait(lambda: page.iteration >= LEARNED, "it did not learn")
    page.pause()
    page.wait(lambda: page.tried() >= TRIED, "the bars stayed unsure")
    page.script("document.activeElement.blur()")


def picture(page: PlaygroundPage, name: str, width: int, height: int, theme: str = "light") -> None:
    """Save the visible page in few colours, which keeps the file small."""
    page.resize(width, height, theme)
    page.frames()
    shown = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    shown.quantize(COLORS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    make_images()
