"""The token in the address of the page: who knows it may use the playground."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from platformdirs import user_state_path

# 128 random bits as text.
_LENGTH = 22


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(16)


def kept_token() -> str:
    """Return the token of this account, from a file that no other account can read; the first call draws it.

    So pages that are open go on when the server is started again. Where no file can be kept, it is new at every start.
    """
    path = user_state_path("myrnn", appauthor=False) / "playground-token"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        token = path.read_text(encoding="ascii")
        if len(token) == _LENGTH and _is_private(path):
            return token
    token = new_token()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token)
    return token


def _is_private(path: Path) -> bool:
    return os.name != "posix" or not path.stat().st_mode & 0o077
