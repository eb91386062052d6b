"""The server in a separate process, over real sockets: how it ends, and what it withstands."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
import time
import urllib.request
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.asyncio.client import connect as connect_later
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import processes
from myrnn.playground.serve import ImpatientProtocol, address_of, kept_token, listen, open_page, private_folder
from playground_help import SMALL, WAIT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
HELLO = {"type": "hello", "session": None, "page": "page", "settings": SMALL, "tokens": [1, 2, 1, 2]}


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory):
    """The folder where a server stores its token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


class Server:
    """``myrnn playground`` as a user starts it."""

    def __init__(self, *options):
        self.process = processes.start(
            [sys.executable, "-m", "myrnn", "playground", "--port", "0", *options],
            env={n: v for n, v in os.environ.items() if n not in ("DISPLAY", "WAYLAND_DISPLAY")},
        )
        self.address = self.process.stdout.readline().split()[-1]
        self.place, self.token = urlsplit(self.address).netloc, urlsplit(self.address).query

    def page(self, **options):
        """A page that has sent nothing yet."""
        return connect(
            f"ws://{self.place}/session?{self.token}", origin=f"http://{self.place}", open_timeout=WAIT, **options
        )

    def answers(self, address=None):
        """Whether a browser gets the page from an address, by default the printed one."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(address or self.address, timeout=WAIT) as answer:
            return (answer.status, answer.url) == (200, f"http://{self.place}/")

    def end(self, number):
        """End it by a signal; return its exit code and its output."""
        self.process.send_signal(number)
        said, errors = self.process.communicate(timeout=WAIT)
        return self.process.returncode, said.split("\n"), errors


@contextlib.contextmanager
def serving(*options):
    server = Server(*options)
    try:
        yield server
    finally:
        processes.kill(server.process)


def next_of(page, kind, holds=lambda told: True):
    latest = time.monotonic() + WAIT
    while time.monotonic() < latest:
        told = json.loads(page.recv(timeout=WAIT))
        if told["type"] == kind and holds(told):
            return told
    raise AssertionError(f"of all that came for {WAIT} s, no {kind} was the one that is waited for")


def greet(page, **changed):
    page.send(json.dumps({**HELLO, **changed}))
    return next_of(page, "welcome")["session"]


def play(page):
    page.send(json.dumps({"type": "play"}))
    return next_of(page, "status", lambda told: told["playing"] and told.get("iteration", 0) > 100)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_it_ends_cleanly_in_the_middle_of_a_training_and_notifies_its_pages(number):
    with serving() as server, server.page() as page:
        greet(page)
        play(page)
        code, said, errors = server.end(number)
        with pytest.raises(ConnectionClosed) as closed:
            next_of(page, "nothing")
    assert (code, errors.replace("myrnn: compiling this model; it takes a few seconds, once\n", "")) == (0, "")
    assert said[-2:] == ["ended", ""]
    # This code tells the page why.
    assert closed.value.rcvd.code == 1012


def test_a_connection_without_a_whole_request_is_closed(monkeypatch):
    """An answered one, too, if the next request does not come; a page that is open stays."""
    monkeypatch.setattr(ImpatientProtocol, "SECONDS", 0.05)

    async def answer(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()  # the first message, which comes after the time of a request
        else:
            await sent(scope["server"][1], b"")  # as long as a request may take to come
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    async def sent(port, text):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        answered = await asyncio.wait_for(reader.read(), WAIT)
        writer.close()
        return answered

    async def talk():
        config = uvicorn.Config(
            answer, lifespan="off", log_level="error", ws="websockets-sansio", timeout_keep_alive=WAIT
        )
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ImpatientProtocol(config, ServerState(), {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        whole = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
        assert await sent(port, b"") == await sent(port, whole[:20]) == b""
        for text in (whole, whole + whole[:20]):
            assert (await sent(port, text)).startswith(b"HTTP/1.1 204 ")
        async with connect_later(f"ws://127.0.0.1:{port}/") as page:
            await sent(port, b"")
            await page.send("still here")
        server.close()

    asyncio.run(talk())


@pytest.mark.long
def test_a_message_that_is_too_large_ends_the_connection_but_not_the_session():
    with serving() as server:
        with server.page() as page:
            session = greet(page)
            begun = play(page)["iteration"]
            page.send("x" * 10_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                next_of(page, "nothing")
            assert closed.value.rcvd.code == 1009
        with server.page() as page:
            assert greet(page, session=session) == session
            assert next_of(page, "status", lambda told: "iteration" in told)["iteration"] >= begun
        assert server.answers()


@pytest.mark.long
def test_a_page_that_disconnects_or_never_reads_does_no_harm():
    with serving() as server:
        with server.page(max_queue=1) as page:
            greet(page)
            page.send(json.dumps({"type": "watch", "views": ["row", "accuracy", "mistakes"]}))
            play(page)
            # From here on nobody reads.
            for garbage in (b"\xff" * 100, b"GET / HTTP/9.9\r\n\r\n", b"\x00", b""):
                with socket.create_connection(urlsplit(server.address).netloc.split(":"), timeout=WAIT) as raw:
                    raw.sendall(garbage)
            with server.page() as other:
                greet(other)
                play(other)
                other.socket.shutdown(socket.SHUT_RDWR)
            assert server.answers()
        code, _, errors = server.end(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--host", "0.0.0.0"), marks=pytest.mark.long)],
    ids=["this machine", "others"],
)
def test_access_requires_the_token(options):
    with serving(*options) as server:
        assert server.token.startswith("token=") and len(server.token) > 20
        assert urlsplit(server.address).hostname != "0.0.0.0"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            server.answers(f"http://{server.place}/")
        assert server.answers()
        code, said, errors = server.end(signal.SIGTERM)
    assert code == 0
    assert server.token not in "\n".join(said) + errors


def test_the_token_of_an_account_is_stored_where_others_cannot_read_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    token = kept_token()
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (kept_token(), stat.S_IMODE(file.stat().st_mode)) == (token, 0o600)
    file.chmod(0o644)
    another = kept_token()
    assert another != token and kept_token() == another
    file.write_text("no token")
    assert kept_token() not in (token, another, "no token")
    monkeypatch.setenv("XDG_STATE_HOME", str(file))
    assert kept_token() != kept_token()


# --- where it listens, and what opens it


def test_every_address_is_shown_as_one_that_a_browser_accepts():
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        assert address_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with contextlib.closing(listen("0.0.0.0", 0)) as listening:
        assert urlsplit(address_of(listening)).hostname not in ("0.0.0.0", None)


def test_the_page_is_only_opened_with_a_screen_and_its_token_is_not_an_argument(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for platform, screen in (("linux", ""), ("linux", "wayland-0"), ("darwin", "")):
        monkeypatch.setattr("sys.platform", platform)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            monkeypatch.delenv(name, raising=False)
        if screen:
            monkeypatch.setenv("WAYLAND_DISPLAY", screen)
        open_page("http://127.0.0.1:1/?token=secret", tmp_path)
        (tmp_path / "playground.html").touch()
    assert opened == 2 * [(tmp_path / "playground.html").as_uri()]
    assert 'url=http://127.0.0.1:1/?token=secret"' in (tmp_path / "playground.html").read_text()
    with private_folder() as folder:
        assert not os.stat(folder).st_mode & 0o077
