"""``myrnn tasks``, ``myrnn models`` and ``myrnn optimizers`` list what can be trained, and with which settings."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

from myrnn.cli import show
from myrnn.cli.options import EXAMPLES, argument, default_text
from myrnn.registry import Kind, find, kinds
from myrnn.results import Row, Shown, Table, text
from myrnn.settings import REQUIRED, Setting, settings_of

Name = Annotated[str | None, argument("Explain the settings of this one.", "NAME")]


def tasks(name: Name = None) -> None:
    """List the tasks with their settings and defaults, or explain one."""
    _show("task", name)


def models(name: Name = None) -> None:
    """List the networks with their settings and defaults, or explain one."""
    _show("model", name)


def optimizers(name: Name = None) -> None:
    """List the optimizers with their settings and defaults, or explain one."""
    _show("optimizer", name)


def _show(part: str, name: str | None) -> None:
    if name is None:
        show.table(_all(part))
        last = "settings", f"follow the name, as in {EXAMPLES[part]}; myrnn {part}s NAME explains those of one"
    else:
        kind = find(part, name)
        show.table(_settings(kind))
        last = "example", _command(kind)
    print()
    show.named_rows(last)


def _all(part: str) -> Table:
    columns = {
        part: list(kinds(part)),
        "about": [kind.summary for kind in kinds(part).values()],
        "settings": [_listed(kind) for kind in kinds(part).values()],
        "example": [_command(kind) for kind in kinds(part).values()],
    }

    def cell(row: Row) -> str:
        return "\n".join((row["about"], row["settings"], row["example"]))

    shown = (text(part), Shown("what it is, its settings with their defaults, and an example", cell, is_number=False))
    return Table("", columns, shown, breaks=frozenset(range(len(columns[part]) - 1)))


def _listed(kind: Kind) -> str:
    settings = settings_of(kind.section)
    return ", ".join(s.name if s.default is REQUIRED else f"{s.name}={default_text(s.default)}" for s in settings)


def _command(kind: Kind) -> str:
    """Return a command that trains on a task, or that trains a model or with an optimizer."""
    return f"myrnn train --{kind.part} {quote(kind.example)}"


def _settings(kind: Kind) -> Table:
    settings = settings_of(kind.section)
    columns = {
        "setting": [setting.name for setting in settings],
        "default": ["" if s.default is REQUIRED else default_text(s.default) for s in settings],
        "values": [_values(setting) for setting in settings],
        "about": [setting.help for setting in settings],
    }
    return Table(kind.summary, columns)


def _values(setting: Setting) -> str:
    """Return the possible values of a setting in a few words."""
    if setting.choices:
        return ", ".join(map(str, setting.choices))
    kind = {bool: "true or false", int: "integer", float: "number"}.get(setting.type, "text")
    bounds = {
        "at least": setting.meta.ge,
        "above": setting.meta.gt,
        "at most": setting.meta.le,
        "below": setting.meta.lt,
    }
    return ", ".join((kind, *(f"{word} {bound:,}" for word, bound in bounds.items() if bound is not None)))
