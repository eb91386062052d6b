"""
Your own CSV
============

A file with a column ``sequence`` and a column ``label`` is all that a classifier needs. The file of this example is
written here, so that you can run it: English numbers and French numbers, as words.
"""

import csv
import tempfile
from pathlib import Path

import myrnn
from myrnn import SequenceClassifier

UNITS = {
    "English": "zero one two three four five six seven eight nine".split(),
    "French": "zéro un deux trois quatre cinq six sept huit neuf".split(),
}
TENS = {
    "English": "twenty thirty forty fifty sixty".split(),
    "French": "vingt trente quarante cinquante soixante".split(),
}
folder = Path(tempfile.mkdtemp())
rows = [(f"{ten}-{unit}", name) for name in UNITS for ten in TENS[name] for unit in UNITS[name]]
with open(folder / "numbers.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([("sequence", "label"), *rows])

print((folder / "numbers.csv").read_text(encoding="utf-8")[:80])

# %%
# ``read_sequences`` reads the file as the command ``myrnn train --data numbers.csv`` does. Each text is read character by
# character, since none has a space.

data = myrnn.read_sequences(folder / "numbers.csv")
print(data)
