"""Folders of files that are whole or not there: a crash leaves no half, and reading checks everything.

A `FolderFormat` says what belongs in a kind of folder. Its ``write`` puts every file on the disk before it gets its
name, and last the index, a JSON file with the size and the SHA-256 of the others: a folder without it does not count.
Its ``read`` trusts nothing that it finds. No file holds anything executable: tables are CSV, values JSON, arrays
safetensors.
"""

from myrnn.storage._format import FolderFormat
from myrnn.storage._lock import LOCK, FolderLock, is_locked
from myrnn.storage._stored import Stored, damaged
from myrnn.storage._values import arrays_to_bytes, json_to_bytes, seal
from myrnn.storage._write import clear_scratch, empty_folder, is_scratch, place_file

__all__ = [
    "LOCK",
    "FolderFormat",
    "FolderLock",
    "Stored",
    "arrays_to_bytes",
    "clear_scratch",
    "damaged",
    "empty_folder",
    "is_locked",
    "is_scratch",
    "json_to_bytes",
    "place_file",
    "seal",
]
