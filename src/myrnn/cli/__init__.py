"""The command line ``myrnn``: train, evaluate, transfer, inspect, predict, graph, plot and lesson."""

from myrnn.cli._main import main

__all__ = ["main"]
