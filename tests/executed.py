"""Run the instructions of a schedule: everything that a program does is in them, whatever the renderer writes."""

from types import SimpleNamespace

import numpy as np

from interpreter import CALLED
from myrnn.compiler.addresses import Address, Begin, Indices, Infix, Item, Matrix, Name, Size
from myrnn.compiler.instructions import (
    AddLoss,
    AddPenalty,
    Apply,
    Call,
    Comment,
    Conditional,
    CrossEntropy,
    Define,
    Dots,
    DrawNumbers,
    Elementwise,
    Fill,
    For,
    If,
    Product,
    StopUnlessLearning,
    Write,
)
from myrnn.compiler.ops import OPERATIONS

AFTER = "labels targets weights class_weights streams carried"
SINGLE = f"values begin steps member keys {AFTER} share learn p g w sizes tables".split()
BATCH = f"values offsets {AFTER} batch begin end keys share learn p g w sizes tables start lined".split()
SIGNS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "%": lambda a, b: a % b,
    ">": lambda a, b: a > b,
}


class Stopped(Exception):
    """The outputs are computed, and nothing is to be learned."""


class Run:
    """One run of a schedule."""

    def __init__(self, schedule, memory, arguments):
        self.schedule, self.loss, self.score = schedule, 0.0, 0.0
        self.known = dict(zip(BATCH if schedule.plan.kind.batched else SINGLE, arguments, strict=True))
        values = self.known["values"]
        self.known |= {"tokens": values, "features": values.view(np.float32)}
        sizes = self.known["sizes"]
        self.begins = {buffer.name: at for buffer, at in memory.begins(sizes).items()}
        self.begins |= {b.name: b.begin for b in schedule.buffers if b.array == "p"}
        self.places = {data: sizes[memory.names.index(name)] for data, name in memory.table_names.items()}
        if schedule.plan.kind.batched:
            batch, begin, end = (self.known[name] for name in ("batch", "begin", "end"))
            self.known |= {"members": batch[begin:end], "sequences": end - begin}
            self.known |= {"is_first": begin == 0, "is_last": end == len(batch)}
            names = "start", "lined", "offsets", "members"
            steps = CALLED["line_up"](*(self.known[name] for name in names))
            self.known |= {"steps": steps, "total": self.known["start"][steps]}
        try:
            for phase in schedule.phases:
                self.body(phase.body)
        except Stopped:
            pass

    def body(self, body):
        for instruction in body:
            self.do(instruction)

    def do(self, instruction):
        match instruction:
            case Comment():
                pass
            case Define(name, value):
                self.known[name.text] = self.number(value)
            case For(index, count, body, backward):
                every = range(self.number(count))
                for self.known[index.text] in reversed(every) if backward else every:
                    self.body(body)
            case If(condition, body):
                if self.number(condition):
                    self.body(body)
            case Elementwise():
                self.elementwise(instruction)
            case Product(matrix, k, n, out, vector, add, rows=None):
                self.call("multiply_row", out, vector, matrix, k, n, add)
            case Product(matrix, k, n, out, vector, add, (of_out, of_vector), rows):
                self.call("multiply", out, of_out, vector, of_vector, 1, matrix, rows, k, n, add)
            case Dots(matrix, out, n, clear, vector, k):
                if clear is not None:
                    self.fill(out, clear)
                self.call("add_dots", out, vector, matrix, n, k)
            case Apply(operation, arguments):
                self.call(OPERATIONS[operation].code, *arguments)
            case Call(function, arguments):
                self.call(function, *arguments)
            case DrawNumbers(function, amount, site, out, strides, count, row):
                self.call(function, out, *strides, count, amount, Name("keys"), site, *row)
            case Fill(out, count):
                self.fill(out, count)
            case Write(out, number):
                self.numbers(out, 1)[0] = self.number(number)
            case StopUnlessLearning():
                if not self.known["learn"]:
                    raise Stopped
            case CrossEntropy(out, logits, classes, clear, row):
                place = self.number(row)
                label = self.known["labels"][place]
                weight = self.known["class_weights"][label] * self.known["weights"][place]
                share = self.known["share"] * weight
                loss, best = self.call("cross_entropy", logits, classes, int(label), out, share)
                self.score += int(best == label and self.known["weights"][place] > 0)
                if weight > 0:
                    self.loss += loss * weight
                else:
                    self.fill(out, clear)
            case AddLoss() | AddPenalty():
                raise NotImplementedError

    def elementwise(self, loop):
        size = loop.size.number

        def read(node):
            if node in loop.reads:
                address = loop.reads[node]
                return np.resize(self.numbers(address, 1 if address.size == 1 else size), size)
            if node in loop.ranges[0].joined:
                return np.concatenate([self.joined(part, part.joined[node]) for part in loop.ranges])
            return np.full(size, node.numbers[0], np.float32)

        computed = {}
        for node in loop.nodes:
            inputs = [computed[i] if i in computed else read(i) for i in node.inputs]
            reference = OPERATIONS[node.operation].reference
            computed[node] = inputs[0] if node.operation == "expand" else reference(*inputs).astype(np.float32)
        values = []
        for store in loop.stores:
            terms = [computed[n] if n in computed else read(n) for n in store.terms or (store.node,)]
            values.append(np.sum(terms, axis=0, dtype=np.float32))
        totals = []
        for one in loop.sums:
            factors = [computed[n] if n in computed else read(n) for n in one.factors]
            totals.append(np.prod(factors, axis=0)[: one.node.inputs[0].size].sum(dtype=np.float32))
        for one, total in zip(loop.sums, totals, strict=True):
            self.numbers(one.address, 1)[0] = total
        for store, value in zip(loop.stores, values, strict=True):
            if store.clean is not None:
                value[store.clean.number :] = 0
            target = self.numbers(store.address, size)
            target[...] = target + value if store.add else value

    def joined(self, part, where):
        begin, end = self.number(part.begin), self.number(part.end)
        if isinstance(where, Address):
            array, at = self.values(where)
            return array[at + begin : at + end]
        result = np.zeros(end - begin, np.float32)
        for piece in where.pieces:
            first, last = max(begin, piece.begin.number), min(end, piece.end.number)
            array, at = self.values(piece.address)
            result[first - begin : last - begin] = array[at + first : at + last]
        return result

    def fill(self, out, count):
        self.numbers(out, self.number(count))[...] = 0

    def call(self, function, *arguments):
        return CALLED[function](*(value for argument in arguments for value in self.values(argument)))

    def values(self, argument):
        match argument:
            case Address(buffer):
                return self.known[buffer.array], self.number(argument.index)
            case Matrix(address, stride):
                return *self.values(address), self.number(stride)
            case Indices(data):
                return self.known["tables"], self.places[data], argument.count.number
        return (self.number(argument),)

    def numbers(self, address, count):
        array, at = self.values(address)
        assert 0 <= at and at + count <= len(array), "outside of the array"
        return array[at : at + count]

    def number(self, value):
        match value:
            case Name(text):
                return self.known[text]
            case Size():
                return value.number
            case Begin(buffer):
                return self.begins[buffer.name]
            case Item(array, index):
                return self.known[array.text][self.number(index)]
            case Infix(sign, left, right):
                return SIGNS[sign](self.number(left), self.number(right))
            case Conditional(condition, yes, no):
                return self.number(yes if self.number(condition) else no)
        return value


def executed(schedule, memory):
    """Return a program that runs the instructions instead of machine code."""

    def program(*arguments):
        run = Run(schedule, memory, arguments)
        return run.loss, run.score

    def call(function, *arguments):
        with np.errstate(all="ignore"):
            return CALLED[function.__name__](program, *arguments)

    return SimpleNamespace(call=call)
