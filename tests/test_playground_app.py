import contextlib
import json
import socket
import sys

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from myrnn import web
from myrnn.cli import main
from myrnn.errors import InvalidArgument
from myrnn.playground import serve as serve_playground
from myrnn.playground.app import STATIC, cookie_name, make_app
from myrnn.playground.session import Session, Sessions
from myrnn.playground.settings import ENOUGH, FOLLOWED, LONGEST, defaults
from playground_help import SMALL

PORT = 8400
TOKEN = "secret"
BASE = f"http://127.0.0.1:{PORT}"
HELLO = {"type": "hello", "session": None, "page": "page", "settings": SMALL, "tokens": [1, 2, 1, 2]}


def opened(sessions):
    """A browser on this machine that knows the token, under each of the machine's names."""
    cookies = dict.fromkeys(("myrnn-playground", *(f"myrnn-playground-{port}" for port in (PORT, 9000))), TOKEN)
    return TestClient(make_app(sessions, TOKEN), base_url=BASE, cookies=cookies)


@pytest.fixture(scope="module")
def client():
    with opened(Sessions()) as client:
        yield client


def connect(client, origin=BASE, **headers):
    return client.websocket_connect("/session", headers={"origin": origin, "host": f"127.0.0.1:{PORT}", **headers})


@contextlib.contextmanager
def greeted(client, hello=HELLO):
    """A connection after its hello, and the answer to that."""
    with connect(client) as page:
        page.send_text(json.dumps(hello))
        yield page, page.receive_json()


def next_of(page, kind):
    while (told := page.receive_json())["type"] != kind:
        pass
    return told


# --- the page and its files


def test_the_page_and_its_files_are_served(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "MyRNN playground" in page.text
    for path in (*STATIC.iterdir(), *web.STATIC.iterdir()):
        assert client.get(f"/static/{path.name}").content == path.read_bytes()


def test_the_page_needs_nothing_from_elsewhere():
    for path in (*STATIC.iterdir(), *web.STATIC.iterdir()):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text.replace('"https:"', ""), path


def test_the_page_has_the_defaults_and_the_limits_of_the_server(client):
    answer = client.get("/static/known.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    names, values = zip(*(line.removesuffix(";").split(" = ") for line in answer.text.splitlines()), strict=True)
    assert names == tuple(f"export const {name}" for name in ("DEFAULTS", "ENOUGH", "FOLLOWED", "LONGEST", "RATES"))
    rates = {"adam": 0.001, "rmsprop": 0.001, "sgd": 0.03}
    assert [json.loads(value) for value in values] == [defaults(), ENOUGH, FOLLOWED, LONGEST, rates]


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/other"])
def test_the_policy_allows_only_this_servers_files(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/none.js", "/other"])
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404


# --- access


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1.evil.example", "localhost@evil.example", "[::1", ""]
)
def test_another_host_is_refused(client, host):
    answer = client.get("/", headers={"host": host})
    assert (answer.status_code, answer.text) == (403, "this server only answers requests from this machine\n")
    with pytest.raises(WebSocketDisconnect), connect(client, host=host):
        pass


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8400", "127.0.0.1", "127.0.0.1:9000", "[::1]:8400"])
def test_this_machine_is_accepted_under_each_of_its_names_through_a_tunnel(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200
    with connect(client, f"http://{host}", host=host):
        pass


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        f"http://localhost:{PORT}",
        "http://127.0.0.1:1",
        f"ftp://127.0.0.1:{PORT}",
        "http://[",
        "",
        f"{BASE}@evil.example",
    ],
)
def test_another_origin_is_refused(client, origin):
    answer = client.get("/", headers={"origin": origin})
    assert (answer.status_code, answer.text) == (403, "this server only answers its own page\n")
    with pytest.raises(WebSocketDisconnect), connect(client, origin):
        pass


def test_a_connection_without_an_origin_is_refused(client):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/session", headers={"host": f"127.0.0.1:{PORT}"}),
    ):
        pass


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_page_is_only_read(client, method):
    assert client.request(method, "/", content=b"x" * 100_000).status_code == 405


@pytest.fixture
def elsewhere():
    """A client on another machine."""
    with TestClient(
        make_app(Sessions(), "secret", local=False), base_url="http://teacher.local:8400", follow_redirects=False
    ) as somebody:
        yield somebody


@pytest.mark.parametrize(
    ("address", "cookie"),
    [
        ("/", ""),
        ("/?token=", ""),
        ("/?token=wrong", ""),
        ("/?token=secre\u0301t", ""),
        ("/static/main.js", "myrnn-playground-8400=wrong"),
        ("/", "myrnn-playground-8400"),
        ("/", "myrnn-playground-8401=secret"),
        ("/", ";;=\x01"),
    ],
)
def test_from_elsewhere_the_token_is_needed(elsewhere, address, cookie):
    answer = elsewhere.get(address, headers={"cookie": cookie})
    assert (answer.status_code, answer.text) == (403, "the address lacks the token that the server printed\n")
    origin = "http://teacher.local:8400"
    with (
        pytest.raises(WebSocketDisconnect),
        elsewhere.websocket_connect("/session", headers={"origin": origin, "cookie": cookie}),
    ):
        pass


def test_the_token_goes_from_the_address_into_a_cookie(elsewhere):
    answer = elsewhere.get("/?token=secret")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == "myrnn-playground-8400=secret; HttpOnly; Path=/; SameSite=lax"
    assert elsewhere.get("/").status_code == 200
    assert elsewhere.get("/static/main.js").status_code == 200
    headers = {"host": "teacher.local:8400", "cookie": "myrnn-playground-8400=secret"}
    with elsewhere.websocket_connect("/session", headers={**headers, "origin": "http://teacher.local:8400"}):
        pass
    with (
        pytest.raises(WebSocketDisconnect),
        elsewhere.websocket_connect("/session", headers={**headers, "origin": "http://evil.example"}),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("teacher.local:8400", "myrnn-playground-8400"),
        ("[::1]:8401", "myrnn-playground-8401"),
        ("[::1]", "myrnn-playground"),
        ("teacher.local", "myrnn-playground"),
    ],
)
def test_every_port_has_a_separate_cookie(host, name):
    assert cookie_name(host) == name


