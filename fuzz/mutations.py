"""Changes to a folder: to values, text, arrays, bytes, and the files themselves."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import struct
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import safetensors.numpy

from fuzz.folders import Folder
from myrnn.storage import FolderFormat, seal

Item = TypeVar("Item")
Files = MutableMapping[str, bytes]


class Choices(Protocol):
    """The source of decisions: Hypothesis, or the bytes of a fuzzer."""

    def below(self, count: int) -> int:
        """Return an integer from 0 to `count` - 1."""

    def blob(self) -> bytes:
        """Return a few bytes."""


def nested(depth: int) -> Any:
    """Return a list in a list in a list."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


# Values that are invalid in most places, and needed in some.
NUMBERS = (0, 1, -1, 2, 7, 0.5, -0.0, 1e308, 1e-320, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 10**400)
TEXTS = ("", "a", "../../outside", "/etc/passwd", "\x1b[2J\n", "\ud800", "\0", "x" * 5000, "NaN", "1", "é")
NAMES = (
    *("rnn", "gru", "lstm", "own", "palindromes", "sgd", "rmsprop", "near_miss", "tanh", "identity", "both", "cosine"),
    *("native", "balanced", "vocabulary", "standardizer", "characters", "integers", "float", "int", "bool", "str"),
    *("F64", "I64", "BF16", "F8_E4M3", "BOOL", "U8", "<U262144", "O", ">i8", "f2", "V8", "M8", "PCG64", "MT19937"),
)
OTHERS = (
    None,
    True,
    False,
    [],
    {},
    [0] * 500,
    [[1, 2]],
    {"a": 1},
    nested(60),
    nested(150),
    nested(3000),
    [None],
    ["a", "a"],
)
# Text instead of a value: invalid or borderline JSON.
RAW = ("NaN", "-Infinity", "1e999", "9" * 5000, "[" * 3000, '{"a": 1, "a": 2}', "0x10", "'a'", '"\\ud800"', "1 2", "")
CELLS = ("nan", "inf", "-1", "1e400", "9" * 5000, "", '"', "\0", "\n", "1_0", "٣", "0", "2.5", "x" * 5000)
DTYPES = ("f4", "f8", "f2", "i8", "i4", "u1", "?", "u8")
_PLACE = "@@here@@"


def mutate(folder: Folder, choices: Choices) -> Files:
    """Return the files of a folder with one to three of them changed, usually with repaired checksums."""
    files = dict(folder.files)
    for _ in range(1 + choices.below(3)):
        name = pick(choices, sorted(files))
        files[name] = _changed(name, files[name], choices)
        if choices.below(16):
            put_right(files, folder, name)
    return files


def put_right(files: Files, folder: Folder, changed: str) -> None:
    """Update the indices of a folder after a change of one file, with the right hashes."""
    indices = [_join(within, kind.index) for within, kind in folder.formats.items()]
    for within, kind in folder.formats.items():
        _put_right(files, within, kind, list_files=changed not in indices)


def write(files: Files, target: Path, choices: Choices) -> None:
    """Write the files, sometimes with a link or another object instead of one of them."""
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if choices.below(8) == 0:
        path = target / pick(choices, sorted(files))
        outside = target.parent / "outside"
        outside.write_bytes(path.read_bytes())
        path.unlink()
        pick(choices, ODDITIES)(path, outside)


