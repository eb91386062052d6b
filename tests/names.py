"""Names that several messages list."""

CELLS = (
    "'rnn', 'gru', 'lstm', 'mgu', 'stack-rnn', 'min-gru', 'lru', 'slstm', 'mlstm', 'mamba', 'gated-deltanet', "
    "'deltaproduct', 'rwkv7'"
)
