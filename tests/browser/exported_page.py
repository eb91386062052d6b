"""The page of an exported network, open in a browser."""

import json

from browser_page import BrowserPage
from selenium.webdriver.common.by import By

# Returns the controls that a screen reader could not name.
NAMELESS = """
const controls = 'button, textarea, input, select, canvas, svg[role], [role=group], [tabindex="0"]';
return [...document.querySelectorAll(controls)]
  .filter(node => node.getClientRects().length)
  .filter(node => !(node.ariaLabel || node.labels?.length && node.labels[0].innerText.trim() || node.innerText?.trim()
    || node.querySelector?.(':scope > title')))
  .map(node => node.outerHTML.slice(0, 80));
"""


class ExportedPage(BrowserPage):
    """The page in a browser.

    Parameters
    ----------
    driver : selenium WebDriver
    path : Path
        The file.
    """

    timeout = 20

    def __init__(self, driver, path):
        super().__init__(driver)
        self.path = path
        driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})

    def open(self, width=1280, theme="light"):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get("about:blank")
        self.driver.get(self.path.as_uri())
        ready = "return document.getElementById('equations').innerText.length > 0"
        self.wait(lambda: self.script(ready), "the page did not start")

    def seen(self):
        return f"the page shows: {self.script('return document.body.innerText')}"

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def click(self, name):
        self.find(name).click()

    def text(self, name):
        return self.find(name).text

    def type(self, text, name="sequence"):
        """Replace the text of a field, key by key."""
        self.script("const node = document.getElementById(arguments[0]); node.value = ''; node.focus();", name)
        self.find(name).send_keys(text)

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector)

    @property
    def logits(self):
        """The outputs after the last step; None if nothing was read."""
        found = self.find("card-answer").get_attribute("data-logits")
        return json.loads(found) if found else None

    @property
    def ahead(self):
        """The continuation of the series."""
        return json.loads(self.find("series").get_attribute("data-ahead"))

    def overflow(self):
        """Return by how many pixels the page is wider than the window."""
        return self.script("return document.documentElement.scrollWidth - innerWidth")

    def nameless(self):
        return self.script(NAMELESS)
