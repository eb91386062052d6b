import os
import subprocess
import sys

import numba
import pytest

import myrnn

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


def test_settings_of_numba_are_not_changed():
    assert numba.vectorize is myrnn._start._vectorize is not myrnn._start._kept


@pytest.mark.long
def test_the_gru_of_mygrad_is_the_same_with_myrnn(tmp_path):
    with_myrnn = told("import myrnn", NUMBA_CACHE_DIR=str(tmp_path))
    assert with_myrnn == told("pass")
    assert list(tmp_path.rglob("*gru*"))


@pytest.mark.parametrize("error", [RuntimeError, PermissionError])
def test_without_a_cache_everything_is_compiled(monkeypatch, error):
    def vectorize(*arguments, cache=False, **options):
        if cache:
            raise error("no place")
        return lambda function: (function, arguments, options)

    monkeypatch.setattr(myrnn._start, "_vectorize", vectorize)
    assert myrnn._start._kept(["float32(float32)"], nopython=True)(abs) == (
        abs,
        (["float32(float32)"],),
        {"nopython": True},
    )


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
    ("way", "module"), [("script", "numba"), ("module", "numba"), ("script", "mygrad.nnet"), ("module", "typer")]
)
def test_ctrl_c_while_the_command_imports_is_one_line(tmp_path, way, module):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(module=module))
    script = tmp_path / "myrnn"
    script.write_text("import sys\nfrom myrnn.cli import main\nsys.exit(main())\n")
    command = [sys.executable, *([str(script)] if way == "script" else ["-m", "myrnn"]), "--version"]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "myrnn: interrupted: nothing was saved\n"


def test_ctrl_c_while_a_program_imports_the_library_is_left_to_the_program(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(module="numba"))
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    code = "try:\n    import myrnn\nexcept KeyboardInterrupt:\n    print('mine')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert (ended.returncode, ended.stdout) == (0, "mine\n")
