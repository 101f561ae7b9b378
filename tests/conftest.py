"""Property tests draw the same examples in every run, so that a failure is one's own; explore with
``HYPOTHESIS_PROFILE=explore python -m pytest``.
"""

from __future__ import annotations

import os

from hypothesis import settings

# Tests run in several processes. Threads of torch's OpenMP would spin at barriers, waiting for each other,
# while the processes share the cores: the same test takes five times longer.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
