"""The speed of MyRNN compared with its peers: ``python -m benchmarks``."""
