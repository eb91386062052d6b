"""Hostile folders can only cause a RunError. `make fuzz` runs the same search for as long as you like."""

import json
import re
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myrnn import SequenceClassifier
from myrnn.errors import RunError
from myrnn.runs import load_run
from myrnn.runs.folder import load_job
from myrnn.storage import damaged

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fuzz.folders import folders  # noqa: E402
from fuzz.mutations import mutate, put_right, write  # noqa: E402
from fuzz.readers import READERS, check_message, read  # noqa: E402


class Drawn:
    """Choices that Hypothesis makes."""

    def __init__(self, data):
        self._data = data

    def below(self, count):
        return self._data.draw(st.integers(0, count - 1))

    def blob(self):
        return self._data.draw(st.binary(max_size=8))


@pytest.fixture(scope="module")
def sound():
    return folders()


def put(files, target):
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


@pytest.mark.parametrize("kind", READERS)
def test_an_intact_folder_is_read(sound, kind, tmp_path):
    put(sound[kind].files, tmp_path / "runs" / "it")
    put(sound[kind].files, tmp_path / "good")
    for reader in READERS[kind]:
        reader(tmp_path / "runs" / "it", tmp_path / "good")


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_a_hostile_folder_gets_an_error_and_nothing_else(sound, kind, data):
    with tempfile.TemporaryDirectory() as place:
        base, choices = Path(place), Drawn(data)
        put(sound[kind].files, base / "good")
        write(mutate(sound[kind], choices), base / "runs" / "it", choices)
        read(kind, base / "runs" / "it", base / "good")


# --- regressions found by fuzzing


def changed(folder, name, change):
    """Return the files of a folder with one value changed and valid checksums."""
    files = dict(folder.files)
    content = json.loads(files[name])
    change(content)
    files[name] = json.dumps(content).encode()
    put_right(files, folder, name)
    return files


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


LONG = 10**4000


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        (
            "classifier",
            "settings.json",
            lambda index: index["model"].update(layers=10**9),
            "settings.json cannot be used: a model of ",
        ),
        (
            "classifier",
            "settings.json",
            lambda index: index["model"].update(layers=LONG),
            f"settings.json cannot be used: layers must be at most {2**63 - 1}, not 1000000",
        ),
        (
            "classifier",
            "settings.json",
            lambda index: index["model"].update(dim_embedding="2"),
            "settings.json cannot be used: dim_embedding must be an integer, not '2'",
        ),
        (
            "classifier",
            "encoding.json",
            lambda encoding: encoding["targets"]["inner"].update(dtype="<U134217728"),
            "encoding.json cannot be used: the classes cannot be '<U134217728'",
        ),
        (
            "run",
            "settings.json",
            lambda index: index["model"].update(dim_recurrent=LONG),
            f"settings.json cannot be used: dim_recurrent must be at most {2**63 - 1}, not 1000000",
        ),
        (
            "run",
            "settings.json",
            lambda index: index.update(note=nest(150)),
            "settings.json is not valid JSON: it nests more than 100 levels deep",
        ),
        (
            "unfinished",
            "unfinished.json",
            lambda index: index["optimizer"].update(weight_decay=[0]),
            "unfinished.json cannot be used: weight_decay must be a number, not [0]",
        ),
        *(
            (
                "unfinished",
                "unfinished.json",
                lambda index, part=part, name=name: index[part].update({name: 10**18}),
                f"unfinished.json cannot be used: {name} must be at most {most}, not {10**18}",
            )
            for part, name, most in (
                ("training", "batch_size", 10**6),
                ("training", "iterations", 10**12 - 1),
                ("training", "report_every", 10**12 - 1),
                ("evaluation", "samples", 10**7),
            )
        ),
        (
            "unfinished",
            "unfinished.json",
            lambda index: index["task"].update(pattern_length_max=10**6),
            "unfinished.json cannot be used: pattern_length_max must be at most 20000, not 1000000",
        ),
    ],
)
def test_folders_found_by_fuzzing_are_refused(sound, tmp_path, kind, name, change, message):
    readers = {
        "classifier": SequenceClassifier.load,
        "run": load_run,
        "unfinished": load_job,
    }
    put(changed(sound[kind], name, change), tmp_path / "it")
    with pytest.raises(RunError, match="^" + re.escape(f"{tmp_path / 'it'}: {message}")) as caught:
        readers[kind](tmp_path / "it")
    check_message(str(caught.value).replace(str(tmp_path), ""))


def test_a_message_is_neither_long_nor_a_command(tmp_path):
    with pytest.raises(RunError) as caught:
        damaged(tmp_path, "a.json", "holds \x1b[2J\n" + "x" * 5000)
    told = str(caught.value).removeprefix(f"{tmp_path}: a.json ")
    assert told.startswith("holds \\x1b[2J\\nxxx")
    assert told.endswith("x...")
    assert len(told) == 400
