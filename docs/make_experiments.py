"""Fill the tables of settings into ``experiments.md``: ``python docs/make_experiments.py``.

The settings, their defaults and their descriptions come from the sections themselves. The text between
``<!-- name -->`` and ``<!-- end -->`` is generated; everything else is written by hand.
"""

import re
from pathlib import Path
from typing import Any

from myrnn.experiment import Data, Evaluation, TaskSource
from myrnn.experiment.sources import GivenSource, Source
from myrnn.models.stacked import CELLS
from myrnn.registry import kinds
from myrnn.settings import REQUIRED, Section, Setting, settings_of
from myrnn.training import TrainingSettings

DOCUMENT = Path(__file__).parent / "reference" / "experiments.md"
EMBEDDED = [f"`{name}`" for name, cell in CELLS.items() if cell.dim_embedding]
# Defaults that depend on other settings.
DEPENDS = {
    ("evaluation", "seed"): "that of the training + 1",
    ("evaluation", "stack_depth"): "as in the training",
    ("evaluation", "lengths"): "up to twice the longest trained one",
    ("model", "dim_embedding"): f"0; with data 32 for {', '.join(EMBEDDED[:-1])} and {EMBEDDED[-1]} that read symbols",
}
# Replacements for option names in the help texts.
WORDS = {
    '"2:40:2"': '`"2:40:2"`',
    "--data": "`file`",
    "--test-labels": "`test_labels`",
    "--test": "`test`",
    "--labels": "`labels`",
}


def shown(value: Any) -> str:
    """Return a default as TOML."""
    if value is REQUIRED:
        return "must be given"
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f'`"{value}"`' if isinstance(value, str) else f"`{value:_}`"


def purpose(setting: Setting) -> str:
    """Return the description of a setting."""
    text = setting.help
    for option, name in WORDS.items():
        text = re.sub(rf"{option}(?!\w)", name, text)
    return text


def of_section(name: str, section: type[Section], source: type[Source] = GivenSource) -> str:
    """Return the table of a section, with the settings that apply to a source and its defaults."""
    lines = ["| setting | default | |", "|---|---|---|"]
    for setting in settings_of(section):
        if setting.name in source.without.get(name, {}):
            continue
        usual = source.defaults.get(name, {}).get(setting.name, setting.default)
        default = DEPENDS.get((name, setting.name), shown(usual))
        lines.append(f"| `{setting.name}` | {default} | {purpose(setting)} |")
    return "\n".join(lines)


def of_part(part: str) -> str:
    """Return the table of the settings of all kinds of a task, model or optimizer."""
    found: dict[str, list[tuple[str, Setting]]] = {}
    for kind in kinds(part).values():
        for setting in settings_of(kind.section):
            found.setdefault(setting.name, []).append((kind.name, setting))
    lines = ["| setting | of | default | |", "|---|---|---|---|"]
    for name, owners in found.items():
        of = "all" if len(owners) == len(kinds(part)) else ", ".join(f"`{kind}`" for kind, _ in owners)
        defaults = {kind: shown(setting.default) for kind, setting in owners}
        same = len(set(defaults.values())) == 1
        default = defaults[owners[0][0]] if same else ", ".join(f"{text} ({kind})" for kind, text in defaults.items())
        if (on_data := GivenSource.defaults.get(part, {}).get(name)) is not None:
            default += f"; with data {shown(on_data)}"
        lines.append(f"| `{name}` | {of} | {DEPENDS.get((part, name), default)} | {purpose(owners[0][1])} |")
    return "\n".join(lines)


def texts() -> dict[str, str]:
    """Return the tables by name."""
    sections = {"training": TrainingSettings, "evaluation": Evaluation}
    sources = {"on a task": TaskSource, "on data": GivenSource}
    parts = {part: of_part(part) for part in ("task", "model", "optimizer")} | {"data": of_section("data", Data)}
    return parts | {
        f"{name} {how}": of_section(name, section, source)
        for name, section in sections.items()
        for how, source in sources.items()
    }


def filled(document: str) -> str:
    """Return the document with the current tables."""
    found = texts()
    return re.sub(
        r"<!-- ([\w ]+) -->\n.*?<!-- end -->",
        lambda match: f"<!-- {match[1]} -->\n{found[match[1]]}\n<!-- end -->",
        document,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
