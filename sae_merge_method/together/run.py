"""Several processes that this one starts on one work, and waits for: ``--workers 2`` in torchrun's place.

Each is a fresh interpreter whose environment says what torchrun's would, so that ``join_workers`` has them
meet. The first shows what it does. Whichever fails first ends them all, and what it raised is raised here,
once.

torch's own launchers (``torch.distributed.run``, ``torch.multiprocessing.spawn``) are not called: they answer
a misspelt file with two tracebacks, and take whom the failed one left waiting for the one that failed.
"""

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

from sae_merge_method.errors import UsageError
from sae_merge_method.together.answers import result_of
from sae_merge_method.together.here import working_here
from sae_merge_method.together.on_ray import working_on_ray
from sae_merge_method.together.places import WorkerSettings, places_here
from sae_merge_method.together.ray_cluster import places_on_ray

T = TypeVar("T")


def run_together(
    call: Callable[[], T], asked: WorkerSettings, begin: Callable[[], None], tell: Callable[[str], None]
) -> T:
    """Do some work in this process, or in as many as are asked for.

    Args:
        call: The work, which meets the others by ``join_workers``; a partial of a module's function, for
            pickle carries it.
        asked: How many processes, and where; where only one is, without GPUs of its own, it is this one.
        begin: Called in the first process that is started, ahead of the work: it has a log to show. Pickle
            carries it too.
        tell: Takes what the first process shows on its stderr, line by line, where that is another machine's.

    Returns:
        What the call returned in the first process.

    Raises:
        UsageError: A launcher has started this process, as one of several; or there is no such cluster.
        WorkerError: A process died.
        Exception: What the call raised in the process that failed.
    """
    here, on_ray = places_here(asked), places_on_ray(asked)
    if on_ray is None and len(here) == 1 and here[0].gpus is None:
        return call()
    size = os.environ.get("WORLD_SIZE", "1")
    if size != "1":
        raise UsageError(
            f"torchrun or its like has started {size} processes: start so, or by --workers, --gpus or --ray"
        )
    work = pickle.dumps((call, begin))
    with working_here(work, here) if on_ray is None else working_on_ray(work, on_ray, tell) as answers:
        result: T = result_of(answers)
    return result
