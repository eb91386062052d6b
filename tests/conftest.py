import gc
import os
import signal
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import pytest
from hypothesis import settings

# No test needs a screen.
matplotlib.use("Agg")

# How many examples of a property are tried: a few, or many with `--hypothesis-profile=many`, as `make test-all` has it.
# In CI every run tries the same ones, so more would find nothing new. There is no deadline, because shared machines are
# slow at times.
IN_CI = "CI" in os.environ
for profile, examples in (("few", 12), ("many", 30 if IN_CI else 200)):
    settings.register_profile(profile, max_examples=examples, deadline=None, derandomize=IN_CI)
settings.load_profile("few")

# All modules are searched for examples, but this one needs packages that are part of no extra.
collect_ignore = [] if find_spec("torch") else ["published_packages.py"]

# Models to compile, and a study to sweep, which several test files share.
sys.path.append(str(Path(__file__).parent))

from interpreter import interpreted  # noqa: E402
from processes import kill_all  # noqa: E402
from run_folders import figures_left_blank, save_drawn  # noqa: E402
from sweeps_help import ENDLESS, LEAKY, NATIVE, STUDY  # noqa: E402


def pytest_configure(config):
    """Keep compiled models in a separate cache that all workers share, and handle Ctrl-C."""
    # A background process of a shell ignores it, and some tests send it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "MYRNN_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        os.environ["MYRNN_CACHE_DIR"] = str(config.cache.mkdir("compiled"))


# Examples that take long, of what the tests show, too: most of them train or compile a network.
LONG_EXAMPLES = tuple(
    f"src/myrnn/{place}"
    for place in (
        "estimators/", "exercises/generator.py", "generation.py", "graphs/", "inspection/", "plots/matrices.py",
        "runs/", "sweeps/",
    )
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Mark the long examples."""
    for item in items:
        if item.nodeid.startswith(LONG_EXAMPLES):
            item.add_marker("long")


def pytest_collection_finish():
    """Exclude imported modules and collected tests from garbage collection, which would search them every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def state_of_the_tests(tmp_path_factory):
    """Keep what is remembered for an account, such as the classes that it has named, in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def no_process_is_left():
    """End processes that a test started and did not end, for example because it failed."""
    yield
    kill_all()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def in_python(monkeypatch):
    """Run compiled models in Python, which compiles no machine code."""
    monkeypatch.setattr("myrnn.compiler.cache.load", interpreted)


@pytest.fixture(scope="module")
def module_in_python():
    """Run compiled models in Python in all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("myrnn.compiler.cache.load", interpreted)
        yield


@pytest.fixture(scope="module")
def gru_in_python():
    """Run MyGrad's GRU in Python; it is compiled at the first call, which takes long."""
    layer = sys.modules["mygrad.nnet.layers.gru"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("dot", "_gru_layer", "_gru_dLds", "_gru_bptt"):
            patch.setattr(layer, name, getattr(layer, name).py_func)
        yield


@pytest.fixture(scope="module", autouse=True)
def blank_figures(request):
    """Leave figures blank, because drawing them takes longer than a small training, except in the tests of figures."""
    with nullcontext() if request.path.name.startswith("test_plots") else figures_left_blank():
        yield


@pytest.fixture
def drawn_figures(monkeypatch):
    """Save the figures of a test as they are drawn."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_drawn)


@pytest.fixture
def registered_here(monkeypatch):
    """Register the class of a study in this process, as a script does."""
    from myrnn import registry

    monkeypatch.setattr(registry, "_KINDS", {part: dict(registry.kinds(part)) for part in registry._KINDS})
    space = {"__name__": "script"}
    exec(LEAKY, space)
    return registry.register("model", "registered-here")(space["Leaky"])


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return the file of a small study."""
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def endless_study(tmp_path_factory):
    """Return the file of a study that starts with the small one and never ends."""
    path = tmp_path_factory.mktemp("study") / "endless.toml"
    path.write_text(ENDLESS)
    return path


@pytest.fixture(scope="session")
def one_core(study, tmp_path_factory):
    """Return the folder of its sweep on one core, which nothing writes to."""
    from myrnn.sweeps import sweep  # late: few tests need it

    folder = tmp_path_factory.mktemp("one") / "core"
    with figures_left_blank():
        sweep(study, folder, jobs=1)
    return folder


@pytest.fixture(scope="session")
def native_study(tmp_path_factory):
    """Return the file of a small study with some compiled networks."""
    path = tmp_path_factory.mktemp("study") / "native.toml"
    path.write_text(NATIVE)
    return path


@pytest.fixture(scope="session")
def native_one_core(native_study, tmp_path_factory):
    """Return the folder of its sweep on one core, which nothing writes to."""
    from myrnn.sweeps import load_sweep, sweep  # late: few tests need it

    folder = tmp_path_factory.mktemp("one") / "native"
    with figures_left_blank():
        sweep(native_study, folder, jobs=1)
    assert load_sweep(folder).runs["engine"].count("native") == 4
    return folder
