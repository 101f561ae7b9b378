"""Property tests draw the same examples in every run, so that a failure is one's own; explore with
``HYPOTHESIS_PROFILE=explore python -m pytest``.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Tests run in several processes. Threads of torch's OpenMP would spin at barriers, waiting for each other,
# while the processes share the cores: the same test takes five times longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Processes that tests start would each compile the whole package, where Python is told to keep no bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Tests compute what they compare, and leave no values in the user's own cache.
os.environ["IMCSIM_VALUES"] = "off"

# Nor is any example slow by itself: a busy machine gives a process a part of its time only.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture
def rough_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn roughly: for tests of what stands beside them."""
    from rough import draw_roughly  # matplotlib, which few tests need

    draw_roughly(monkeypatch)
