"""Truncated loops as somebody writes them by hand: models of the corpus that go on after their weights have changed.

The source of a model is changed as its author would do it; nothing of the compiler takes part. There are two ways, and
a model is right if it does what one of them does:

- A variable that has a value before a loop, and gets another one in it, begins the next piece with the numbers that it
  had at the end of the piece before. The first steps must not differ from others.
- The weights change while a loop over the whole sequence runs, between two steps. There must be one loop, and nothing
  that is computed from weights before it.
"""

import ast
import functools
import importlib
import inspect
from collections import Counter, deque
from contextlib import suppress
from dataclasses import is_dataclass, replace

import mygrad as mg
import numpy as np

REGISTRY = "recurrence", "tagger"
# Loops with fewer iterations are not over the rows.
LEAST = 6
# Methods that change a list or deque.
CHANGES = {"append", "appendleft", "insert", "pop", "popleft", "extend"}


class Carried:
    """The variables at the end of the loops of a piece, by the place of the loop and how often it has run."""

    def __init__(self):
        self.before, self.now, self.bound = {}, {}, {}
        # The iterations that each loop has done, and in which iteration of a loop to do what.
        self.done, self.at = Counter(), {}
        # The rows of all pieces before, and of this one.
        self.read = self.rows = 0

    def next_piece(self, read, rows):
        """Let the loops begin with the variables at the end of the loops so far, and count on."""
        self.before, self.now, self.bound = self.now, {}, {}
        self.read, self.rows = read, rows

    def enumerate(self, values, start=0):
        """Number values; rows go on with their numbers in the piece before."""
        values = list(values)
        return enumerate(values, start + (self.read if len(values) == self.rows else 0))

    def begin(self, place, variables):
        """Return the variables that a loop begins with in place of its own."""
        key = (place, sum(at == place for at, _ in self.bound))
        names = {name for name, value in variables.items() if value is None or not is_empty(value)}
        self.bound[key] = names, self.done[place]
        known = {name: value for name, value in self.before.get(key, {}).items() if name in variables}
        return {name: detached(value) for name, value in known.items()}

    def step(self, place):
        """Begin an iteration of the loop at this place."""
        if action := self.at.get((place, self.done[place])):
            action()
        self.done[place] += 1

    def end(self, place, variables):
        """Keep the variables of the loop at this place that ran last."""
        key = next(key for key in reversed(self.bound) if key[0] == place and key not in self.now)
        names, before = self.bound[key]
        is_long = self.done[place] - before >= LEAST
        kept = {name: variables[name] for name in names if is_long and name in variables}
        self.now[key] = {name: detached(value) for name, value in kept.items() if holds_numbers(value)}


def is_empty(value):
    return isinstance(value, (list, dict, deque)) and not value


def holds_numbers(value):
    if isinstance(value, (list, tuple, deque, dict)):
        return any(map(holds_numbers, value.values() if isinstance(value, dict) else value))
    if is_dataclass(value):
        return holds_numbers(vars(value))
    return isinstance(value, (mg.Tensor, np.ndarray))


def detached(value):
    """Return a copy of the numbers, without their history."""
    if isinstance(value, mg.Tensor):
        return mg.tensor(np.array(value.data), constant=True)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, deque):
        return deque(map(detached, value), value.maxlen)
    if hasattr(value, "_fields"):
        return type(value)(*map(detached, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(detached, value))
    if is_dataclass(value):
        return replace(value, **{name: detached(item) for name, item in vars(value).items()})
    return {key: detached(item) for key, item in value.items()} if isinstance(value, dict) else value


def changed_in(loop):
    """Return the names that a loop assigns, or whose contents it changes."""
    names, changed = set(), set()
    for node in ast.walk(loop):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            changed.add(node.value.id)
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES
        if is_call and isinstance(node.func.value, ast.Name):
            changed.add(node.func.value.id)
    for node in ast.walk(loop):
        # A change of an item, such as the list of a layer, is one of what the loop goes over.
        if isinstance(node, ast.For) and any(
            isinstance(n, ast.Name) and n.id in changed for n in ast.walk(node.target)
        ):
            of = [node.iter, *getattr(node.iter, "args", ())]
            changed.update(n.id for n in of if isinstance(n, ast.Name))
    return sorted(names | changed)


class Loops(ast.NodeTransformer):
    """Lets all loops carry their variables; leaves out the registry."""

    def __init__(self, module):
        self.module = module

    def _visit_named(self, node):
        self.generic_visit(node)
        node.decorator_list = [d for d in node.decorator_list if ast.unparse(d).partition("(")[0] not in REGISTRY]
        return node

    visit_ClassDef = visit_FunctionDef = _visit_named

    def visit_For(self, node):
        names, place = changed_in(node), f"{self.module}:{node.lineno}"
        self.generic_visit(node)
        node.body[:0] = ast.parse(f"carried_.step({place!r})").body
        before = f"known_ = carried_.begin({place!r}, {{n_: v_ for n_, v_ in locals().items() if n_ in {names}}})\n"
        before += "\n".join(f"if {name!r} in known_: {name} = known_[{name!r}]" for name in names)
        return [*ast.parse(before).body, node, *ast.parse(f"carried_.end({place!r}, locals())").body]

    visit_While = visit_For

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "enumerate":
            node.func = ast.parse("carried_.enumerate", mode="eval").body
        return node


@functools.cache
def changed_code(name):
    """Return the code of a module of the corpus whose loops carry their variables, and what it imports from others."""
    module = importlib.import_module(f"recurrences.{name}")
    tree, imports = ast.parse(inspect.getsource(module)), []
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module != "registry":
            tree.body.remove(node)
            imports.append(node)
    tree = ast.fix_missing_locations(Loops(name).visit(tree))
    return compile(tree, module.__file__, "exec"), imports


def changed_module(name, carried):
    """Return the names of a module of the corpus whose loops carry their variables."""
    code, imports = changed_code(name)
    names = {"carried_": carried, "__name__": f"recurrences.{name}", "__package__": "recurrences"}
    for node in imports:
        others = changed_module(node.module, carried)
        names |= {alias.asname or alias.name: others[alias.name] for alias in node.names}
    exec(code, names)
    return names


def by_hand(entry, x, first, change):
    """Yield the logits of the first rows, and of the others after a change of the weights, in each way that runs."""
    for way in (_in_pieces, _changed_meanwhile):
        # A buffer for all steps of a piece cannot be carried, and some models have several loops.
        with suppress(IndexError, ValueError):
            yield way(entry, x, first, change)


def _in_pieces(entry, x, first, change):
    model, carried = changed_model(entry)
    one = model(x[:first]).data
    carried.next_piece(first, len(x) - first)
    change(model)
    return one, model(x[first:]).data


def _changed_meanwhile(entry, x, first, change):
    model, carried = changed_model(entry)
    one, rest = model(x[:first]).data, len(x) - first
    carried.done.clear()
    model(x)
    (loop,) = ((place, count - rest) for place, count in carried.done.items() if count > rest)
    model, carried = changed_model(entry)
    carried.at = {loop: lambda: change(model)}
    with mg.no_autodiff:
        whole = model(x).data
    return one, whole if len(whole) == 1 else whole[first:]


def changed_model(entry):
    """Return a model of an entry whose loops carry their variables, and what keeps these."""
    carried = Carried()
    return changed_module(entry.group, carried)[entry.name](np.random.default_rng(0)), carried
