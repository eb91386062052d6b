"""The table of all workloads and their expected ratios."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from benchmarks.jobs import CHARACTERS, SENTENCES, STREAMS, TOKENS, VOWELS, Job, matrix_flops
from benchmarks.peers.numpy_product import FLOPS
from benchmarks.units import OURS, Comparison, Unit, Work

LAYER_NAMES = {"rnn": "nn.RNN", "gru": "nn.GRU", "lstm": "nn.LSTM"}
LAYER_NAMES |= {
    "bidirectional": "nn.GRU",
    "attention": "nn.GRU, softmax",
    "tagger": "nn.GRU, packed",
    "mgu-tagger": "loop",
    "characters": "nn.GRU",
}


def all_works() -> tuple[Work, ...]:
    """Return all workloads in the order in which they run."""
    works = (
        _lesson(),
        *_gated(),
        *_batches(),
        *_large_batches(),
        *_ragged(),
        *_structures(),
        *_characters(),
        *_matrix_states(),
    )
    return (*works, _evaluation(), _starting(), *_scaling())


def _ours(job: Job, name: str = OURS, threads: int | None = None, flops: float = 0.0, whole: bool = False) -> Unit:
    return Unit(name, "ours", job, threads=threads, flops=flops, whole=whole)


def _mygrad(job: Job) -> Unit:
    return Unit("MyGrad op by op", "ours", job, options={"engine": "mygrad"}, agrees=False)


def _torch(job: Job, suffix: str = "", threads: int = 1) -> Unit:
    # nn.GRU resets after its product, h W * r, and the GRU of the other peers before it, (h * r) W, as in the paper.
    return Unit(f"PyTorch {LAYER_NAMES[job.cell]}{suffix}", "pytorch", job, threads=threads, agrees=job.cell != "gru")


def _jax(job: Job, name: str = "JAX", chunk: int = 1000, masked: bool = False, threads: int | None = None) -> Unit:
    options = {"masked": masked, "chunk": chunk}
    return Unit(name, "jax_scan", job, options=options, chunk=chunk, threads=threads)


def _lesson() -> Work:
    job = Job("rnn")
    c = Unit("C by hand, -O3", "hand_written_c", job, whole=True)
    unrolled = replace(c, name="C by hand, -O3 -funroll-loops", options={"unroll": True})
    peers = (_mygrad(job), _torch(job), _jax(job), _jax(job, "JAX, padded and masked", masked=True))
    wanted = {"MyGrad op by op": 150, "PyTorch nn.RNN": 90, "JAX": 1.5}
    return Work(
        "lesson",
        "The lesson's job: RNN, T 2 to 20, D 50, batch 1, draws included",
        (_ours(job, whole=True), c, unrolled, *peers),
        (
            Comparison("share", OURS, c.name, 0.85),
            Comparison("share", OURS, unrolled.name, 1.0),
            *(Comparison("times", OURS, peer.name, wanted.get(peer.name)) for peer in peers),
        ),
    )


def _gated() -> tuple[Work, ...]:
    works = []
    for cell, wanted in (("gru", 55), ("lstm", 20)):
        job = Job(cell)
        peers = (_mygrad(job), _torch(job), _jax(job))
        targets = (None, wanted, None)
        comparisons = (Comparison("times", OURS, p.name, t) for p, t in zip(peers, targets, strict=True))
        works.append(
            Work("gated", f"{cell.upper()}, sizes of the lesson", (_ours(job, whole=True), *peers), tuple(comparisons))
        )
    job = Job("mgu")
    loop = Unit("PyTorch loop", "pytorch", job, threads=1)
    compiled = replace(loop, name="PyTorch torch.compile", options={"compiled": True})
    peers = (_mygrad(job), loop, compiled, _jax(job))
    targets = (None, None, 50, None)
    comparisons = (Comparison("times", OURS, p.name, t) for p, t in zip(peers, targets, strict=True))
    title = "A custom cell (minimal gated unit), sizes of the lesson"
    return (*works, Work("gated", title, (_ours(job, whole=True), *peers), tuple(comparisons)))


def _batches() -> tuple[Work, ...]:
    works = []
    for cell, wanted in (("rnn", 2.5), ("gru", 2.0), ("lstm", 1.3)):
        job = Job(cell, 20, 20, 128, 32, drawn=False)
        units, comparisons = [], []
        for threads in (1, 2):
            suffix = f", {threads} thread{'s' * (threads > 1)}"
            ours = _ours(job, OURS + suffix, threads)
            torch, jax = _torch(job, suffix, threads), _jax(job, f"JAX{suffix}", 25, threads=threads)
            units += [ours, torch, jax]
            comparisons += [
                Comparison("times", ours.name, torch.name, wanted),
                Comparison("times", ours.name, jax.name),
            ]
        works.append(Work("batch32", f"{cell.upper()}, batch 32, T 20, D 128", tuple(units), tuple(comparisons)))
    return tuple(works)


def _large_batches() -> tuple[Work, ...]:
    works = []
    for cell, wanted in (("rnn", 1.3), ("gru", 1.3), ("lstm", 1.2)):
        job = Job(cell, 50, 50, 256, 64, drawn=False)
        suffix = ", 2 threads"
        ours = _ours(job, OURS + suffix, 2, matrix_flops(job))
        torch, jax = _torch(job, suffix, 2), _jax(job, f"JAX{suffix}", 5, threads=2)
        numpy = Unit(
            "NumPy matmul 1024" + suffix, "numpy_product", job, "product", threads=2, flops=FLOPS, agrees=False
        )
        comparisons = (
            Comparison("times", ours.name, torch.name, wanted),
            Comparison("times", ours.name, jax.name),
            Comparison("rate", ours.name, numpy.name, 0.65),
        )
        works.append(Work("batch64", f"{cell.upper()}, batch 64, T 50, D 256", (ours, torch, jax, numpy), comparisons))
    return tuple(works)


def _ragged() -> tuple[Work, ...]:
    titles = {
        VOWELS: "Japanese Vowels, lengths 7 to 29",
        TOKENS: "10,000 token sequences of lengths 0 to 500",
    }
    works = []
    for data, title in titles.items():
        job = Job("rnn", dim_recurrent=64, batch_size=32, drawn=False, data=data)
        units = [
            Unit(name, peer, job, "epochs", threads=2)
            for name, peer in ((OURS, "ours"), ("PyTorch nn.RNN, packed", "pytorch"), ("Keras, masked", "keras_masked"))
        ]
        comparisons = tuple(Comparison("times", OURS, unit.name, 3.0) for unit in units[1:])
        works.append(Work("ragged", f"An epoch of {title}: RNN, batch 32, D 64", tuple(units), comparisons, 5))
    return tuple(works)


def _structures() -> tuple[Work, ...]:
    """Return workloads beyond a loop with a readout of its end: two directions, attention, logits at every step."""
    works = []
    for cell, title in (
        ("bidirectional", "A bidirectional GRU, the last states of both directions joined"),
        ("attention", "A GRU with an attention readout of all its states"),
    ):
        job = Job(cell)
        peers = (_mygrad(job), _torch(job))
        comparisons = [Comparison("times", OURS, p.name, t) for p, t in zip(peers, (None, 5), strict=True)]
        units = (_ours(job, whole=True), *peers)
        works.append(Work("structures", f"{title}, sizes of the lesson", units, tuple(comparisons)))
        works.append(_by_threads(f"{title}, batch 32, T 20, D 64", Job(cell, 20, 20, 64, 32, drawn=False)))
    job = Job("mgu-tagger")
    loop = Unit("PyTorch loop", "pytorch", job, threads=1)
    compiled = replace(loop, name="PyTorch torch.compile", options={"compiled": True})
    peers = (_mygrad(job), loop, compiled, _jax(job))
    targets = (None, None, 20, 2.5)
    comparisons = [Comparison("times", OURS, p.name, t) for p, t in zip(peers, targets, strict=True)]
    title = "A custom cell with logits at every step"
    works.append(
        Work("structures", f"{title}, sizes of the lesson", (_ours(job, whole=True), *peers), tuple(comparisons))
    )
    works.append(_by_threads(f"{title}, batch 32, T 20, D 64", Job("mgu-tagger", 20, 20, 64, 32, drawn=False)))
    tagger = Job("tagger", dim_recurrent=64, batch_size=32, drawn=False, data=SENTENCES)
    title = "An epoch of 2,000 sentences of 5 to 40 words, a GRU that tags every word: batch 32, D 64"
    return (*works, _by_threads(title, tagger, 5, "epochs"))


def _characters() -> tuple[Work, Work]:
    """Return the training of a character language model, and text generation."""
    job = Job("characters", dim_recurrent=128, batch_size=STREAMS, drawn=False, data=CHARACTERS)
    units, comparisons = [], []
    for threads in (1, 2):
        suffix = f", {threads} thread{'s' * (threads > 1)}"
        jax = Unit(f"JAX{suffix}", "jax_scan", job, options={"chunk": 20}, chunk=20, threads=threads)
        sides = [
            replace(unit, function="truncated")
            for unit in (_ours(job, OURS + suffix, threads), _torch(job, suffix, threads), jax)
        ]
        units += sides
        comparisons += [
            Comparison("times", sides[0].name, peer.name, wanted)
            for peer, wanted in zip(sides[1:], (2.0, 1.3), strict=True)
        ]
    title = (
        "A character language model: GRU, 64 streams of 64 characters, C = K = 100, D 128, truncated backpropagation"
    )
    training = Work("characters", title, tuple(units), tuple(comparisons))
    ours, layer = (
        replace(unit, function="generation", iterations=10_000, whole=True, agrees=False)
        for unit in (_ours(job, threads=1), _torch(job, " in a loop"))
    )
    cell = replace(layer, name="PyTorch nn.GRUCell in a loop", options={"by_cell": True})
    comparisons = [Comparison("times", OURS, layer.name, 20.0), Comparison("times", OURS, cell.name)]
    title = "10,000 characters that this model writes, one after the other"
    return training, Work("characters", title, (ours, layer, cell), tuple(comparisons))


# The cells whose states are matrices, with D and the number of heads.
MATRIX_SIZES = {
    "linear-attention": ("Linear attention", ((16, 1), (32, 1), (64, 1), (64, 4))),
    "delta": ("DeltaNet", ((16, 1), (32, 1), (64, 1), (64, 4))),
    "mlstm": ("mLSTM", ((16, 1), (32, 1), (64, 1), (64, 4))),
    "selective": ("Selective state space of 8 numbers for each unit", ((16, 1), (64, 1))),
    "stack-memory": ("Stack-RNN, a stack of 16 x 8", ((16, 1), (64, 1))),
}


def _matrix_states() -> tuple[Work, ...]:
    """Return workloads of states that are matrices, with logits at every step, on one thread."""
    works = []
    for cell, (name, sizes) in MATRIX_SIZES.items():
        for (dim_recurrent, heads), batch in product(sizes, (32, 1)):
            job = Job(cell, 40, 40, dim_recurrent, batch, drawn=False, heads=heads)
            loop = Unit("PyTorch loop", "pytorch", job, threads=1)
            # It is the function of the loop, whose losses are compared.
            compiled = replace(loop, name="PyTorch torch.compile", options={"compiled": True}, agrees=False)
            jax = Unit("JAX", "jax_matrices", job, options={"chunk": 25}, chunk=25, threads=1)
            ours = replace(_ours(job, threads=1), chunk=25)
            comparisons = (
                Comparison("times", OURS, jax.name, 4.0 if batch > 1 else 2.5),
                Comparison("times", OURS, loop.name),
                Comparison("times", OURS, compiled.name, 5.0),
            )
            several = f"{heads} heads of " if heads > 1 else ""
            title = f"{name}: batch {batch}, T 40, D {several}{dim_recurrent // heads}"
            works.append(Work("matrix-states", title, (ours, jax, loop, compiled), comparisons))
    return tuple(works)


def _by_threads(title: str, job: Job, wanted: float | None = None, function: str = "training") -> Work:
    """Return a workload of batches compared with PyTorch, on one thread and on two."""
    units, comparisons = [], []
    for threads in (1, 2):
        suffix = f", {threads} thread{'s' * (threads > 1)}"
        ours, torch = (
            replace(unit, function=function)
            for unit in (_ours(job, OURS + suffix, threads), _torch(job, suffix, threads))
        )
        units += [ours, torch]
        comparisons.append(Comparison("times", ours.name, torch.name, wanted))
    return Work("structures", title, tuple(units), tuple(comparisons), 5)


def _evaluation() -> Work:
    job = Job("rnn")
    train = _ours(job, "training 100,000", whole=True)
    evaluate = Unit("evaluating 100,000", "ours", job, "evaluation", whole=True, agrees=False)
    comparison = Comparison("share", evaluate.name, train.name, 0.25)
    return Work("evaluate", "Evaluating 100,000 sequences of the lesson's job", (train, evaluate), (comparison,))


def _starting() -> Work:
    units, comparisons = [], []
    for name, cell, warm, wanted in (
        ("RNN, cached", "rnn", True, 1.5),
        ("LSTM, cached", "lstm", True, 1.5),
        ("RNN, first ever", "rnn", False, 10.0),
        ("LSTM, first ever", "lstm", False, 10.0),
    ):
        options = {"warm": warm}
        units.append(Unit(name, "starting", Job(cell), "first_iteration", options, None, 1, whole=True, agrees=False))
        comparisons.append(Comparison("seconds", name, wanted=wanted))
    command = Unit(
        "myrnn train, shell to shell", "starting", Job("rnn"), "train_command", iterations=1, whole=True, agrees=False
    )
    comparisons.append(Comparison("seconds", command.name, wanted=5.0))
    return Work("start", "From the start of a process to its first iteration", (*units, command), tuple(comparisons), 3)


# The sizes that scaling varies, by letter.
SCALES = {"T": (16, 32, 64, 128, 256), "D": (64, 128, 256, 512), "B": (8, 16, 32, 64, 128)}


def _scaling() -> tuple[Work, ...]:
    works = []
    for letter, sizes in SCALES.items():
        units = []
        for size in sizes:
            steps = size if letter == "T" else 20
            job = Job(
                "rnn",
                steps,
                steps,
                {"T": 50, "D": size, "B": 128}[letter],
                size if letter == "B" else 1,
                drawn=False,
            )
            units.append(replace(_ours(job, f"{letter} {size}"), agrees=False))
        works.append(Work("scaling", f"RNN, time against {letter}", tuple(units), repeats=3))
    return tuple(works)
