"""Draw the figures of the examples for the documentation: ``python docs/make_real_data.py``."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PICTURES = {
    "japanese_vowels": ("japanese_vowels_confusion.png", "japanese_vowels_lengths.png"),
    "digits": ("digits_training.png", "digits_confusion.png"),
    "languages": ("languages_confusion.png", "languages_lengths.png"),
    "sunspots": ("sunspots_forecast.png",),
}
# The figures of the other examples show one network.
SEEDS = {"sunspots": 5}


def make_pictures() -> None:
    """Run every example, and keep the figures that the pages show."""
    with tempfile.TemporaryDirectory() as scratch:
        for example, names in PICTURES.items():
            script = DOCS.parent / "examples" / f"{example}.py"
            seeds = str(SEEDS.get(example, 1))
            subprocess.run([sys.executable, str(script), "--seeds", seeds, "--out", scratch], check=True)
            for name in names:
                shutil.copy(Path(scratch) / name, DOCS / "images" / name)


if __name__ == "__main__":
    make_pictures()
