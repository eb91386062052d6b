import os
import subprocess
import sys

import pytest

import myrnn
from marks import the_rest_is_long

CODE = """
import sys
{first}
import mygrad, numpy as np
from mygrad.nnet.layers import gru
rng = np.random.default_rng(0)
shapes = [(3, 2, 4)] + [(4, 5), (5, 5), (5,)] * 3
tensors = [mygrad.tensor(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
states = gru(*tensors)
(states**2).sum().backward()
print(states.dtype, states.data.tobytes(), [tensor.grad.tobytes() for tensor in tensors])
"""


def told(first, **environment):
    command = [sys.executable, "-c", CODE.format(first=first)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout


@pytest.mark.long
def test_the_gru_of_mygrad_is_the_same_with_myrnn():
    # Python instead of machine code, which MyGrad compiles at the first call for a minute.
    assert told("import myrnn", NUMBA_DISABLE_JIT="1") == told("pass", NUMBA_DISABLE_JIT="1")


def output_of(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


SLOW = ("matplotlib", "mygrad.nnet.layers.gru", "numba", "pandas", "polars", "rich", "scipy.special", "sklearn")


def test_what_takes_long_is_imported_when_it_is_used():
    code = "import sys, types"
    for first, unneeded in (
        ("from myrnn import RNN, Adam", SLOW),
        (
            "import myrnn.cli",
            ("filelock", "matplotlib", "mygrad.nnet.layers.gru", "pandas", "polars", "scipy.special", "sklearn"),
        ),
        # The audit hook of filelock slows down everything that reads frames.
        ("from myrnn import compile, sweep, train", ("filelock", "matplotlib", "pandas", "polars", "sklearn")),
    ):
        code += f"""
{first}
print([name for name in {unneeded} if type(sys.modules.get(name)) is types.ModuleType])
"""
    assert output_of(code) == "[]\n" * 3


WAYS_TO_THE_GRU = (
    "from mygrad.nnet.layers.gru import GRUnit, gru",
    "from mygrad.nnet.layers import gru",
    "from mygrad.nnet import gru",
    "from mygrad.nnet.layers import *",
    "from mygrad.nnet import *",
    "import mygrad.nnet.layers.gru as gru",
    "import mygrad.nnet.layers.gru; gru = mygrad.nnet.layers.gru",
    "import mygrad.nnet; gru = mygrad.nnet.gru",
)


@pytest.mark.long
def test_all_ways_lead_to_the_gru_of_mygrad():
    lines = "\n".join(f"{way}; print(gru.__module__, gru.__qualname__)" for way in WAYS_TO_THE_GRU)
    assert output_of(f"import myrnn\n{lines}") == "mygrad.nnet.layers.gru gru\n" * len(WAYS_TO_THE_GRU)


@pytest.mark.parametrize("module", ["mygrad.nnet", "mygrad.nnet.layers"])
def test_names_that_mygrad_does_not_have_are_missing(module):
    with pytest.raises(AttributeError, match="no attribute 'lstm'"):
        sys.modules[module].lstm  # noqa: B018


def test_modules_are_attributes_without_an_import_of_their_own():
    assert (
        output_of("import myrnn; print(myrnn.models.RNN is myrnn.RNN, myrnn.sequences.Sequences is myrnn.Sequences)")
        == "True True\n"
    )


def test_public_names_are_found_listed_and_no_others():
    everything = {}
    exec("from myrnn import *", everything)
    assert set(myrnn.__all__) == everything.keys() - {"__builtins__"} <= set(dir(myrnn))
    assert [name for name in myrnn.__all__ if everything[name] is not getattr(myrnn, name)] == []
    with pytest.raises(AttributeError, match="module 'myrnn' has no attribute 'Tensor'"):
        myrnn.Tensor  # noqa: B018


# Sends SIGINT to the process when it imports a module.
INTERRUPTING = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("way", "module"),
    the_rest_is_long(
        [("script", "numba"), ("module", "numba"), ("script", "mygrad.nnet"), ("module", "typer")],
        ("script", "mygrad.nnet"),
        ("module", "typer"),
    ),
)
def test_ctrl_c_while_the_command_imports_is_one_line(tmp_path, way, module):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(module=module))
    script = tmp_path / "myrnn"
    script.write_text("import sys\nfrom myrnn.cli import main\nsys.exit(main())\n")
    command = [sys.executable, *([str(script)] if way == "script" else ["-m", "myrnn"]), "--version"]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "myrnn: interrupted: nothing was changed\n"


def test_ctrl_c_while_a_program_imports_the_library_is_left_to_the_program(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(module="mygrad.nnet"))
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    code = "try:\n    import myrnn\nexcept KeyboardInterrupt:\n    print('mine')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert (ended.returncode, ended.stdout) == (0, "mine\n")
