"""One fuzzing target in a separate process: ``python -m fuzz.targets NAME CORPUS... [options of libFuzzer]``.

The target ``run`` uses the bytes of the fuzzer to change a run folder; ``run-bytes`` writes them to one of its files,
which the first byte selects. To try a finding again, pass its path instead of a corpus.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

# Numba cannot compile instrumented code, so only the readers are instrumented.
READING = ("myrnn.storage", "myrnn.runs", "myrnn.data", "myrnn.estimator", "myrnn.sweeps")
with atheris.instrument_imports(include=list(READING)):
    from fuzz.folders import Folder, folders
    from fuzz.mutations import Choices, Files, mutate, put_right, write
    from fuzz.readers import READERS, read

# A folder in memory, if there is one.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Consumed:
    """Choices from the bytes of the fuzzer."""

    def __init__(self, data: bytes) -> None:
        self._provider = atheris.FuzzedDataProvider(data)

    def below(self, count: int) -> int:
        """Return an integer from 0 to `count` - 1."""
        return int(self._provider.ConsumeIntInRange(0, count - 1))

    def blob(self) -> bytes:
        """Return a few bytes."""
        return bytes(self._provider.ConsumeBytes(8))


def with_bytes(folder: Folder, data: bytes) -> Files:
    """Return the files of a folder with one of them replaced; the first byte selects it."""
    files, names = dict(folder.files), sorted(folder.files)
    name = names[data[0] % len(names)] if data else names[0]
    files[name] = data[1:]
    put_right(files, folder, name)
    return files


def target(name: str) -> Callable[[bytes], None]:
    """Return the function to call with every input of a target."""
    kind, of_bytes = name.removesuffix("-bytes"), name.endswith("-bytes")
    sound = folders()[kind]

    def once(data: bytes) -> None:
        choices: Choices = Consumed(b"\xff" * 8 if of_bytes else data)
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
            base = Path(place)
            for path, content in sound.files.items():
                (base / "good" / path).parent.mkdir(parents=True, exist_ok=True)
                (base / "good" / path).write_bytes(content)
            write(with_bytes(sound, data) if of_bytes else mutate(sound, choices), base / "runs" / "it", choices)
            read(kind, base / "runs" / "it", base / "good")

    return once


def seeds(name: str) -> list[bytes]:
    """Return initial inputs: the real files, or bytes that make a change of each kind."""
    kind = name.removesuffix("-bytes")
    if name.endswith("-bytes"):
        files = folders()[kind].files
        return [bytes([place]) + files[path] for place, path in enumerate(sorted(files))]
    return [bytes((13 * first + 7 * place) % 256 for place in range(64)) for first in range(40)]


NAMES = tuple(f"{kind}{ending}" for kind in READERS for ending in ("", "-bytes"))


if __name__ == "__main__":
    _, chosen, *rest = sys.argv
    atheris.Setup([sys.argv[0], *rest], target(chosen))
    atheris.Fuzz()
