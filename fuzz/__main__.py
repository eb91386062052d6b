"""Fuzz all code that reads folders: ``python -m fuzz [--seconds N] [TARGET ...]``.

The time is divided among the targets. An input that causes an error other than a RunError, or takes half a minute or
three gigabytes, is saved in ``build/fuzz/found``, and its traceback is printed. Inputs that reached new code stay in
``build/fuzz/corpus``, and the next call starts from them.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

BASE = Path("build") / "fuzz"
LIMITS = ("-timeout=30", "-rss_limit_mb=3000", "-max_len=20000", "-print_final_stats=1", "-verbosity=0")


def main() -> int:
    """Fuzz, and return the number of targets with findings."""
    if importlib.util.find_spec("atheris") is None:
        print(f"no atheris for Python {platform.python_version()} here: it supports 3.11 to 3.13", file=sys.stderr)
        return 2
    from fuzz.targets import NAMES, seeds

    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="how long in all")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(NAMES)}; by default all")
    arguments = parser.parse_args()
    chosen = arguments.targets or NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f"there is no target {name!r}: {', '.join(NAMES)}")
    found = [name for name in chosen if not _fuzz(name, seeds(name), max(1, arguments.seconds // len(chosen)))]
    print(f"found something in {', '.join(found)}: see {BASE / 'found'}" if found else "found nothing")
    return len(found)


def _fuzz(name: str, first: list[bytes], seconds: int) -> bool:
    """Fuzz one target in a separate process, and return whether nothing was found."""
    corpus, begin, found = (BASE / part / name for part in ("corpus", "seeds", "found"))
    for folder in (corpus, begin, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(first):
        (begin / f"{number:03d}").write_bytes(content)
    print(f"--- {name}, for {seconds} s", flush=True)
    command = [sys.executable, "-m", "fuzz.targets", name, str(corpus), str(begin)]
    ends = (f"-max_total_time={seconds}", f"-artifact_prefix={found}/")
    return subprocess.run([*command, *LIMITS, *ends], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
