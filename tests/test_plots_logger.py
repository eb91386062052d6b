import math

import mygrad as mg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from noggin.logger import LiveLogger as NogginLogger

from myrnn.errors import InvalidArgument
from myrnn.plots import LiveLogger

SHARED = ("batch_data", "epoch_data", "epoch_domain", "cnt_since_epoch", "total_weighting", "running_weighted_sum")
NAMES = ("loss", "accuracy", "f1")
numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name in theirs:
        for key in SHARED:
            np.testing.assert_array_equal(ours[name][key], theirs[name][key], err_msg=f"{name} {key}")


class SameAsNoggin(RuleBasedStateMachine):
    """Make the same calls to both loggers; after each, all numbers must be the same."""

    @initialize(train=st.sets(st.sampled_from(NAMES), min_size=1), test=st.sets(st.sampled_from(NAMES), min_size=1))
    def create(self, train, test):
        self.ours, self.theirs = LiveLogger(), NogginLogger()
        self.names = {"train": sorted(train), "test": sorted(test)}
        self.begun = set()

    def batch(self, split, data, size):
        # The first batch of a split names its metrics; later ones may omit some.
        chosen = self.names[split]
        if split in self.begun:
            chosen = data.draw(st.lists(st.sampled_from(chosen), min_size=1, unique=True))
        self.begun.add(split)
        metrics = {name: data.draw(numbers) for name in chosen}
        for logger in (self.ours, self.theirs):
            with np.errstate(all="ignore"):
                getattr(logger, f"set_{split}_batch")(metrics, batch_size=size)

    @rule(data=st.data(), size=st.integers(1, 1000))
    def train_batch(self, data, size):
        self.batch("train", data, size)

    @rule(data=st.data(), size=st.integers(1, 1000))
    def test_batch(self, data, size):
        self.batch("test", data, size)

    @rule()
    def train_epoch(self):
        self.ours.set_train_epoch()
        self.theirs.set_train_epoch()

    @rule()
    def test_epoch(self):
        self.ours.set_test_epoch()
        self.theirs.set_test_epoch()

    @invariant()
    def agree(self):
        same(self.ours.train_metrics, self.theirs.train_metrics)
        same(self.ours.test_metrics, self.theirs.test_metrics)
        counts = self.theirs.to_dict()
        for split, name in ((self.ours.train, "train"), (self.ours.test, "test")):
            assert (split.batches, split.epochs) == (counts[f"num_{name}_batch"], counts[f"num_{name}_epoch"])


TestSameAsNoggin = SameAsNoggin.TestCase


def test_the_epoch_mean_is_weighted_by_batch_size():
    logger = LiveLogger()
    logger.set_train_batch({"loss": 1.0}, batch_size=3)
    logger.set_train_batch({"loss": 5.0}, batch_size=1)
    logger.set_train_epoch()
    logger.set_train_epoch()  # nothing happened since: no second mean
    assert logger.train_metrics["loss"]["epoch_data"].tolist() == [2.0]
    assert logger.train_metrics["loss"]["epoch_domain"].tolist() == [2.0]
    assert repr(logger).startswith("LiveLogger(loss: 2 training batches, 2 training epochs")


def test_positions_count_the_iterations_that_values_average():
    logger = LiveLogger()
    for _ in range(2):
        logger.set_train_batch({"loss": 1.0}, batch_size=500, iterations=500)
        logger.set_train_epoch()
    logger.set_test_batch({"loss": 2.0}, batch_size=10)
    logger.set_test_epoch()
    assert logger.train_metrics["loss"]["batch_domain"].tolist() == [500.0, 1000.0]
    assert logger.train_metrics["loss"]["epoch_domain"].tolist() == [500.0, 1000.0]
    assert logger.test_metrics["loss"]["epoch_domain"].tolist() == [1000.0]


@pytest.mark.parametrize(
    "value", [2, True, np.float32(2.5), np.array(2.5), np.array([2.5]), mg.tensor(2.5), np.bool_(True)]
)
def test_every_kind_of_number_is_recorded_as_a_float(value):
    logger = LiveLogger()
    logger.set_train_batch({"loss": value}, batch_size=np.int64(2))
    recorded = logger.train_metrics["loss"]["batch_data"]
    assert recorded.dtype == np.float64
    assert recorded.tolist() == [float(value.item() if hasattr(value, "item") else value)]


def test_nan_is_recorded():
    logger = LiveLogger()
    logger.set_train_batch({"loss": math.nan}, batch_size=1)
    logger.set_train_epoch()
    assert np.isnan(logger.train_metrics["loss"]["epoch_data"]).tolist() == [True]


@given(st.lists(numbers, min_size=1, max_size=20))
def test_a_name_list_accepts_names_at_any_time(values):
    logger = LiveLogger(["loss", "accuracy"])
    for value in values:
        logger.set_train_batch({"loss": value}, batch_size=1)
    logger.set_train_batch({"accuracy": 1.0}, batch_size=1)
    assert list(logger.train_metrics) == ["loss", "accuracy"]
    np.testing.assert_array_equal(logger.train_metrics["loss"]["batch_data"], values)


@pytest.mark.parametrize(
    ("metrics", "size", "iterations", "message"),
    [
        ({"los": 1.0}, 1, 1, "every metric must be one of 'loss', not 'los'; did you mean 'loss'\\?"),
        ({"loss": 1.0, 3: 1.0}, 1, 1, "every metric must be one of 'loss', not 3"),
        ({}, 1, 1, "metrics must name at least one metric"),
        (["loss"], 1, 1, r"metrics must map names to numbers, not be \['loss'\]"),
        ({"loss": "1.0"}, 1, 1, "loss must be a number, not '1.0'"),
        ({"loss": None}, 1, 1, "loss must be a number, not None"),
        ({"loss": np.zeros(2)}, 1, 1, r"loss must be a number, not array\(\[0., 0.\]\)"),
        ({"loss": 1.0}, 0, 1, "batch_size must be at least 1, not 0"),
        ({"loss": 1.0}, 1.5, 1, "batch_size must be an integer, not 1.5"),
        ({"loss": 1.0}, True, 1, "batch_size must be an integer, not True"),
        ({"loss": 1.0}, 1, 0, "iterations must be at least 1, not 0"),
    ],
)
def test_a_wrong_batch_is_refused_and_records_nothing(metrics, size, iterations, message):
    logger = LiveLogger()
    logger.set_train_batch({"loss": 1.0}, batch_size=1)
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        logger.set_train_batch(metrics, size, iterations=iterations)
    assert list(logger.train_metrics) == ["loss"]
    assert logger.train_metrics["loss"]["batch_data"].tolist() == [1.0]
    assert "1 training batch" in repr(logger)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], "metrics must name at least one metric"),
        (3, "metrics must be a name or a list of names, not 3"),
        (["loss", 3], "the name of a metric must be a string, not 3"),
        (["loss", "f1", "loss"], "metrics must be different names, but 'loss' is repeated"),
    ],
)
def test_wrong_names_are_refused(metrics, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        LiveLogger(metrics)


def test_the_names_of_the_first_batch_must_be_text():
    with pytest.raises(InvalidArgument, match=r"^the name of a metric must be a string, not 3$"):
        LiveLogger().set_test_batch({3: 1.0}, 1)


def test_repr_counts():
    logger = LiveLogger("loss")
    logger.set_train_batch({"loss": 1.0}, 1)
    assert repr(logger) == "LiveLogger(loss: 1 training batch, 0 training epochs, 0 test batches, 0 test epochs)"
