"""Make files and pictures of docs/how-to/your-own-sequences.md: words of six languages, and a network that tells which.

``python docs/make_own_sequences.py FOLDER`` writes ``train.csv`` and ``test.csv`` into a folder, trains, and copies the
pictures. The words are the most frequent ones in films' subtitles, as pyspellchecker has them (``pip install
pyspellchecker``), without those that are frequent in two of the languages.
"""

import csv
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from spellchecker import SpellChecker

from myrnn.cli import main

IMAGES = Path(__file__).parent / "images"
LANGUAGES = {"de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch"}
# Of the most frequent words so many are taken; shorter ones are mostly names of letters and of units.
MOST, SHORTEST = 4000, 3
COMMAND = ["--model=gru", "--max-epochs=20", "--schedule=cosine"]


def frequent_words(code: str) -> list[str]:
    """Return the most frequent words of a language."""
    counts = SpellChecker(language=code).word_frequency.dictionary
    words = [word for word in counts if word.isalpha() and len(word) >= SHORTEST]
    return sorted(words, key=lambda word: (-counts[word], word))[:MOST]


def labelled_words() -> list[tuple[str, str]]:
    """Return words and their languages, in an order drawn at random."""
    words = {name: frequent_words(code) for code, name in LANGUAGES.items()}
    languages = Counter(word for listed in words.values() for word in listed)
    pairs = [(word, name) for name, listed in words.items() for word in listed if languages[word] == 1]
    return [pairs[place] for place in np.random.default_rng(0).permutation(len(pairs))]


def write_files(folder: Path) -> None:
    """Write four fifths of the words to ``train.csv`` and the others to ``test.csv``."""
    pairs = labelled_words()
    cut = len(pairs) * 4 // 5
    for name, part in (("train.csv", pairs[:cut]), ("test.csv", pairs[cut:])):
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("sequence", "label"), *part])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder)
    run, files = folder / "languages", [f"--data={folder / 'train.csv'}", f"--test={folder / 'test.csv'}"]
    if main(["train", *files, *COMMAND, f"--out={run}"]) == 0:
        for picture in ("training", "confusion", "accuracy_by_length", "calibration"):
            shutil.copy(run / f"{picture}.png", IMAGES / f"own-{picture}.png")
