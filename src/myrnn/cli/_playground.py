"""What ``myrnn playground`` does: serve the page on this machine and open it."""

from __future__ import annotations

from typing import Annotated

import typer

# What it needs is imported when the command runs.

PORT = 8400


def playground(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 takes any.")] = PORT,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on; 0.0.0.0 lets others in, who need the token in the address that is printed."
        ),
    ] = "127.0.0.1",
    model: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:CLASS", help="A model class of your own, to play with it.", show_default=False),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser, unless others are let in.")] = True,
) -> None:
    """Open a page that shows a recurrent network while it learns.

    Without a screen it prints the address alone. For a class: myrnn playground --host 0.0.0.0 prints an address with a
    token; everybody who opens it has a network of their own. Ctrl-C ends it for all.
    """
    from myrnn.errors import InvalidArgument

    try:
        from myrnn.playground import serve
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "starlette", "uvicorn", "websockets"):
            raise
        raise InvalidArgument(f"the playground needs {error.name}: pip install 'myrnn[playground]'") from None
    serve(host=host, port=port, model=model, browser=browser, tell=typer.echo)
