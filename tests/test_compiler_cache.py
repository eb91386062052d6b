"""The cache of compiled modules: found again, keyed by content, never fatal."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import processes
from myrnn.compiler import cache
from myrnn.compiler.runtime.lanes import compiled

FOLDER = Path(cache.__file__).parent / "runtime"
SOURCE = """
from numba import njit


@njit(cache=True)
def double(x):
    return 2 * x
"""
PROGRAM = f"""
import sys
from myrnn.compiler import cache
source = {SOURCE!r}
known = cache.is_known(source, "double")
module = cache.load(source)
print(known, module.double(21), sum(module.double.stats.cache_hits.values()), cache.cache_folder())
"""


def start(folder, **more):
    environment = {**os.environ, "MYRNN_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **more}
    return processes.start([sys.executable, "-c", PROGRAM], env=environment)


def finish(process):
    """Return whether the module was known, its result, how many functions came from the cache, and the folder."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    known, result, hits, folder = out.split()
    return known == "True", int(result), int(hits), Path(folder)


def run(folder, **more):
    return finish(start(folder, **more))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Load into a folder of this test's own, and forget it afterwards."""
    monkeypatch.setenv("MYRNN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_modules", {})
    return tmp_path / "compiled"


def again():
    """Load the module as a new process would; return its result and how many functions came from the cache."""
    cache._modules.clear()
    module = cache.load(SOURCE)
    return module.double(21), sum(module.double.stats.cache_hits.values())


