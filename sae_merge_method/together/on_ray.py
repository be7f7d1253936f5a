"""Actors of a Ray cluster on one work: what ``here.py`` does on one machine, on many.

Each is told what torchrun tells the only process of a machine, for Ray shows it its own GPUs alone. They meet
where the first one is; what that one shows is sent here line by line.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from typing_extensions import override

from sae_merge_method.errors import UsageError, first_line
from sae_merge_method.together.answers import (
    TIME_TO_TIDY,
    Answer,
    Meeting,
    WorkerError,
    answer_to,
    open_meeting,
)
from sae_merge_method.together.ray_cluster import RayPlaces, joined

_LOOK = 0.5
"""Seconds between two looks at what there is to show."""


class _Lines:
    """An actor that keeps what the first process shows until it is asked for."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def keep(self, lines: list[str]) -> None:
        self._lines += lines

    def take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines


class _Sent(io.TextIOBase):
    """A stream whose lines are sent elsewhere."""

    def __init__(self, send: Callable[[list[str]], object]) -> None:
        self._send, self._rest = send, ""

    @override
    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._send(lines)
        return len(text)


class _Process:
    """An actor that does the work."""

    def __init__(self, working_folder: Path) -> None:
        os.chdir(working_folder)
        self._open: object = None

    def meeting(self, size: int) -> Meeting:
        """Open the meeting here."""
        import ray

        meeting, self._open = open_meeting(ray.util.get_node_ip_address(), size)
        return meeting

    def work(self, environment: Mapping[str, str], work: bytes, lines: Any) -> Answer:
        """Do the work; to ``lines``, where it is the first process, goes what it shows."""
        os.environ.update(environment)
        if lines is None:
            return answer_to(work, is_first=False)
        import ray

        # Kept before it goes on: all that was shown is there when the answer is.
        with redirect_stderr(_Sent(lambda some: ray.get(lines.keep.remote(some)))):
            return answer_to(work, is_first=True)


@contextmanager
def working_on_ray(
    work: bytes, places: RayPlaces, tell: Callable[[str], None]
) -> Iterator[Iterator[tuple[int, Answer]]]:
    """Have as many actors as asked for do the work; yields their answers by rank, as they come.

    Args:
        work: As ``answer_to`` takes it.
        places: Where and how many.
        tell: Takes the lines that the first process shows.

    Raises:
        UsageError: Ray is not installed, there is no cluster at the address, or it has too few CPUs or GPUs
            for all to work at once, as they must.
        WorkerError: The first process did not come to work.
    """
    with joined(places) as ray:
        _require_room(ray, places)
        lines = ray.remote(_Lines).options(num_cpus=0).remote()
        kind = ray.remote(_Process).options(**places.options())
        actors = [kind.remote(Path.cwd()) for _ in range(places.workers)]
        try:
            try:
                meeting = ray.get(actors[0].meeting.remote(places.workers))
            except ray.exceptions.RayError as error:
                raise WorkerError(f"process 1 of {places.workers} on Ray: {first_line(error)}") from error
            at_work = {
                actor.work.remote(
                    meeting.environment(rank, is_apart=True), work, None if rank else lines
                ): rank
                for rank, actor in enumerate(actors)
            }
            try:
                yield _answers(ray, at_work, lines, tell)
            except Exception:
                if at_work:
                    ray.wait(list(at_work), num_returns=len(at_work), timeout=TIME_TO_TIDY)
                raise
        finally:
            for actor in [*actors, lines]:
                ray.kill(actor)


def _answers(
    ray: Any, at_work: dict[Any, int], lines: Any, tell: Callable[[str], None]
) -> Iterator[tuple[int, Answer]]:
    size = len(at_work)
    while at_work:
        ready, _ = ray.wait(list(at_work), timeout=_LOOK)
        for line in ray.get(lines.take.remote()):
            tell(line)
        for one in ready:
            rank = at_work.pop(one)
            try:
                answer: Answer = ray.get(one)
            except ray.exceptions.RayError as error:
                died = WorkerError(f"process {rank + 1} of {size} on Ray: {first_line(error)}")
                answer = Answer(error=died)
            yield rank, answer


def _require_room(ray: Any, places: RayPlaces) -> None:
    there = ray.cluster_resources()
    for name, each in (("CPU", places.cpus), ("GPU", places.gpus)):
        if places.workers * each > there.get(name, 0):
            raise UsageError(
                f"--ray {places.address}: {places.workers} workers, which work at once, take "
                f"{places.workers * each:g} {name}s; the cluster has {there.get(name, 0):g}"
            )