def _link_out(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def _link_to_itself(path: Path, outside: Path) -> None:
    path.symlink_to(path)


def _link_to_device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder_of_links(path: Path, outside: Path) -> None:
    """Replace the folder of the file by a link to another place."""
    here = path.parent
    path.write_bytes(outside.read_bytes())
    there = outside.with_name("elsewhere")
    here.rename(there)
    here.symlink_to(there)


ODDITIES: tuple[Callable[[Path, Path], Any], ...] = (
    _link_out,
    _link_to_itself,
    _link_to_device,
    _folder_of_links,
    lambda path, outside: path.mkdir(),
    lambda path, outside: os.mkfifo(path),
    lambda path, outside: None,
)


def pick(choices: Choices, items: Sequence[Item]) -> Item:
    """Return one of the items."""
    return items[choices.below(len(items))]


def _join(within: str, name: str) -> str:
    return f"{within}/{name}" if within else name


def _put_right(files: Files, within: str, kind: FolderFormat, *, list_files: bool) -> None:
    """Update the entries of an index, and its hash."""
    path = _join(within, kind.index)
    try:
        index = json.loads(files[path])
        if list_files:
            for name in kind.files:
                content = files[_join(within, name)]
                index["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            files[path] = json.dumps(seal(index)).encode()
        else:
            # Its text was changed: only replace the hash.
            files[path] = files[path].replace(index["sha256"].encode(), seal(index)["sha256"].encode())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return  # It is not an index any more.


def _changed(name: str, content: bytes, choices: Choices) -> bytes:
    ways = {".json": _json, ".csv": _csv, ".safetensors": _safetensors}
    way = ways.get(Path(name).suffix, _bytes)
    return way(content, choices) if choices.below(6) else _bytes(content, choices)


def _bytes(content: bytes, choices: Choices) -> bytes:
    begin = choices.below(len(content) + 1)
    end = min(len(content), begin + choices.below(20))
    put = pick(
        choices, (lambda: b"", choices.blob, lambda: b"null", lambda: b"-1", lambda: b"\xff\xfe", lambda: b"[]")
    )()
    return content[:begin] if choices.below(8) == 0 else content[:begin] + put + content[end:]


def _json(content: bytes, choices: Choices) -> bytes:
    try:
        changed, raw = mutate_json(json.loads(content), choices)
        text = json.dumps(changed)
    except (ValueError, RecursionError):
        # It is invalid, or earlier changes made it too deep for Python.
        return _bytes(content, choices)
    return text.replace(json.dumps(_PLACE), raw).encode("utf-8", "surrogatepass")


def mutate_json(value: Any, choices: Choices) -> tuple[Any, str]:
    """Return nested values with one of them changed, and the text to put in place of a placeholder."""
    root = {"": copy.deepcopy(value)}
    parent: Any = root
    key: Any = ""
    while choices.below(5) and isinstance(parent[key], dict | list) and parent[key]:
        parent = parent[key]
        key = pick(choices, list(parent)) if isinstance(parent, dict) else choices.below(len(parent))
    raw = pick(choices, RAW)
    what = choices.below(10)
    if what == 0:
        del parent[key]
    elif what == 1:
        parent[key] = _PLACE
    elif what == 2:
        parent[key] = [parent[key], parent[key]]
    elif what == 3:
        parent[key] = copy.deepcopy(_anywhere(root[""], choices)) if "" in root else None
    elif what == 4 and isinstance(parent, dict):
        parent[pick(choices, (*TEXTS, *NAMES, "name", "files", "dtype"))] = parent.pop(key)
    elif what == 5 and isinstance(parent[key], dict):
        parent[key][pick(choices, (*TEXTS, "name"))] = pick(choices, (*NUMBERS, *OTHERS))
    elif what == 6 and isinstance(parent[key], list):
        parent[key] = parent[key] * (1 + choices.below(200))
    elif what == 7 and isinstance(parent[key], int | float):
        parent[key] = parent[key] * pick(choices, (-1, 2, 1.5, 10**6, 10**12))
    else:
        parent[key] = pick(choices, pick(choices, (NUMBERS, TEXTS, NAMES, OTHERS)))
    return root.get("", None), raw


def _anywhere(value: Any, choices: Choices) -> Any:
    while isinstance(value, dict | list) and value and choices.below(4):
        value = pick(choices, list(value.values()) if isinstance(value, dict) else value)
    return value


def _csv(content: bytes, choices: Choices) -> bytes:
    rows = [line.split(",") for line in content.decode("utf-8", "replace").splitlines()]
    if not rows:
        return pick(choices, CELLS).encode()
    row = pick(choices, rows)
    what = choices.below(5)
    if what == 0:
        rows.append(row)
    elif what == 1:
        rows.remove(row)
    elif what == 2:
        row.append(pick(choices, CELLS))
    elif row:
        row[choices.below(len(row))] = pick(choices, CELLS)
    return ("\n".join(",".join(cells) for cells in rows) + "\n").encode()


def _safetensors(content: bytes, choices: Choices) -> bytes:
    return (_arrays if choices.below(2) else _header)(content, choices)


def _header(content: bytes, choices: Choices) -> bytes:
    """Change the values of the header: names, types, shapes, offsets."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = _json(content[8 : 8 + length], choices)
    except struct.error:
        return _bytes(content, choices)
    said = len(header) if choices.below(8) else pick(choices, (0, 2**63, 10**9, len(header) + 1))
    return struct.pack("<Q", said) + header + content[8 + length :]


def _arrays(content: bytes, choices: Choices) -> bytes:
    """Change an array: its name, its type, its shape, its values."""
    try:
        arrays = safetensors.numpy.load(content)
    except Exception:  # the error classes of the library
        return _bytes(content, choices)
    if not arrays:
        return _bytes(content, choices)
    name = pick(choices, sorted(arrays))
    array = arrays[name]
    what = choices.below(6)
    if what == 0:
        del arrays[name]
    elif what == 1:
        arrays[pick(choices, TEXTS[:5])] = arrays.pop(name)
    elif what == 2:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(pick(choices, DTYPES))
    elif what == 3:
        shapes = [(-1,), (1, -1), (-1, 1), (1, 1, -1)]
        arrays[name] = array.reshape(pick(choices, shapes))
    elif what == 4:
        arrays[name] = np.concatenate([array, array]) if array.ndim else array
    elif array.size:
        odd = (np.nan, np.inf, -1, 0, 2, 1e30) if array.dtype.kind == "f" else (0, 1, 100)
        array = array.copy()
        array.flat[choices.below(array.size)] = pick(choices, odd)
        arrays[name] = array
    return safetensors.numpy.save({key: np.ascontiguousarray(item) for key, item in arrays.items()})
