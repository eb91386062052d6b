import os

import matplotlib
from hypothesis import settings

# No test needs a screen.
matplotlib.use("Agg")

# Shared machines are slow at times: no example fails for the time that it takes. In CI every run tries the same ones.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
