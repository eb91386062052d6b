"""Folders are written completely or not at all, and everything that is read is checked."""

import errno
import json
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myrnn.errors import RunError
from myrnn.storage import FolderFormat, arrays_to_bytes, empty_folder, is_scratch, json_to_bytes, seal

NOTES = FolderFormat("my notes", 1, "notebook", "index.json", {"text.json": 1000, "drawings.safetensors": 10_000})
DRAWINGS = {"cat": np.arange(6, dtype=np.float32).reshape(2, 3), "dog": np.array(7, dtype=np.int64)}
FILES = {"text.json": json_to_bytes({"first": "line"}), "drawings.safetensors": arrays_to_bytes(DRAWINGS)}


def refused(message):
    return pytest.raises(RunError, match=f"^{re.escape(message)}$")


@pytest.fixture
def folder(tmp_path):
    NOTES.write(tmp_path, {"author": "Ada"}, FILES)
    return tmp_path


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- writing and reading


def test_written_values_are_read_unchanged(folder):
    stored = NOTES.read(folder)
    assert (stored.folder, stored.index["author"], stored.content) == (folder, "Ada", FILES)
    assert stored.json("text.json") == {"first": "line"}
    drawings = stored.arrays("drawings.safetensors")
    assert set(drawings) == set(DRAWINGS)
    for name, drawing in DRAWINGS.items():
        assert (drawings[name].dtype, drawings[name].shape) == (drawing.dtype, drawing.shape)
        assert drawings[name].tobytes() == drawing.tobytes()
    assert NOTES.read_index(str(folder)) == stored.index


def test_arrays_are_stored_by_value_in_any_memory_order():
    odd = np.arange(24.0).reshape(4, 6)[::-2, 1::2].T
    content = arrays_to_bytes({"odd": odd})
    assert np.array_equal(np.frombuffer(content[-odd.nbytes :]).reshape(odd.shape), odd)


def test_functions_can_write_more_files(folder):
    NOTES.write(folder, {}, {**FILES, "cover.txt": lambda path: path.write_text("a cover")})
    assert (folder / "cover.txt").read_text() == "a cover"
    assert set(NOTES.read(folder).content) == set(FILES)


def test_existing_files_are_replaced(folder):
    NOTES.write(folder, {"author": "Bob"}, {**FILES, "text.json": b"{}"})
    stored = NOTES.read(folder)
    assert (stored.index["author"], stored.json("text.json")) == ("Bob", {})
    assert set(everything(folder)) == {"index.json", *FILES}


# --- written completely or not at all


def test_the_index_is_written_after_all_files_are_on_the_disk(tmp_path, monkeypatch):
    calls = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda one, other: (calls.append(f"name {other.name}"), replace(one, other)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("disk"), fsync(descriptor)))
    NOTES.write(tmp_path, {}, FILES)
    names = ["name drawings.safetensors", "name text.json"]
    assert calls == ["disk"] * 3 + names + ["disk", "name index.json", "disk", "disk"]


def test_an_old_index_is_removed_before_its_files(folder, monkeypatch):
    calls = []
    replace, unlink, fsync = os.replace, os.unlink, os.fsync
    monkeypatch.setattr(os, "replace", lambda one, other: (calls.append(f"name {other.name}"), replace(one, other)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("disk"), fsync(descriptor)))
    monkeypatch.setattr(os, "unlink", lambda path, **how: (calls.append(f"remove {path}"), unlink(path, **how)))
    NOTES.write(folder, {}, FILES)
    begin = ["disk"] * 3 + [f"remove {folder / 'index.json'}", "disk", "name drawings.safetensors"]
    assert calls[: len(begin)] == begin


# Three files and, three times, the folder are synced to the disk; the old index is gone after the first time, and the
# new one exists only after the last time.
@pytest.mark.parametrize(
    ("call", "fails_at", "expected"),
    [
        *(("fsync", place, "Ada") for place in range(3)),
        *(("fsync", place, None) for place in (3, 4)),
        ("fsync", 5, "Bob"),
        *(("replace", place, None) for place in range(3)),
    ],
)
def test_a_disk_that_fails_at_any_moment_leaves_no_mix_of_old_and_new(folder, monkeypatch, call, fails_at, expected):
    real, count = getattr(os, call), iter(range(100))

    def failing(*arguments):
        if next(count) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    texts = {"Ada": NOTES.read(folder).content["text.json"], "Bob": b"{}"}
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with refused(f"cannot write the notebook folder {folder}: No space left on device"):
            NOTES.write(folder, {"author": "Bob"}, {**FILES, "text.json": texts["Bob"]})
    assert not any(is_scratch(path) for path in folder.iterdir())
    if expected is None:
        with refused(f"{folder} is not a whole notebook: index.json is missing, which is written last"):
            NOTES.read(folder)
        NOTES.write(folder, {"author": "Bob"}, {**FILES, "text.json": texts["Bob"]})
    stored = NOTES.read(folder)
    assert stored.content["text.json"] == texts[stored.index["author"]]
    assert stored.index["author"] == (expected or "Bob")


def test_a_function_that_fails_keeps_the_old_files(folder):
    def fail(path):
        path.write_text("half")
        raise OSError(errno.EIO, "Input/output error")

    before = everything(folder)
    with refused(f"cannot write the notebook folder {folder}: Input/output error"):
        NOTES.write(folder, {}, {**FILES, "cover.txt": fail})
    assert everything(folder) == before


def test_values_that_json_cannot_hold_are_not_written(folder):
    before = everything(folder)
    with pytest.raises(ValueError, match="not JSON compliant"):
        NOTES.write(folder, {"author": float("nan")}, FILES)
    assert everything(folder) == before