def test_two_processes_at_once_both_work_and_a_third_compiles_nothing(tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    assert [finish(process)[1] for process in both] == [42, 42]
    folder = tmp_path / "compiled"
    files = sorted(folder.rglob("*"))
    assert run(tmp_path) == (True, 42, 1, folder)
    assert sorted(folder.rglob("*")) == files
    assert not list(tmp_path.rglob("*.tmp*"))


PRODUCTS = """
import sys
import numpy as np
from numba import njit
from myrnn.compiler import cache

SOURCE = '''
from numba import njit
from myrnn.compiler.runtime.products import multiply

@njit(cache=True)
def product(out, a, b, rows, steps, columns):
    multiply(out, 0, columns, a, 0, steps, 1, b, 0, columns, rows, steps, columns, False)
'''
before, names = int(sys.argv[1]), sys.argv[2:]
for number in range(before):
    njit(lambda x: x + 1)(number)
for name in names:
    module = cache.load(f"{SOURCE}# {name}")
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size).astype(np.float32) for size in ((9, 5), (5, 80)))
    out = np.zeros((9, 80), dtype=np.float32)
    module.product(out.ravel(), a.ravel(), b.ravel(), 9, 5, 80)
    print(np.allclose(out, a @ b, atol=1e-5), sum(module.product.stats.cache_hits.values()))
"""


@pytest.mark.long
def test_programs_of_several_processes_call_each_its_own_functions(tmp_path):
    environment = {**os.environ, "MYRNN_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}

    def products(before, *names):
        process = processes.start([sys.executable, "-c", PRODUCTS, str(before), *names], env=environment)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return out.splitlines()

    # Numba tells functions apart by a number that every process counts for itself: here the same for other functions.
    for before in range(2):
        assert products(before, f"{before} before") == ["True 0"]
    assert products(0, *(f"{before} before" for before in range(2))) == ["True 1"] * 2


def test_a_function_that_a_function_makes_needs_a_name_of_its_own():
    def made(x):
        return x

    with pytest.raises(ValueError, match=r"needs a name of its own: .*<locals>\.made"):
        compiled(made)


@pytest.mark.parametrize("pattern", ["*.py", "*.nbi", "*.nbc"])
@pytest.mark.parametrize("damage", ["empty", "half", "changed"])
def test_a_corrupt_entry_is_rebuilt(pattern, damage, here):
    again()
    (path,) = here.rglob(pattern)
    whole = path.read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes({"empty": b"", "half": whole[:middle], "changed": changed}[damage])
    result, hits = again()
    assert result == 42
    if pattern == "*.py":
        assert path.read_bytes() == whole
    else:
        assert hits == 0
    assert again() == (42, 1)


def test_machine_code_that_is_gone_is_made_again(here):
    again()
    (path,) = here.rglob("*.nbc")
    path.unlink()
    assert again() == (42, 0)
    assert again() == (42, 1)


def test_a_full_disk_stops_nothing(here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache._CheckedFile, "_save_index", full)
    assert again() == (42, 0)
    assert again() == (42, 0)
    assert not list(here.rglob("*.nb*"))


def test_what_is_known_is_what_was_compiled(here):
    assert not cache.is_known(SOURCE, "double")
    again()
    assert cache.is_known(SOURCE, "double")
    cache._modules.clear()
    assert cache.is_known(SOURCE, "double") and not cache.is_known(SOURCE + "#", "double")


class User:
    """Somebody who uses a module, in a ring as the parts of a compiled model are."""

    def __init__(self, number):
        self.itself = self
        self.module = cache.load(SOURCE + f"# {number}\n", user=self)


def test_of_the_modules_that_nobody_uses_any_more_only_the_latest_stay_in_memory(here, monkeypatch):
    monkeypatch.setattr(cache, "_users", {})
    monkeypatch.setattr(cache, "MOST_UNUSED", 2)
    libraries = []
    used = User(0)
    forever = cache.load(SOURCE)
    for number in range(1, 6):
        module = User(number).module
        assert module.double(21) == 42
        libraries += [result.library for result in module.double.overloads.values()]
    del module
    User(6)
    # What LLVM knows of the functions is freed, too.
    assert [library._final_module.closed for library in libraries] == [True, True, True, False, False]
    assert len(cache._modules) == 5
    assert [module.double(4) for module in (used.module, forever, User(1).module)] == [8, 8, 8]


FILLED = """
from numba import njit
from myrnn.compiler.runtime.products import fill


@njit(cache=True)
def filled(a, value):
    fill(a, 0, 16, value)
"""


def test_what_an_unused_module_imports_is_left_to_the_others(here, monkeypatch):
    monkeypatch.setattr(cache, "_users", {})
    monkeypatch.setattr(cache, "MOST_UNUSED", 1)
    numbers = np.zeros(16, np.float32)
    for value in range(5):
        user = User(value)
        cache.load(f"{FILLED}# {value}", user=user).filled(numbers, np.float32(value))
        assert numbers.tolist() == [value] * 16
        del user


def test_a_folder_that_cannot_be_written_is_replaced_for_this_process(tmp_path):
    # Not even the superuser can make a folder below a file.
    (tmp_path / "file").write_text("")
    _, result, hits, folder = run(tmp_path / "file" / "cache")
    assert (result, hits) == (42, 0)
    assert folder.name.startswith("myrnn-") and not folder.exists()


def test_a_home_that_cannot_be_written_still_works(tmp_path):
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file")
    _, result, _, folder = run("", HOME=home, XDG_CACHE_HOME=home, LOCALAPPDATA=home, USERPROFILE=home)
    assert result == 42
    if sys.platform.startswith("linux"):
        assert folder.name.startswith("myrnn-") and not folder.exists()


def test_the_platforms_folder_serves_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("MYRNN_CACHE_DIR", raising=False)
    monkeypatch.setattr(cache, "user_cache_path", lambda name, appauthor: tmp_path / name)
    assert cache.cache_folder() == tmp_path / "myrnn" / "compiled"


def test_the_same_text_is_the_same_module(here):
    module = cache.load("value = [1]")
    assert cache.load("value = [1]") is module
    assert cache.load("value = [2]") is not module
    assert [path.suffix for path in here.iterdir()] == [".py", ".py"]


def test_a_module_says_where_it_stands(here):
    module = cache.load("value = 1")
    assert Path(module.__file__).read_text() == "value = 1"
    assert sys.modules[module.__name__] is module


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


def test_another_text_of_the_functions_that_are_called_is_another_entry(monkeypatch):
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
    assert {path for path, name in names.items() if name != names[Path("none")]} == set(FOLDER.glob("*.py"))


def test_functions_that_are_called_call_nothing_of_the_compiler_but_each_other():
    for path in FOLDER.glob("*.py"):
        calls = set(re.findall(r"from (myrnn\.\S+) import", path.read_text()))
        assert all(name.startswith("myrnn.compiler.runtime") for name in calls)
