"""A headless Chromium with a real JupyterLab that runs a notebook, or with the playground."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from lab import LabPage
from playground_page import PlaygroundPage, PlaygroundServer
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver", "chromium.chromedriver")
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --window-size=1100,1500
    --disable-features=BackForwardCache
""".split()


def program(names):
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.exit(f"the browser tests need {names[0]}; on Debian: apt install chromium chromium-driver", returncode=2)
    return found


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a JupyterLab that serves an empty folder, the folder, and the token that opens it."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    token = secrets.token_hex(16)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    places = {name: str(home / name.lower()) for name in names}
    settings = {
        "ip": "127.0.0.1",
        "open_browser": False,
        "allow_root": True,
        "root_dir": str(folder),
    }
    (home / "jupyter_config_dir").mkdir()
    (home / "jupyter_config_dir" / "jupyter_server_config.json").write_text(
        json.dumps(
            {
                "ServerApp": settings,
                "IdentityProvider": {"token": token},
                "LabApp": {"expose_app_in_browser": True},  # its commands, for lab.py
            }
        )
    )
    log = home / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab"],
            env={**os.environ, **places, "JUPYTER_PREFER_ENV_PATH": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield wait_for_server(process, home / "jupyter_runtime_dir", log), folder, token
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def wait_for_server(process, folder, log):
    """Wait until it answers, and return its address with the port, which it writes to its folder."""

    def answers(_):
        if process.poll() is not None:
            pytest.exit(f"JupyterLab did not start:\n{log.read_text()}", returncode=2)
        with contextlib.suppress(ValueError, urllib.error.URLError, ConnectionError, TimeoutError):
            for note in folder.glob("jpserver-*.json"):
                address = f"http://127.0.0.1:{json.loads(note.read_text())['port']}"
                return address if urllib.request.urlopen(f"{address}/api", timeout=5).status == 200 else ""
        return ""

    return WebDriverWait(None, 240).until(answers, "JupyterLab did not answer within four minutes")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = program(BROWSERS)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(program(DRIVERS)))
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def open_lab(server, browser, request):
    """Open a notebook with the given cells in JupyterLab, under a unique name."""
    address, folder, token = server
    pages = []

    def open_page(cells, theme="light"):
        pages.append(LabPage(browser, address, token, folder, f"{request.node.name}.ipynb"))
        pages[-1].open(cells, theme)
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def playground_server(tmp_path_factory):
    """The playground, in an empty folder."""
    server = PlaygroundServer(tmp_path_factory.mktemp("playground"))
    yield server
    server.stop()


@pytest.fixture
def tab(browser):
    """The browser with a new tab, because a tab remembers which network it showed last."""
    before = browser.current_window_handle
    browser.switch_to.new_window("tab")
    yield browser
    browser.close()
    browser.switch_to.window(before)


@pytest.fixture
def page(tab, playground_server, tmp_path):
    """A page of the playground that is not open yet."""
    return PlaygroundPage(tab, playground_server, tmp_path)


@pytest.fixture
def serve_playground(tab, tmp_path):
    """Serve a separate playground with options, and return its page."""
    servers = []

    def serve(*options):
        servers.append(PlaygroundServer(tmp_path, *options))
        return PlaygroundPage(tab, servers[-1], tmp_path)

    yield serve
    for server in servers:
        server.stop()
