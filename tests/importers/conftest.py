"""Files of other frameworks are read in processes that are forked, which begin at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from forking import forked_readers


@pytest.fixture(scope="module", autouse=True)
def _forked() -> Iterator[None]:
    with forked_readers():
        yield
