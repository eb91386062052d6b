"""Hostile folders can do nothing but get a RunError. `make fuzz` goes on with the same for as long as one likes."""

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "fuzz").is_dir():
    pytest.skip("the fuzz folder is not here", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from fuzz.folders import folders  # noqa: E402
from fuzz.mutations import mutate, write  # noqa: E402
from fuzz.readers import READERS, read  # noqa: E402


class Drawn:
    """Choices that Hypothesis makes."""

    def __init__(self, data):
        self._data = data

    def below(self, count):
        return self._data.draw(st.integers(0, count - 1))

    def blob(self):
        return self._data.draw(st.binary(max_size=8))


class First:
    """Choices that change nothing but what the first of all changes does."""

    def below(self, count):
        return count - 1

    def blob(self):
        return b""


@pytest.fixture(scope="module")
def sound():
    return folders()


def put(files, target):
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


@pytest.mark.parametrize("kind", READERS)
def test_a_sound_folder_is_read_whole(sound, kind, tmp_path):
    put(sound[kind].files, tmp_path / "runs" / "it")
    put(sound[kind].files, tmp_path / "good")
    for reader in READERS[kind]:
        reader(tmp_path / "runs" / "it", tmp_path / "good")


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_hostile_folder_gets_an_error_and_nothing_else(sound, kind, data):
    with tempfile.TemporaryDirectory() as place:
        base, choices = Path(place), Drawn(data)
        put(sound[kind].files, base / "good")
        write(mutate(sound[kind], choices), base / "runs" / "it", choices)
        read(kind, base / "runs" / "it", base / "good")
