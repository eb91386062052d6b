"""
Your own CSV
============

A file with a column ``sequence`` and a column ``label`` is all that a classifier needs. So that you can run it, this
example first writes such files. They contain the names of numbers in three languages.
"""

import csv
import random
import tempfile
from pathlib import Path

import myrnn
from myrnn import SequenceClassifier

LANGUAGES = {
    "Dutch": (
        "een twee drie vier vijf zes zeven acht negen",
        "twintig dertig veertig vijftig zestig zeventig tachtig negentig",
        "en",
    ),
    "German": (
        "ein zwei drei vier fünf sechs sieben acht neun",
        "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
        "und",
    ),
    "Danish": (
        "en to tre fire fem seks syv otte ni",
        "tyve tredive fyrre halvtreds tres halvfjerds firs halvfems",
        "og",
    ),
}
rows = [
    (one + joint + ten, language)
    for language, (ones, tens, joint) in LANGUAGES.items()
    for one in ones.split()
    for ten in tens.split()
]
random.Random(0).shuffle(rows)
folder = Path(tempfile.mkdtemp())
for name, part in {"train.csv": rows[:160], "test.csv": rows[160:]}.items():
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sequence", "label"), *part])
print((folder / "train.csv").read_text(encoding="utf-8")[:90])

# %%
# ``read_sequences`` reads the files as the command ``myrnn train --data train.csv --test test.csv`` does. The texts
# have no spaces, so they are read character by character.

train, test = (myrnn.read_sequences(folder / name) for name in ("train.csv", "test.csv"))
classifier = SequenceClassifier("gru", dim_recurrent=16, max_epochs=25, batch_size=8, random_state=0)
classifier.fit(train.sequences, train.labels)
report = classifier.report(test.sequences, test.labels)
report

# %%
# Which languages does it confuse?

ax = report.plot()

# %%
# Numbers that are larger than any it has seen:

for word in ("honderdvijftig", "hundertfünfzig", "hundredeoghalvtreds"):
    print(word, classifier.predict([word])[0])
