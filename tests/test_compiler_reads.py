"""Arrays that a model extracts from tensors: traced if compared or computed with, otherwise recorded or refused."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import softmax
from scipy.special import expit

from marks import most_are_long, the_rest_is_long
from myrnn.compiler import compile
from myrnn.errors import CompileError, NotARecurrence, UnsupportedOperation
from recurrences.layers import Simple
from recurrences.oracle import disagreement
from recurrences.registry import C, D, zeros

GROUPS = ([1], [7], [5, 12, 1, 3])


class Model(Simple):
    """A simple network whose input, state before and state after the step go through functions."""

    def __init__(self, rows=lambda x: x, before=lambda h, row: h, after=lambda h, row: h):
        super().__init__(np.random.default_rng(0))
        self.rows, self.before, self.after = rows, before, after

    def __call__(self, x):
        h = zeros(D)
        for row in self.rows(x):
            h = self.after(self.step(row, self.before(mg.astensor(h), row)), row)
        return (h @ self.v)[None]


def by_mask(h, row):
    h[row > 100] = 0
    return h


def where_negative(h, row):
    h[h < 0] = 0.1
    return h


def read_before_writing(h, row):
    before = h.data
    h[:3] = 0
    return mg.where(before > 0, h, 2 * h)


def chosen_before_writing(h, row):
    is_positive = h > 0
    chosen = mg.where(is_positive, h, -0.5 * h)
    is_positive[:3] = False
    h[3:] = 0.1
    return mg.where(is_positive, chosen, h)


def first_row_is_zero(x):
    x = np.asarray(x).copy()
    x[:1] = 0
    return x


def in_place(x):
    x = np.array(x)
    x *= 0.5
    x -= x.max(axis=1, keepdims=True)
    return x


def skipped(x):
    x = np.asarray(x)
    skip = ~(x[:, 0] > 0) & (x[:, 1] <= 0.5) | (x[:, 2] == x[:, 3]) ^ (x[:, 0] != 0)
    return x * (1 - skip.astype(np.float32))[:, None]


ROWS = {
    "asarray": lambda x: np.asarray(x),
    "asarray of a type": lambda x: np.asarray(x, dtype=np.float32),
    "array": lambda x: np.array(x, dtype=np.float64, copy=True),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x),
    "asarray of MyGrad": lambda x: mg.asarray(x),
    "a tensor": lambda x: mg.tensor(x),
    "a constant": lambda x: mg.tensor(x, constant=True),
    "astensor": lambda x: mg.astensor(x, constant=True),
    "a tensor of a tensor": lambda x: mg.Tensor(mg.Tensor(x)),
    "another type": lambda x: x.astype(np.float64),
    "a copy": lambda x: x.copy(),
    "data": lambda x: x.data if isinstance(x, mg.Tensor) else x,
    "a constant product": lambda x: mg.multiply(x, 2, constant=True),
    "functions of NumPy": lambda x: np.tanh(np.asarray(x)) * 2 + np.abs(np.asarray(x)) ** 2,
    "centred rows": lambda x: np.asarray(x) - np.asarray(x).mean(axis=1, keepdims=True),
    "padded": lambda x: np.pad(np.asarray(x), ((1, 0), (0, 0)))[:-1],
    "padded with ones": lambda x: np.pad(np.asarray(x), 1, constant_values=1)[1:-1, :-2],
    "rows before": lambda x: np.vstack([np.ones((1, C), np.float32), np.asarray(x)])[: len(x)],
    "columns beside": lambda x: np.hstack([np.asarray(x), np.ones((len(x), 1), np.float32)])[:, 1:],
    "joined": lambda x: np.concatenate([np.asarray(x)[:, 2:], np.asarray(x)[:, :2]], axis=1),
    "where of NumPy": lambda x: np.where(np.asarray(x) > 0, np.asarray(x), np.float32(0.1)),
    "signs": lambda x: np.sign(np.asarray(x)),
    "no missing values": lambda x: np.where(np.isnan(np.asarray(x)), 0, np.asarray(x)),
    "truth values": lambda x: (np.asarray(x) > 0.5).astype(np.float32),
    "true where not zero": lambda x: np.asarray(x).astype(bool) * np.float32(0.5),
    "masks put together": skipped,
    "rows with a value": lambda x: np.asarray(x) * np.any(np.asarray(x) > 0.5, axis=1, keepdims=True),
    "rows of values": lambda x: np.asarray(x) * (np.asarray(x) > -1).all(1)[:, None],
    "rounded": lambda x: np.around(np.asarray(x), 1) + np.rint(np.asarray(x)) + np.round(np.asarray(x)),
    "rounded down, up and to zero": lambda x: sum(f(3 * np.asarray(x)) for f in (np.floor, np.ceil, np.trunc)),
    "columns in another order": lambda x: np.flip(np.asarray(x), axis=1),
    "differences of columns": lambda x: np.diff(np.asarray(x), prepend=1),
    "second differences of rows": lambda x: np.diff(np.asarray(x), 2, axis=0, prepend=np.ones((2, C))),
    "windows of MyGrad": lambda x: mg.sliding_window_view(
        np.concatenate([np.zeros((2, C), np.float32), np.asarray(x)]), (3, C), (1, 1)
    ).sum(axis=2)[:, 0],
    "windows of NumPy": lambda x: np.lib.stride_tricks.sliding_window_view(np.asarray(x), 2, axis=1).mean(axis=-1)[
        :, [0, 1, 2, 0]
    ],
    "columns put together": lambda x: np.column_stack(
        [np.asarray(x)[:, i] for i in range(1, C)] + [np.asarray(x)[:, :1]]
    ),
    "products": lambda x: np.dot(np.asarray(x), np.eye(C, k=1)) + np.asarray(x).dot(np.ones((C, C), np.float32)),
    "written into": first_row_is_zero,
    "in place": in_place,
}
# The same and others on the sequence itself, which is an array.
ROWS |= {f"{name}, of x": lambda x, change=change: change(x) for name, change in ROWS.items()} | {
    "sorted": lambda x: np.sort(x, axis=1),
    "sorted, of an odd number": lambda x: np.concatenate([np.sort(x[:, 1:], axis=-1), x[:, :1]], axis=1),
    "sorted, of many": lambda x: np.sort(np.tile(x, (1, 3)) * np.arange(3 * C), axis=1)[:, 3 : 3 + C],
    "tiled": lambda x: np.tile(x, 2)[:, 1 : C + 1],
    "tiled columns": lambda x: np.tile(x[:, :1], (1, C)) * x,
    "mirrored": np.fliplr,
    "numbers instead of NaN": np.nan_to_num,
    "stacked": lambda x: np.stack([x, -x], axis=2)[:, :, 1],
    "signs": np.sign,
    "rounded up": np.ceil,
    "rounded as a method": lambda x: x.round(1),
    "with a row before, by pad": lambda x: np.pad(x, ((1, 0), (0, 0)))[: len(x)],
    "neighbours' differences": lambda x: np.diff(x, axis=0, prepend=0 * x[:1]),
    "compared with float64": lambda x: x * (x > np.array(0.1)) + (np.array(0.3) <= x) + (x == np.array(0.1)),
}
AFTER = {
    "where": lambda h, row: mg.where(h > 0, h, 0.1 * h),
    "where, by the input": lambda h, row: mg.where(row[3] >= 0.5, h, 0 * h),
    "where, by each of the input": lambda h, row: mg.where(row[:1] < 0, h, 2 * h),
    "where, by a float": lambda h, row: mg.where((row[3] > 0.5) * 1.0, h, 0.5 * h),
    "where, by truth values of a tensor": lambda h, row: mg.where(np.less_equal(h, 0), h, mg.sin(h)),
    "a product with a mask": lambda h, row: h * (h.data > 0),
    "a product with a mask of floats": lambda h, row: h * (h >= 0).astype(np.float32),
    "a gate of the input": lambda h, row: (row[0] > 0) * 1.0 * h,
    "compared on the left": lambda h, row: mg.where(np.float32(0.5) > h, h, 0.5),
    "compared with an array": lambda h, row: mg.where(h != np.zeros(D, np.float32), h, 1.0),
    "compared with each other": lambda h, row: mg.where(mg.greater(h, h[::-1]), h, -h),
    "what is left of a whole number": lambda h, row: 2 * h - np.floor(2 * h.data),
    "a state with a value": lambda h, row: mg.where((h > 0.5).any(), h, -h),
    "the sign of a number": lambda h, row: h * np.sign(h.data),
    "written where negative": where_negative,
    "read before it is written into": read_before_writing,
    "chosen before it is written into": chosen_before_writing,
}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", the_rest_is_long(ROWS, "windows of MyGrad, of x", "true where not zero"))
def test_an_array_of_the_input_is_traced(name):
    compiled = compile(Model(rows=ROWS[name]), dim_input=C)
    assert not compiled.guard.looks
    assert disagreement(compiled, GROUPS) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", the_rest_is_long(AFTER, "written where negative"))
def test_a_choice_is_an_operation(name):
    compiled = compile(Model(after=AFTER[name]), dim_input=C)
    assert not compiled.guard.looks
    assert disagreement(compiled, GROUPS) is None


def rounded(h):
    return h + (np.round(h.data, 1) - h.data)


def one_hot(h):
    p = softmax(h)
    return p + ((p.data == p.data.max()) - p.data)


STOPPED = {
    "data": lambda h, row: h.data,
    "asarray": lambda h, row: np.asarray(h),
    "a tensor": lambda h, row: mg.tensor(h),
    "a constant": lambda h, row: mg.tensor(h.data, constant=True),
    "a copy": lambda h, row: h.copy(),
    "a constant copy": lambda h, row: h.copy(constant=True),
    "a constant product": lambda h, row: mg.multiply(h, 0.9, constant=True),
    "another type": lambda h, row: h.astype(np.float64),
    "a part": lambda h, row: mg.concatenate([h[:3], 0.5 * h.data[3:]]),
    "a share": lambda h, row: 0.1 * h + 0.9 * h.data,
    "numbers beside a mask": lambda h, row: np.where(h.data > 0, h.data, 0),
    "a chosen side": lambda h, row: mg.where(row[0] > 0, h, h.data),
    "rounded, as if it were not": lambda h, row: rounded(h),
    "one-hot, as if it were a softmax": lambda h, row: one_hot(h),
    "divided by its size": lambda h, row: h / (1 + np.linalg.norm(h.data)),
    "a product of columns": lambda h, row: h @ np.outer(h.data, row[:1] * np.ones(D, np.float32)),
    "written into a copy": lambda h, row: written(h.data.copy()),
}
WEIGHTS = {
    "data": lambda u: u.data,
    "a constant": lambda u: mg.tensor(u, constant=True),
    "a copy": lambda u: u.copy(),
    "a share": lambda u: 0.5 * u + 0.5 * u.data,
    "divided by its size": lambda u: u / np.abs(u.data).max(),
}


def written(array):
    array[:2] = 0
    return array


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", most_are_long(STOPPED, 12))
def test_values_pass_without_a_gradient(name):
    compiled = compile(Model(before=STOPPED[name]), dim_input=C)
    assert not compiled.guard.looks
    assert disagreement(compiled, GROUPS) is None


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", most_are_long(WEIGHTS, 4))
def test_a_weight_is_read_without_a_gradient(name):
    model = Model()
    model.step = lambda row, h: mg.tanh(row @ model.w + h @ WEIGHTS[name](model.u))
    compiled = compile(model, dim_input=C)
    assert not compiled.guard.looks
    assert disagreement(compiled, GROUPS) is None


@pytest.mark.usefixtures("in_python")
def test_a_parameter_that_no_gradient_reaches_is_not_trained():
    """At every length, also those that are not traced."""
    model = Model()
    model.step = lambda row, h: mg.tanh(row @ model.w + (h @ model.u).data)
    compiled = compile(model, dim_input=C)
    trained = [p is not model.u for p in model.parameters]
    steps = np.arange(1, 40)
    assert (compiled.reach.of(0 * steps, steps) == trained).all()
    assert (compiled.reach.of(3 + steps, steps) == trained).all()


@pytest.mark.parametrize(
    "write", [lambda h: h.data.__setitem__(0, 0.5), lambda h: np.asarray(h).__imul__(2), lambda h: written(h.data[1:])]
)
def test_numbers_that_are_written_into_a_tensor_in_the_graph_fail_as_in_mygrad(write):
    model = Model(after=lambda h, row: (h, write(h))[0])
    with pytest.raises(ValueError, match="read-only"):
        model(mg.tensor(zeros(3, C)))
    with pytest.raises(CompileError, match=r"^the model fails on a sequence of shape .*read-only"):
        compile(model, dim_input=C)


def test_a_tensor_that_changes_after_its_numbers_were_read_is_refused():
    """With a graph MyGrad gives the numbers from before the change, and without one those from after it."""

    def after(h, row):
        before = h.data
        h += 1
        return h + before

    with pytest.raises(NotARecurrence, match=r"(?s)other logits.*changes\n +a tensor in place after its numbers"):
        compile(Model(after=after), dim_input=C)


REFUSED = {
    "the largest": lambda h, row: h * np.argmax(h),
    "numbers in a list": lambda h, row: mg.add([h[i] for i in range(D)], 0),
    "a float": lambda h, row: h * float(h.sum()),
    "an item": lambda h, row: h * h.data.sum().item(),
    "another function": lambda h, row: h * np.median(h.data),
    "a function of SciPy": lambda h, row: h * expit(h.data),
}


@pytest.mark.parametrize("name", most_are_long(REFUSED, 3))
def test_numbers_that_leave_the_graph_are_refused_with_the_line(name):
    with pytest.raises(NotARecurrence, match=r"^the model takes numbers out of its tensors") as refusal:
        compile(Model(before=REFUSED[name]), dim_input=C)
    text = str(refusal.value)
    assert f'test_compiler_reads.py:{REFUSED[name].__code__.co_firstlineno}   "{name}":' in text
    assert text.endswith('or train with engine="mygrad".')


LOOKED_AT = {
    "an if": lambda h, row: h if row[0] < 1e6 else -h,
    "a conjunction": lambda h, row: h * float(row[0] > 1e6 and row[1] > 1e6) + h,
    "an integer": lambda h, row: mg.roll(h, int(row[0] > 1e6)),
    "an index": lambda h, row: h[:: (-1, 1)[(row[0] < 1e6).astype(int)]],
    "an option": lambda h, row: mg.roll(h, (np.asarray(row)[0] > 1e6).astype(int)),
    "rows chosen by a mask": lambda h, row: mg.concatenate([h, h[np.repeat(row[:1] > 1e6, D)]])[:D],
    "a float": lambda h, row: h * (1 + float(np.asarray(row)[0] > 1e6)),
    "another function": lambda h, row: h * (1.0 - np.count_nonzero(np.asarray(row) > 1e6)),
    "the largest": lambda h, row: h * (1 + np.max(np.argmax(np.asarray(row) > 1e6))),
    "what only arrays have": lambda h, row: h if np.asarray(row).tolist()[0] < 1e6 else -h,
    "text": lambda h, row: h if f"{np.asarray(row)[0]:.1f}" != "1000000.0" else -h,
}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", most_are_long(LOOKED_AT, 6))
def test_numbers_that_leave_the_graph_are_recorded(name):
    """A branch that no traced values take is not in the graph."""
    compiled = compile(Model(after=LOOKED_AT[name]), dim_input=C)
    assert [str(look).split("   ")[1].startswith(f'"{name}"') for look in compiled.guard.looks] == [True]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (lambda x: np.asarray(x).astype(int).astype(np.float32), "this rounds to int64, but"),
    ],
)
def test_computations_that_float32_cannot_do_are_refused_with_the_line(rows, told):
    with pytest.raises(UnsupportedOperation, match=rf"(?s)^{told}.*test_compiler_reads\.py:\d+   \(lambda"):
        compile(Model(rows=rows), dim_input=C)


@pytest.mark.usefixtures("in_python")
def test_an_array_that_a_model_keeps_keeps_no_graph():
    kept = []

    def after(h, row):
        kept[:] = [*kept[-4:], h.data, mg.tensor(h)]
        return h

    compiled = compile(Model(after=after), dim_input=C)
    assert len(kept) == 6 and not any(isinstance(array, mg.Tensor) and array.creator for array in kept)
    assert all(parameter.data.flags.writeable for parameter in compiled.model.parameters)


def test_an_array_that_a_refused_model_keeps_keeps_no_graph():
    kept = []

    def after(h, row):
        kept[:] = [*kept[-4:], h.data]
        return h * float(h.sum())

    model = Model(after=after)
    with pytest.raises(NotARecurrence, match="takes numbers out of its tensors"):
        compile(model, dim_input=C)
    assert kept and not any(array.creator for array in kept)


def test_numpy_is_restored_after_a_model_that_fails():
    def fails(x):
        raise ValueError("no such thing")

    before = np.asarray, np.array, mg.asarray, mg.Tensor.__gt__, mg.Tensor.__init__, mg.Tensor.__array_ufunc__
    with pytest.raises(Exception, match="no such thing"):
        compile(Model(rows=fails), dim_input=C)
    assert before == (
        np.asarray, np.array, mg.asarray, mg.Tensor.__gt__, mg.Tensor.__init__, mg.Tensor.__array_ufunc__
    )  # fmt: skip


@pytest.mark.usefixtures("in_python")
def test_a_model_that_needs_a_real_array_gets_one():
    def rows(x):
        numbers = x.data if isinstance(x, mg.Tensor) else x
        assert type(numbers) is np.ndarray
        return x

    compiled = compile(Model(rows=rows), dim_input=C)
    assert len(compiled.guard.looks) == 1
