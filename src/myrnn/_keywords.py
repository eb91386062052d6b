"""Checks the arguments of a call, and suggests our keyword for one that another library uses."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

from myrnn.errors import InvalidArgument
from myrnn.settings import check_arguments

Function = TypeVar("Function", bound=Callable[..., Any])

# Our keywords, and the names that other libraries use for them.
OTHER_NAMES = {
    "learning_rate": "lr eta rate step_size learning_rate_init initial_lr",
    "weight_decay": "wd l2 decay",
    "beta1": "betas beta_1",
    "beta2": "beta_2",
    "alpha": "rho",
    "eps": "epsilon",
    "params": "parameters",
    "dim_recurrent": "hidden_size hidden_dim hidden_units hidden dim_hidden n_hidden num_hidden units n_units "
    "num_units state_size hidden_layer_sizes",
    "dim_input": "input_size input_dim in_features n_in n_features num_features vocab_size",
    "dim_output": "output_size output_dim out_features n_out num_classes n_classes",
    "dim_embedding": "embedding_dim embedding_size embed_dim embedding",
    "layers": "num_layers n_layers",
    "activation": "nonlinearity act",
    "cell": "model cell_type rnn_type",
    "optimizer": "optim solver",
    "iterations": "epochs max_epochs n_epochs num_epochs max_iter n_iter n_iterations num_iterations iters steps "
    "num_steps max_steps",
    "max_epochs": "epochs n_epochs num_epochs max_iter n_iter iterations steps",
    "early_stopping_patience": "patience early_stopping n_iter_no_change",
    "validation_fraction": "validation_split val_split val_fraction test_size",
    "batch_size": "batch bs minibatch_size",
    "gradient_clip": "clip clipnorm clip_norm clip_grad_norm grad_clip gradient_clip_val max_grad_norm max_norm",
    "class_weight": "class_weights weights balanced",
    "schedule": "scheduler lr_schedule lr_scheduler learning_rate_schedule",
    "max_vocabulary": "vocab_size vocabulary_size max_features max_vocab num_words",
    "random_state": "seed random_seed rng",
    "seed": "random_state random_seed rng",
    "rng": "seed random_state random_seed",
    "hooks": "callbacks",
    "report_every": "log_every print_every",
    "progress": "verbose show_progress",
    "verbose": "progress",
    "task": "data dataset",
    "samples": "n_samples num_samples",
    "characters": "chars",
    "labels": "targets",
}
# Keywords that belong to an object which is passed ready-made.
OWNERS = {
    "learning_rate": "optimizer",
    "momentum": "optimizer",
    "weight_decay": "optimizer",
    "dim_recurrent": "model",
    "activation": "model",
    "layers": "model",
}


class WrongArguments(InvalidArgument, TypeError):
    """The function takes other arguments; Python itself raises a TypeError for that."""


def meant(name: str, known: Collection[str]) -> str | None:
    """Return the known keyword that an unknown one most likely means, if any."""
    if name in known:
        return name
    same = [word for word, names in OTHER_NAMES.items() if word in known and name.lower() in names.split()]
    near = difflib.get_close_matches(name, same, n=1, cutoff=0) or difflib.get_close_matches(name, known, n=1)
    return near[0] if near else None


def keywords(function: Function) -> Function:
    """Decorate a function, or the ``__init__`` of a class, so that it checks its arguments."""
    # An unknown keyword raises an error that suggests the right one. Arguments whose annotation is that of a setting
    # are checked by it.
    signature = inspect.signature(function)
    known = [name for name in signature.parameters if name != "self"]
    required = {name for name in known if signature.parameters[name].default is inspect.Parameter.empty}
    is_init = function.__name__ == "__init__"

    @functools.wraps(function)
    def checked(*arguments: Any, **given: Any) -> Any:
        # For a class, name the class being made: it may inherit its ``__init__``.
        called = type(arguments[0]).__qualname__ if is_init and arguments else function.__qualname__
        unknown = next((name for name in given if name not in known), None)
        if unknown is not None:
            raise WrongArguments(f"{called} takes no argument {unknown!r}{_advice(unknown, known, required)}")
        try:
            bound = signature.bind(*arguments, **given)
        except TypeError:
            raise WrongArguments(_refusal(function, called, arguments, given)) from None
        bound.arguments.update(check_arguments(function, bound.arguments))
        return function(*bound.args, **bound.kwargs)

    return cast(Function, checked)


def _refusal(function: Function, called: str, arguments: Any, given: Any) -> str:
    """Return Python's own message, which says which arguments are missing or too many; it names what is called."""
    try:
        function(*arguments, **given)
    except TypeError as error:
        return str(error).replace(f"{function.__qualname__}()", f"{called}()")
    raise AssertionError("the arguments fit")


def _advice(unknown: str, known: list[str], required: Collection[str]) -> str:
    word = meant(unknown, known)
    if word is not None:
        return f"; did you mean {word!r}?"
    elsewhere = meant(unknown, OWNERS)
    if elsewhere is not None and OWNERS[elsewhere] in required:
        return f": {elsewhere!r} is an argument of the {OWNERS[elsewhere]}"
    return f"; its arguments are {', '.join(known)}"
