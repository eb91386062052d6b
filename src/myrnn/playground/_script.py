"""The Python that trains the same network to the same numbers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from myrnn.models import GRU, LSTM, RNN
from myrnn.playground._network import REPORT_EVERY, Network, Phase
from myrnn.playground._settings import OWN
from myrnn.registry import find

_CLASSES = {"rnn": RNN.__name__, "gru": GRU.__name__, "lstm": LSTM.__name__}

_MODEL = """# The seed draws the first weights, in another stream than the sequences.
weights = np.random.default_rng(({seed}, 1))
model = {made}
"""
_LOADED = """# The playground went on from this run, with a new optimizer.
model = load_run({given}).model
"""
_TRAIN = """{name} = myrnn.train(
    model, task, optimizer, iterations={iterations}, batch_size={batch_size}, seed={seed},
    report_every={report_every}, gradient_clip={gradient_clip},
)
"""
_LATER = """
# From here on with other settings, and other sequences.
optimizer.learning_rate = {learning_rate}
{train}history = history.joined(later)
"""
_REPORT = """print(history)

report = myrnn.evaluate(model, task, samples=20_000, lengths=range({first}, {last}, 2), trained=history)
print(report)
myrnn.plots.save_figure(history.plot(), "training.png")
myrnn.plots.save_figure(report.plot(), "accuracy_by_length.png")
"""


def script(network: Network, own_source: tuple[str, str] | None = None) -> str:
    """Return a Python program that makes the network and trains it as far as it is now.

    Parameters
    ----------
    network : Network
    own_source : pair of str, optional
        The file and the name of the person's own class.

    Raises
    ------
    InvalidArgument
        When its training failed: no number of iterations makes these weights.
    """
    network.check_whole()
    settings, task = network.settings, network.task
    imports = ["import numpy as np", "import myrnn"]
    of_own = settings["cell"] == OWN
    optimizer = find("optimizer", settings["optimizer"]).make.__name__
    if network.run is not None:
        loading = ["from myrnn.models import load_own"] if of_own else []
        imports = ["import myrnn", *loading, "from myrnn.runs import load_run"]
        given = repr(network.run.folder.as_posix()) + (f", {_class(own_source)}" if of_own else "")
        model = _LOADED.format(given=given)
    elif of_own:
        imports, model = _own(settings, own_source)
    else:
        model = _MODEL.format(seed=settings["seed"], made=_made(settings))
    phases = network.phases
    rate = phases[0].learning_rate if phases else settings["learning_rate"]
    beside = f"\n\nRun it in the folder of {Path(own_source[0]).name}.\n" if of_own and own_source else ""
    lines = [
        f'"""The network of the playground, after {network.iteration:,} iterations.{beside}"""',
        "",
        *imports,
        "",
        f"task = myrnn.tasks.{task!r}",
        model.rstrip(),
        f"optimizer = myrnn.{optimizer}(model.parameters, learning_rate={rate})",
        "",
    ]
    if not phases:
        return "\n".join([*lines, "# It has not been trained yet.", ""])
    report = _REPORT.format(first=int(task.lengths[0]), last=2 * int(task.lengths[-1]) + 1)
    return "\n".join([*lines, _trained(phases) + report])


def _trained(phases: list[Phase]) -> str:
    calls = [
        _TRAIN.format(name="later" if i else "history", report_every=REPORT_EVERY, **asdict(phase))
        for i, phase in enumerate(phases)
    ]
    later = [
        _LATER.format(learning_rate=phase.learning_rate, train=call)
        for phase, call in zip(phases[1:], calls[1:], strict=True)
    ]
    return "".join([calls[0], *later])


def _made(settings: dict[str, object]) -> str:
    name, _, activation = str(settings["cell"]).partition("-")
    extra = f", activation={activation!r}" if activation else ""
    sizes = f"{settings['alphabet_size']}, {settings['dim_recurrent']}, 2"
    return f"myrnn.{_CLASSES[name]}({sizes}{extra}, rng=weights)"


def _own(settings: dict[str, object], own_source: tuple[str, str] | None) -> tuple[list[str], str]:
    imports = ["import numpy as np", "import myrnn", "from myrnn.models import load_own, make_own"]
    model = (
        f"weights = np.random.default_rng(({settings['seed']}, 1))\n"
        f"cell = {_class(own_source)}\n"
        f"model = make_own(cell, ({settings['alphabet_size']}, {settings['dim_recurrent']}, 2), weights)\n"
    )
    return imports, model


def _class(own_source: tuple[str, str] | None) -> str:
    assert own_source is not None
    file, name = own_source
    return f"load_own({f'{Path(file).name}:{name}'!r}).make"