# --- an empty folder


def test_a_folder_is_made(tmp_path):
    assert empty_folder(tmp_path / "a" / "b", "notebook") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert empty_folder(str(tmp_path / "a" / "b"), "notebook").is_dir()


def test_a_folder_that_cannot_be_used_is_refused(folder):
    with refused(f"{folder} is not empty: choose another folder, nothing is overwritten"):
        empty_folder(folder, "notebook")
    for path in (folder / "index.json", folder / "index.json" / "below"):
        with refused(f"{path} is or lies below a file: a notebook needs a separate folder"):
            empty_folder(path, "notebook")
    with pytest.raises(RunError, match=r"^cannot make the notebook folder "):
        empty_folder(folder / ("x" * 300), "notebook")
    with pytest.raises(RunError, match=r"^cannot make the notebook folder .*: .*embedded null "):
        empty_folder(f"{folder}/\0", "notebook")


# --- nothing is trusted


def test_a_path_that_is_not_a_folder(folder):
    with refused(f"there is no notebook folder {folder / 'gone'}"):
        NOTES.read(folder / "gone")
    with refused(f"there is no notebook folder {folder / 'index.json'}: it is a file"):
        NOTES.read(folder / "index.json")
    (folder / "index.json").unlink()
    with refused(f"{folder} is not a whole notebook: index.json is missing, which is written last"):
        NOTES.read(folder)


def rewrite(folder, **changes):
    """Change the values of the index and give it the hash that goes with them."""
    index = json.loads((folder / "index.json").read_bytes())
    (folder / "index.json").write_text(json.dumps(seal({**index, **changes})))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "a run"}, ": index.json is not that of a notebook: 'format' must be 'my notes'"),
        ({"format_version": None}, ": index.json has no valid 'format_version': None"),
        ({"format_version": 2}, " was written by a newer MyRNN, in format 2; this one reads up to 1"),
        ({"files": [1]}, ": index.json has no valid 'files': [1]"),
        ({"files": {"text.json": {}}}, ": index.json has no size and hash for text.json"),
        ({"files": {"text.json": 5}}, ": index.json has no size and hash for text.json"),
    ],
)
def test_an_index_of_another_type(folder, changes, message):
    rewrite(folder, **changes)
    with refused(f"{folder}{message}"):
        NOTES.read(folder)


def test_a_changed_value_in_the_index_is_detected(folder):
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace("Ada", "Adb"))
    with refused(f"{folder}: index.json is damaged or was changed: its values do not match its hash"):
        NOTES.read(folder)
    # Spaces and the order of names do not matter.
    (folder / "index.json").write_text(json.dumps(dict(reversed(json.loads(text).items()))))
    assert NOTES.read(folder).index["author"] == "Ada"


def test_a_file_that_is_far_too_large_is_not_read(folder):
    os.truncate(folder / "text.json", 10**12)
    with refused(f"{folder}: text.json is too large: 1,000,000,000,000 bytes, at most 1,000 are read"):
        NOTES.read(folder)


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "text.json"
    outside.write_bytes(FILES["text.json"])
    (folder / "text.json").unlink()
    (folder / "text.json").symlink_to(outside)
    with refused(f"{folder}: text.json is a link that leads out of the folder"):
        NOTES.read(folder)


def test_a_folder_that_is_a_link_is_read(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "notes"
    link.symlink_to(folder)
    assert NOTES.read(link).index["author"] == "Ada"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_path_that_is_not_a_regular_file_is_not_opened(folder, make):
    (folder / "text.json").unlink()
    make(folder / "text.json")
    with refused(f"{folder}: text.json is missing"):
        NOTES.read(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 999, "is not valid JSON: "),
        (b"[1]", "must hold an object, not [1]"),
        (b'{"a": NaN}', "is not valid JSON: NaN is not a number"),
        (b'{"a": 1e999}', "is not valid JSON: 1e999 is too large a number"),
        (b"\xff", "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
    ],
)
def test_invalid_json_is_refused(folder, content, message):
    NOTES.write(folder, {}, {**FILES, "text.json": content})
    with pytest.raises(RunError, match="^" + re.escape(f"{folder}: text.json {message}")):
        NOTES.read(folder).json("text.json")


def test_json_that_is_too_deep_is_refused(folder):
    deep = FolderFormat("my notes", 1, "notebook", "index.json", {"text.json": 10**7})
    deep.write(folder, {}, {"text.json": b'{"a":' * 200_000})
    with pytest.raises(RunError, match=r"text\.json is not valid JSON: "):
        deep.read(folder).json("text.json")


def test_invalid_arrays_are_refused(folder):
    NOTES.write(folder, {}, {**FILES, "drawings.safetensors": b"x" * 50})
    with pytest.raises(RunError, match="^" + re.escape(f"{folder}: drawings.safetensors is not valid: ")):
        NOTES.read(folder).arrays("drawings.safetensors")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_or_a_truncation_is_detected_in_every_file(folder, data):
    name = data.draw(st.sampled_from(["index.json", *FILES]))
    path = folder / name
    whole = path.read_bytes()
    stored = NOTES.read(folder)
    if data.draw(st.booleans()):
        changed = bytearray(whole)
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        changed = whole[: data.draw(st.integers(0, len(whole) - 1))]
    path.write_bytes(changed)
    try:
        again = NOTES.read(folder)
    except RunError as error:
        assert "\n" not in str(error)
    else:
        # Only a space of the index may become another white space: the values are the same.
        assert (name, again.index, again.content) == ("index.json", stored.index, stored.content)
    finally:
        path.write_bytes(whole)
