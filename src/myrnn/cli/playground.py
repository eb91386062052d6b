"""``myrnn playground`` opens a page that shows a network while it learns."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from myrnn._checks import install
from myrnn.cli.options import option
from myrnn.errors import InvalidArgument

PORT = 8400


def playground(
    port: Annotated[int, option("The port to listen on; 0 takes any.", min=0, max=65_535)] = PORT,
    host: Annotated[
        str, option("The address to listen on; 0.0.0.0 lets in others who have the printed address with its token.")
    ] = "127.0.0.1",
    model: Annotated[str | None, option("A model class of yours to play with.", metavar="FILE.py:CLASS")] = None,
    browser: Annotated[bool, option("Open the page in the browser, except with --host for others.")] = True,
) -> None:
    """Open a page that shows a recurrent network while it learns.

    Without a screen it only prints the address. For a class, myrnn playground --host 0.0.0.0 prints an address with a
    token; everybody who opens it gets a separate network. Ctrl-C ends it for all.
    """
    try:
        from myrnn.playground import serve
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "starlette", "uvicorn", "websockets"):
            raise
        raise InvalidArgument(f"the playground needs {error.name}: {install('playground')}") from None
    serve(host=host, port=port, model=model, browser=browser, tell=partial(print, flush=True))
