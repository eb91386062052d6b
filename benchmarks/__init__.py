"""How fast MyRNN is beside its peers: ``python -m benchmarks``."""
