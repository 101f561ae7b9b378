"""A Dask cluster on this machine, and the death of one of its workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def two_workers() -> Any:
    """A cluster of two processes, to be entered; the test is skipped where distributed is missing."""
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )


@contextmanager
def killing_one_at_work(cluster: Any, killed: list[int]) -> Iterator[Callable[[str, int, int], None]]:
    """Progress that kills one worker of the cluster, while it works if there is such a one."""
    import distributed

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        processes = client.run(os.getpid)

        def kill(stage: str, done: int, total: int) -> None:
            if not killed and 2 <= done < total:
                at_work = [worker for worker, tasks in client.processing().items() if tasks]
                killed.append(processes[(at_work or list(processes))[0]])
                os.kill(killed[0], signal.SIGKILL)

        yield kill
