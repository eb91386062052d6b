import gc
import os
import signal
import sys
from pathlib import Path

import matplotlib
import pytest
from hypothesis import settings

# No test needs a screen.
matplotlib.use("Agg")

# How many examples of a property are tried: a few, or many with `--hypothesis-profile=many`, as `make test-all` has it.
# In CI every run tries the same ones, so more of them would find nothing new. There is no deadline: shared machines are
# slow at times.
IN_CI = "CI" in os.environ
for profile, examples in (("few", 20), ("many", 60 if IN_CI else 200)):
    settings.register_profile(profile, max_examples=examples, deadline=None, derandomize=IN_CI)
settings.load_profile("few")

# What several test files share: models that they compile, a study that they sweep.
sys.path.append(str(Path(__file__).parent))

from interpreter import interpreted  # noqa: E402
from processes import kill_all  # noqa: E402
from run_folders import figures_left_blank  # noqa: E402
from sweeps_help import ENDLESS, NATIVE, STUDY  # noqa: E402


def pytest_configure(config):
    """Keep compiled models from run to run, apart from the user's own, for all workers together; hear Ctrl-C."""
    # What a shell runs in the background ignores it, and some tests send it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "MYRNN_CACHE_DIR" not in os.environ and hasattr(config, "cache"):
        os.environ["MYRNN_CACHE_DIR"] = str(config.cache.mkdir("compiled"))


def pytest_collection_finish():
    """Keep what was imported and collected from being gone through at every collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_process_is_left():
    """End what a test has started and not ended, a test that fails above all."""
    yield
    kill_all()


@pytest.fixture
def in_python(monkeypatch):
    """Run compiled models in Python, which compiles no machine code."""
    monkeypatch.setattr("myrnn.compiler.cache.load", interpreted)


@pytest.fixture
def blank_figures():
    """Leave the figures of runs blank, for tests that are about something else: to draw them takes most of the time."""
    with figures_left_blank():
        yield


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return the file of a small study."""
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def endless_study(tmp_path_factory):
    """Return the file of a study that begins with the small one and does not come to its end."""
    path = tmp_path_factory.mktemp("study") / "endless.toml"
    path.write_text(ENDLESS)
    return path


@pytest.fixture(scope="session")
def one_core(study, tmp_path_factory):
    """Return the folder of its sweep on one core, which nothing writes to."""
    from myrnn.sweeps import sweep  # late: few tests need it

    folder = tmp_path_factory.mktemp("one") / "core"
    sweep(study, folder, jobs=1)
    return folder


@pytest.fixture(scope="session")
def native_study(tmp_path_factory):
    """Return the file of a small study some of whose networks are compiled."""
    path = tmp_path_factory.mktemp("study") / "native.toml"
    path.write_text(NATIVE)
    return path


@pytest.fixture(scope="session")
def native_one_core(native_study, tmp_path_factory):
    """Return the folder of its sweep on one core, which nothing writes to."""
    from myrnn.sweeps import load_sweep, sweep  # late: few tests need it

    folder = tmp_path_factory.mktemp("one") / "native"
    sweep(native_study, folder, jobs=1)
    assert load_sweep(folder).runs["engine"].count("native") == 4
    return folder
