"""Pages of the documentation that scripts fill, and these scripts."""

import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


@contextmanager
def script(name):
    """Run a script as a registered module, so that the source of its code is found."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]
