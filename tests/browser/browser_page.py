"""Shared by all pages in a browser: waiting."""

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.support.ui import WebDriverWait


class BrowserPage:
    """A page in a browser. Each kind has a `timeout` in seconds, and `seen` describes what it shows.

    Parameters
    ----------
    driver : selenium WebDriver
    """

    def __init__(self, driver):
        self.driver = driver

    def wait(self, condition, message):
        """Wait until the condition holds; after the timeout, raise an error with the message and what is seen."""

        def holds(_):
            try:
                return condition()
            except WebDriverException:  # the page is being built
                return False

        try:
            return WebDriverWait(self.driver, self.timeout, poll_frequency=0.05).until(holds)
        except WebDriverException as error:
            raise AssertionError(f"{message} in {self.timeout} s; {self.seen()}") from error
