"""If an argument has another name in other libraries, the error names ours."""

import re

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from myrnn import (
    GRU,
    LRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    RMSprop,
    SequenceClassifier,
    Stacked,
    dense,
    evaluate,
    read_sequences,
    train,
)
from myrnn.cli import main
from myrnn.errors import InvalidArgument

SIZES = {"dim_input": 3, "dim_recurrent": 4, "dim_output": 2}


@pytest.mark.parametrize(
    ("function", "given", "word"),
    [
        *(
            (model, {given: 5}, word)
            for model in (RNN, GRU, LSTM, Stacked)
            for given, word in (("hidden_size", "dim_recurrent"), ("input_size", "dim_input"), ("seed", "rng"))
        ),
        (RNN, {"nonlinearity": "tanh"}, "activation"),
        (RNN, {**SIZES, "num_classes": 2}, "dim_output"),
        (Stacked, {"num_layers": 2}, "layers"),
        (dense, {"input_sise": 2}, "input_size"),
        *((optimizer, {"lr": 0.1}, "learning_rate") for optimizer in (SGD, RMSprop, Adam)),
        (Adam, {"betas": (0.9, 0.999)}, "beta1"),
        (Adam, {"epsilon": 1e-7}, "eps"),
        (RMSprop, {"rho": 0.9}, "alpha"),
        (SGD, {"momentun": 0.9}, "momentum"),
        (train, {"epochs": 3}, "iterations"),
        (train, {"callbacks": []}, "hooks"),
        (train, {"max_grad_norm": 1}, "gradient_clip"),
        (train, {"random_state": 0}, "seed"),
        (train, {"verbose": True}, "progress"),
        (evaluate, {"n_samples": 10}, "samples"),
        (read_sequences, {"tokenise": "words"}, "tokenize"),
        (SequenceClassifier, {"lr": 0.1}, "learning_rate"),
        (SequenceClassifier, {"epochs": 3}, "max_epochs"),
        (SequenceClassifier, {"patience": 3}, "early_stopping_patience"),
        (SequenceClassifier, {"hidden_size": 3}, "dim_recurrent"),
        (SequenceClassifier, {"model": "gru"}, "cell"),
        (SequenceClassifier, {"seed": 0}, "random_state"),
    ],
)
def test_an_unknown_keyword_suggests_the_right_one(function, given, word):
    unknown = list(given)[-1]
    message = f"{function.__name__} takes no argument {unknown!r}; did you mean {word!r}?"
    for kind in (TypeError, InvalidArgument):
        with pytest.raises(kind, match=f"^{re.escape(message)}$"):
            function(**given)


@pytest.mark.parametrize(
    ("function", "unknown", "told"),
    [
        (train, "lr", ": 'learning_rate' is an argument of the optimizer"),
        (train, "momentum", ": 'momentum' is an argument of the optimizer"),
        (train, "hidden_size", ": 'dim_recurrent' is an argument of the model"),
        (SGD, "amsgrad", "; its arguments are params, learning_rate, momentum, weight_decay"),
    ],
)
def test_an_option_of_another_function_names_that_function(function, unknown, told):
    message = f"{function.__name__} takes no argument {unknown!r}{told}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        function(**{unknown: 1})


def test_missing_arguments_are_those_of_the_class_that_is_made():
    for kind in (TypeError, InvalidArgument):
        with pytest.raises(kind, match=r"^LRU\(\) missing 1 required positional argument: 'dim_output'$"):
            LRU(5, 4)
    with pytest.raises(TypeError, match=r"^train\(\) missing 2 required positional arguments: 'task' and 'optimizer'$"):
        train(LRU(5, 4, 2))
    with pytest.raises(TypeError, match=r"^LRU\(\) takes 4 positional arguments but 6 were given$"):
        LRU(5, 4, 2, 0, 1)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("train --lr 0.1", "--learning-rate"),
        ("train --hidden-size 9", "--dim-recurrent"),
        ("train --num-layers 2", "--model NAME:layers=..."),
        ("train --n-iter 2", "--iterations"),
        ("train --length-max 9", "--task NAME:length_max=..."),
        ("train --wd 0.1", "--optimizer NAME:weight_decay=..."),
        ("evaluate RUN --n-samples 9", "--samples"),
    ],
)
def test_the_options_of_the_command_also_suggest_the_right_one(line, option, capsys):
    assert main(line.split()) == 2
    unknown = next(word for word in line.split() if word.startswith("--"))
    assert capsys.readouterr().err == f"myrnn: No such option: {unknown}; did you mean {option}?\n"


def test_scikit_learn_still_knows_the_arguments():
    classifier = SequenceClassifier("gru", dim_recurrent=3)
    assert clone(classifier).get_params() == classifier.get_params()
    assert GridSearchCV(classifier, {"learning_rate": [0.1]}).get_params()["estimator__dim_recurrent"] == 3
    assert "learning_rate=" in repr(SequenceClassifier(learning_rate=0.1))
