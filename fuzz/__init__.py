"""Hostile folders: real ones with random changes, and all code that reads folders.

``mutations`` changes a folder and repairs its checksums, so that the code after that check is reached; ``readers``
reads it, and allows no error except a RunError. ``tests/test_hostile_folders.py`` runs both with Hypothesis,
``python -m fuzz`` with atheris, which is guided by the coverage of the readers.
"""
