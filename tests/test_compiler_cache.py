"""The cache of machine code: found again, keyed by content, never fatal; and the notice while code is compiled."""

import gc
import os
import re
import sys
import threading
import weakref
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache as cache_results
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from numba.core import config

import processes
from interpreter import interpreted
from myrnn import SequenceClassifier, output
from myrnn.compiler import cache
from myrnn.compiler.cache import NOTICE, compiling_seconds, notice
from myrnn.compiler.runtime import training, updates
from myrnn.compiler.runtime.functions import FUNCTIONS, MachineCode
from myrnn.compiler.runtime.products import fill
from myrnn.training.progress import TrainingProgress

RUNTIME = Path(cache.__file__).parent / "runtime"
SOURCE = """
from myrnn.compiler.runtime.functions import Floats, Integers, Tokens
from myrnn.compiler.runtime.products import fill
import numpy as np

def run(
    tokens: Tokens, begin: int, steps: int, member: int, keys: Integers, labels: Integers, targets: Floats,
    weights: Floats, class_weights: Floats, streams: Integers, carried: Floats, share: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, float]:
    fill(w, 0, 16, share)
    return 2.0 * steps, 1.0 * labels[member]
"""
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_compiler_cache import SOURCE, cache, run
known = cache.is_known(SOURCE)
print(known, run(), cache.cache_folder())
"""


def run(source=SOURCE):
    """Load a program and return its result."""
    floats, integers, tokens = (np.zeros(16, kind) for kind in (np.float32, np.int64, np.int32))
    samples = training.Samples(tokens, np.array([0, 21]), np.array([5]), floats, floats, floats, integers, floats)
    work = training.Work(floats, integers, tokens, integers, tokens, dense=0, micro_batch=1)
    loss, label = cache.load(source).call(
        training.backpropagate, False, samples, np.array([0]), integers[:0], np.float32(5), floats, floats, work
    )
    assert label == 5
    np.testing.assert_array_equal(floats, 5)
    return int(loss)


def start(folder, **more):
    environment = {**os.environ, "MYRNN_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **more}
    return processes.start([sys.executable, "-c", PROGRAM], env=environment)


def finish(process):
    """Return whether the program was known, its result, and the folder."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    known, result, folder = out.split()
    return known == "True", int(result), Path(folder)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Load into a separate folder, and count the compiled programs."""
    # With all functions of the runtime that the program calls.
    cache.load(SOURCE)
    cache._programs.clear()
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path))
    return tmp_path / "compiled"


@pytest.fixture
def again(here, monkeypatch):
    """Load the program as a new process would; return its result and whether it was compiled."""
    made = []
    monkeypatch.setattr(
        cache, "machine_code", lambda function, make=cache.machine_code: made.append(1) or make(function)
    )

    def run_again():
        cache._programs.clear()
        made.clear()
        return run(), bool(made)

    return run_again


@pytest.mark.long
def test_two_processes_at_once_both_work_and_a_third_compiles_nothing(tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    assert [finish(process)[1] for process in both] == [42, 42]
    folder = tmp_path / "compiled"
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert finish(start(tmp_path)) == (True, 42, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files


@pytest.mark.parametrize("damage", ["empty", "half", "changed"])
def test_a_corrupt_entry_is_rebuilt(damage, here, again):
    assert again() == (42, True)
    (path,) = here.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes({"empty": b"", "half": whole[:middle], "changed": changed}[damage])
    assert again() == (42, True)
    assert again() == (42, False)


def test_missing_machine_code_is_compiled_again(here, again):
    again()
    (path,) = here.iterdir()
    path.unlink()
    assert again() == (42, True)
    assert again() == (42, False)


def test_a_full_disk_stops_nothing(here, again, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert again() == (42, True)
    assert again() == (42, True)
    assert not list(here.iterdir())


def test_an_interrupt_leaves_no_half_file(here, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(SOURCE + "# interrupted")
    assert not list(here.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_other_users_may_read_what_was_compiled(here, again):
    before = os.umask(0o022)
    try:
        again()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in here.iterdir()] == [0o644]


def test_the_known_programs_are_the_compiled_ones(here):
    source = SOURCE + "# known"
    assert not cache.is_known(source)
    run(source)
    assert cache.is_known(source) and not cache.is_known(source + "#")


def test_machine_code_stays_in_memory_while_it_is_used(here):
    code = cache.load(SOURCE)
    assert cache.load(SOURCE) is code is not cache.load(SOURCE + "#")
    memory = weakref.ref(code)
    del code
    gc.collect()
    assert memory() is None


def test_threads_that_load_at_once_share_the_runtime(monkeypatch):
    cache.address(fill)
    monkeypatch.setattr(cache, "_addresses", {})
    shared = MachineCode()
    monkeypatch.setattr(cache, "_runtime", lambda: shared)
    monkeypatch.setattr(cache.llvmlite.binding, "add_symbol", lambda name, address: None)
    together = threading.Barrier(4, timeout=60)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(lambda: together.wait() * 0 or cache.address(fill)) for _ in range(4)]
    assert len({future.result() for future in found}) == 1


def test_only_what_a_program_calls_is_compiled(here, monkeypatch):
    made = []
    monkeypatch.setattr(cache, "_addresses", defaultdict(int))
    monkeypatch.setattr(cache, "machine_code", lambda function: made.append(function) or b"")
    monkeypatch.setattr(cache, "_share", lambda contents: None)
    monkeypatch.setattr(cache.Code, "__init__", lambda self, name, content: None)
    cache.load(SOURCE)
    assert made[:-1] == [fill, training.run, training.backpropagate, training.logits]
    assert len(list(here.iterdir())) == len(made)
    # Only a training needs what changes weights.
    del made[:]
    cache.compile_to_train([SOURCE + "# trained"])
    assert {training.train, updates.scale} < set(made[1:]) < {*FUNCTIONS}
    files = {function.__module__.split(".")[-1] for function in made[1:]}
    assert files == {"training", "updates", "threads"}, "only models with lookups call theirs"
    # Callees first.
    assert made.index(updates.scale) < made.index(training.train) == len(made) - 1


@pytest.mark.long
def test_a_folder_that_cannot_be_written_is_replaced_for_this_process(tmp_path):
    # Not even the superuser can make a folder below a file.
    (tmp_path / "file").write_text("")
    known, result, folder = finish(start(tmp_path / "file" / "cache"))
    assert (known, result) == (False, 42)
    assert folder.parent.name.startswith("myrnn-") and not folder.parent.exists()


@pytest.mark.long
def test_a_home_that_cannot_be_written_still_works(tmp_path):
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file")
    _, result, folder = finish(start("", HOME=home, XDG_CACHE_HOME=home, LOCALAPPDATA=home, USERPROFILE=home))
    assert result == 42
    if sys.platform.startswith("linux"):
        assert folder.parent.name.startswith("myrnn-") and not folder.parent.exists()


def opened(folder, monkeypatch):
    folder.chmod(0o777)


def of_a_group(folder, monkeypatch):
    folder.chmod(0o775)


def of_another(folder, monkeypatch):
    stat = Path.stat
    as_if = lambda path, **how: SimpleNamespace(st_uid=os.getuid() + 1, st_mode=stat(path, **how).st_mode)  # noqa: E731
    monkeypatch.setattr(Path, "stat", as_if)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("make", [opened, of_a_group, of_another])
def test_a_folder_that_others_may_write_is_not_used(make, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path))
    folder = cache.cache_folder()
    assert folder == tmp_path / "compiled"
    with monkeypatch.context() as patch:
        make(folder, patch)
        ours = [cache.cache_folder() for _ in range(2)]
    assert ours[0] == ours[1] != folder
    assert ours[0].parent.stat().st_mode & 0o077 == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"myrnn: machine code is not kept in {folder}, because other users may write there")
    folder.chmod(0o755)
    assert cache.cache_folder() == folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(("where", "mode"), [("near", 0o777), ("near", 0o775), ("", 0o777)])
def test_a_folder_in_whose_place_others_may_put_another_one_is_not_used(where, mode, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path / "near"))
    folder = cache.cache_folder()
    assert folder == tmp_path / "near" / "compiled"
    open_one = tmp_path / where
    open_one.chmod(mode)
    try:
        assert cache.cache_folder() != folder
        assert "because other users may write there, or in a folder above" in capsys.readouterr().err
        # Where only the owner of a file may move it, as in /tmp, everybody may write.
        open_one.chmod(mode | 0o1000)
        assert cache.cache_folder() == folder
    finally:
        open_one.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_new_folder_is_for_this_user_whatever_the_umask_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path / "new"))
    before = os.umask(0o002)
    try:
        assert cache.cache_folder() == tmp_path / "new" / "compiled"
    finally:
        os.umask(before)


@pytest.mark.parametrize("place", ["there", "file/not there"])
def test_another_process_compiles_into_the_same_folder(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path / place))
    folder, told = cache.cache_folder(), []
    monkeypatch.setattr(cache.subprocess, "Popen", lambda *_, env, **__: told.append(env["MYRNN_CACHE_DIR"]))
    cache.begin_to_compile([])
    monkeypatch.setenv("MYRNN_CACHE_DIR", told[0])
    assert cache.cache_folder() == folder


def test_the_platform_folder_is_used_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("MYRNN_CACHE_DIR", raising=False)
    monkeypatch.setattr(cache, "user_cache_path", lambda name, appauthor: tmp_path / name)
    assert cache.cache_folder() == tmp_path / "myrnn" / "compiled"


@pytest.mark.parametrize("what", ["__version__", "numba", "llvmlite", "np"])
def test_another_version_is_another_entry(what, monkeypatch):
    cache._surroundings.cache_clear()
    before = cache._name(SOURCE)
    if what == "__version__":
        monkeypatch.setattr(cache, what, "0.0.0")
    else:
        monkeypatch.setattr(getattr(cache, what), "__version__", "0.0.0")
    cache._surroundings.cache_clear()
    assert cache._name(SOURCE) != before
    monkeypatch.undo()
    cache._surroundings.cache_clear()
    assert cache._name(SOURCE) == before


@pytest.mark.parametrize("setting", ["CPU_NAME", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE"])
def test_machine_code_for_another_processor_or_with_other_settings_is_another_entry(setting, monkeypatch):
    before = cache._name(SOURCE)
    monkeypatch.setattr(config, setting, "another")
    cache._surroundings.cache_clear()
    assert cache._name(SOURCE) != before
    monkeypatch.undo()
    cache._surroundings.cache_clear()


def test_bounds_are_not_checked_whatever_numba_is_set_to(monkeypatch):
    source = SOURCE.replace("fill(w, 0, 16, share)", "w[steps] = share")
    assert source != SOURCE
    exec(source, scope := {"__name__": "checked"})
    made = []
    for checks in (None, 1, None):
        monkeypatch.setattr(config, "BOUNDSCHECK", checks)
        # Numba counts compilations in the names, which are a digit longer from 10, and from 100, on.
        made.append(cache.machine_code(scope["run"]).translate(None, b"0123456789"))
        assert config.BOUNDSCHECK is checks
    assert made[1] in (made[0], made[2])


def test_other_source_of_the_runtime_is_another_entry(monkeypatch):
    read = Path.read_text
    names = {}
    for changed in (Path("none"), *Path(cache.__file__).parent.rglob("*.py")):
        monkeypatch.setattr(
            Path, "read_text", lambda self, changed=changed, **how: read(self, **how) + "#" * (self == changed)
        )
        cache._surroundings.cache_clear()
        names[changed] = cache._name(SOURCE)
    monkeypatch.undo()
    cache._surroundings.cache_clear()
    assert {path for path, name in names.items() if name != names[Path("none")]} == set(RUNTIME.glob("*.py"))


def test_runtime_functions_only_call_each_other():
    for path in RUNTIME.glob("*.py"):
        calls = set(re.findall(r"from (myrnn\.\S+) import", path.read_text()))
        assert all(name.startswith("myrnn.compiler.runtime") for name in calls)


@pytest.fixture(autouse=True)
def unsaid(monkeypatch):
    monkeypatch.setattr(cache, "_thread", type("Unsaid", (), {})())
    output.shown_lines.clear()


@pytest.fixture
def outputs(monkeypatch):
    """The messages to the front end of a notebook."""
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "display_pub", CapturingDisplayPublisher())
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield shell.display_pub.outputs
    InteractiveShell.clear_instance()


def test_a_terminal_shows_the_seconds_while_it_compiles(capsys, monkeypatch):
    now = iter(np.arange(0, 1000, 3.5).tolist())
    monkeypatch.setattr(cache.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with notice():
        pass
    written = capsys.readouterr().err
    assert re.search(rf"{NOTICE} .*\d:\d\d:\d\d", written)
    assert written.endswith("\x1b[2K")
    assert compiling_seconds() >= 3.5


def test_a_pipe_gets_one_message(capsys):
    for _ in range(2):
        with notice():
            pass
    assert capsys.readouterr().err == f"myrnn: {NOTICE}\n"


@pytest.mark.parametrize("where", ["on_terminal", "in_kernel"])
def test_a_terminal_and_a_notebook_show_it_once_too(where, outputs, capsys, monkeypatch):
    monkeypatch.setattr(output, "in_kernel", lambda: where == "in_kernel")
    monkeypatch.setattr(output, "on_terminal", lambda: where == "on_terminal")
    with notice():
        pass
    before = len(outputs), capsys.readouterr().err
    assert any(before)
    with notice():
        pass
    assert (len(outputs), capsys.readouterr().err) == (before[0], "")


def test_a_notebook_shows_a_message_while_it_compiles(outputs, capsys):
    with pytest.raises(ValueError, match="while compiling"), notice():
        assert NOTICE in outputs[-1]["data"]["text/html"]
        raise ValueError("while compiling")
    assert [output["update"] for output in outputs] == [False, True]
    assert outputs[-1]["data"]["text/html"] == ""
    assert capsys.readouterr().err == ""


def test_all_compilations_of_a_fit_count(monkeypatch, capsys):
    now = [0.0]

    @cache_results
    def load(source):
        """Simulate eight seconds for every program."""
        with notice():
            now[0] += 8
        return interpreted(source)

    monkeypatch.setattr(cache, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("myrnn.compiler.cache.load", load)
    before_the_bar = []
    begin = TrainingProgress.on_train_begin
    noted = lambda self, start: before_the_bar.append(now[0]) or begin(self, start)  # noqa: E731
    monkeypatch.setattr(TrainingProgress, "on_train_begin", noted)
    classifier = SequenceClassifier(dim_recurrent=3, max_epochs=1, engine="native", random_state=0)
    classifier.fit(["ab", "ba"] * 4, ["a", "b"] * 4)
    assert [compiling_seconds()] == before_the_bar == [now[0]] != [0.0]
    assert capsys.readouterr().err == f"myrnn: {NOTICE}\n"