# --- messages


def test_hello_is_answered_with_the_choices(client):
    with greeted(client) as (_, welcome):
        assert welcome["type"] == "welcome"
        assert [one["name"] for one in welcome["settings"]] == list(SMALL)


def test_a_page_that_reconnects_continues(client):
    with greeted(client) as (page, welcome):
        page.send_text(json.dumps({"type": "step"}))
        while next_of(page, "status").get("iteration") != 1:
            pass
    with greeted(client, {**HELLO, "session": welcome["session"]}) as (page, again):
        assert again["session"] == welcome["session"]
        assert next_of(page, "network")["settings"] == SMALL
        while next_of(page, "status").get("iteration") != 1:
            pass


def test_a_page_that_reconnects_replaces_its_lost_connection(client):
    # The server has not noticed yet that the first connection is lost.
    with greeted(client) as (lost, welcome):
        next_of(lost, "network")
        with greeted(client, {**HELLO, "session": welcome["session"]}) as (page, again):
            assert again["session"] == welcome["session"]
            assert next_of(page, "network")["settings"] == SMALL
            with pytest.raises(WebSocketDisconnect):
                next_of(lost, "nothing")
            page.send_text(json.dumps({"type": "step"}))
            while next_of(page, "status").get("iteration") != 1:
                pass


def test_a_broken_connection_ends_and_the_page_continues_over_another(monkeypatch):
    answers = Session._answer
    with opened(Sessions()) as client:
        with monkeypatch.context() as patch, pytest.RaisesGroup(TypeError), greeted(client) as (page, welcome):
            next_of(page, "network")
            patch.setattr(Session, "_answer", lambda session, _: session.outbox.answer("saved", runs=object()))
            page.send_text(json.dumps({"type": "runs"}))
            next_of(page, "saved")
        assert Session._answer is answers
        with greeted(client, {**HELLO, "session": welcome["session"]}) as (page, again):
            assert again["session"] == welcome["session"]
            assert next_of(page, "network")["settings"] == SMALL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "play"}', "the first message must be 'hello'"),
        ("nonsense", "this is not a message of the page: JSON is malformed: invalid character"),
        (
            json.dumps({**HELLO, "tokens": []}),
            "this is not a message of the page: Expected `array` of length >= 1 - at `$.tokens`",
        ),
        (json.dumps({**HELLO, "settings": {**SMALL, "dim_recurrent": 10**9}}), "dim_recurrent must be at most 256"),
    ],
)
def test_a_client_that_does_not_say_hello_gets_an_error(client, text, message):
    with connect(client) as page:
        page.send_text(text)
        told = page.receive_json()
        assert told["type"] == "error" and told["message"].startswith(message)
        page.send_text(json.dumps(HELLO))
        assert page.receive_json()["type"] == "welcome"


def test_the_number_of_pages_is_limited():
    with opened(Sessions(most=1)) as client, greeted(client):
        with greeted(client) as (_, told):
            assert told["type"] == "full"
            assert told["message"].startswith("1 pages are open already, and more would slow them all down: ")


# --- starting it


def test_a_port_in_use_is_reported_and_a_free_one_is_offered(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["playground", "--no-browser", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"myrnn: port {port} is in use; free is --port ")
    assert port < int(error.split()[-1]) < port + 100


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(InvalidArgument, match=r"^cannot listen on 192.0.2.1, port 0: "):
        serve_playground(host="192.0.2.1", port=0, browser=False)
    with pytest.raises(InvalidArgument, match=r"^cannot listen on a{64}, port 0: "):
        serve_playground(host="a" * 64, port=0, browser=False)
    with pytest.raises(InvalidArgument, match=r"^port must be at most 65535, not 65536$"):
        serve_playground(port=65_536, browser=False)


def test_a_missing_package_is_reported(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("myrnn.playground")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["playground", "--no-browser"]) == 2
    assert (
        capsys.readouterr().err
        == "myrnn: the playground needs uvicorn: pip install '.[playground]' in the folder of MyRNN\n"
    )
