"""Hostile folders: real ones, changed in ways that nobody would hit upon, and all that reads folders let at them.

``mutations`` changes a folder and puts its checksums right again, so that what lies behind them is reached; ``readers``
says what is read, and that nothing but a RunError may come of it. ``tests/test_hostile_folders.py`` drives both with
Hypothesis, ``python -m fuzz`` with atheris, which is led by what the readers' code does.
"""
