"""Trained networks as files that other programs read.

In the order in which data pass: `network` collects what every format needs of a model, a run or an estimator, and
`options` says how to write it. Then each format has a module, whose function ``written(network, options)`` returns the
content of the file: `onnx`, with `operators` (the operations of the compiler in those of ONNX) and `graphs` (a graph of
ONNX while it is written); `c`; `javascript`; and `page`, with `facts` (what the page alone says of a network),
`examples` (a few sequences of a run) and the scripts in `static`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.compiler.render.c import C
from myrnn.compiler.render.javascript import JAVASCRIPT
from myrnn.errors import InvalidArgument
from myrnn.exports.network import TrainedNetwork, Units, network_of
from myrnn.exports.options import Options
from myrnn.storage import place_file, refused

__all__ = ["Options", "TrainedNetwork", "Units", "export", "network_of"]


@dataclass(frozen=True)
class Format:
    """A kind of file: the module that writes it, which is imported when it is needed, and the options that it has."""

    module: str
    options: Collection[str]


FORMATS = {
    ".onnx": Format("onnx", ("tokens", "batched", "name")),
    ".c": Format("c", ("tokens", "training", "name")),
    ".js": Format("javascript", ("tokens", "training")),
    ".mjs": Format("javascript", ("tokens", "training")),
    ".html": Format("page", ("tokens",)),
}
"""The formats by the ending of the file."""


def export(
    source: Any,
    path: str | os.PathLike[str],
    *,
    tokens: bool | None = None,
    batched: bool = False,
    training: bool = False,
    name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a trained network as a file that other programs read.

    The ending of the file chooses the format. The names of the classes and of the symbols are in the file.

    Parameters
    ----------
    source : callable, CompiledModel, Run, path or estimator
        A model, the result of `run` or of `load_run`, the folder of a run, or a fitted estimator. The model must be one
        that compiles.
    path : path
        The file. Its folder must exist.
    tokens : bool, optional
        Whether the network reads tokens, which are integers, instead of rows of numbers. By default it does if the run
        or the estimator has learned from symbols.
    batched : bool
        Whether the network reads several sequences of one length at once.
    training : bool
        Whether the file can continue training.
    name : str, optional
        The name of the graph of an ``.onnx`` file, or what all names of a ``.c`` file begin with; by default the name
        of the file. Characters that are not allowed in a name become ``_``, and none are at its ends.
    overwrite : bool
        Whether to replace an existing file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidArgument
        When an argument is of another type, the ending is not one of a format, the format has no such option, the file
        exists, the folder does not, or a weight is not finite.
    CompileError
        When the model does not compile, or computes something else by now.
    RunError
        When the folder of a run is damaged, or the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import RNN, export
    >>> with TemporaryDirectory() as folder:
    ...     path = export(RNN(10, 8, 2, rng=0), Path(folder, "net.onnx"), tokens=True)
    ...     path.name, path.stat().st_size > 1000
    ('net.onnx', True)
    """
    target = _checks.path("path", path)
    if name is not None and not isinstance(name, str):
        raise InvalidArgument(f"name must be text, not {_checks.shown(name)}")
    reads = None if tokens is None else _checks.flag("tokens", tokens)
    flags = {"batched": _checks.flag("batched", batched), "training": _checks.flag("training", training)}
    replaces = _checks.flag("overwrite", overwrite)
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        raise InvalidArgument(
            f"the name of the file must end in one of {', '.join(FORMATS)}, not be {_checks.shown(target.name)}"
        )
    for option, given in {"tokens": reads, **flags, "name": name}.items():
        if given not in (None, False) and option not in form.options:
            others = ", ".join(ending for ending, other in FORMATS.items() if option in other.options)
            raise InvalidArgument(f"{option} is for {others or 'no'} files, not for {target.suffix}")
    if not os.path.isdir(target.parent):
        raise InvalidArgument(f"{target} must lie in a folder that exists, but {target.parent} does not")
    if os.path.exists(target) and not replaces:
        raise InvalidArgument(f"{target} exists: overwrite=True replaces it")
    network = network_of(source)
    if reads and network.inputs is not None:
        raise InvalidArgument("tokens=True is for networks that read symbols, but this one reads numbers")
    reads = network.symbols is not None if reads is None else reads
    options = Options(identifier(name or target.stem), reads, **flags)
    content: bytes | str = _module(form, target.suffix).written(network, options)
    made = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with refused(f"cannot write {target}"):
        place_file(target, lambda unfinished: unfinished.write_bytes(made))
    return target


def _module(form: Format, ending: str) -> Any:
    try:
        return import_module(f"{__name__}.{form.module}")
    except ModuleNotFoundError as error:
        raise InvalidArgument(f"{ending} files need {error.name}: {_checks.install('export')}") from None


def identifier(name: str) -> str:
    """Return a name that is an identifier in every language: other characters become ``_``, but not at its ends."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_")
    if not plain:
        return "net"
    return f"net_{plain}" if plain[0].isdigit() or plain in C.reserved | JAVASCRIPT.reserved else plain
