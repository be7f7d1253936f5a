"""Commands of a trial, run side by side as soon as what they need stands; what stands is not made again.

Every command line is printed and kept with the time it took, the processor's time beside it: on a busy
machine only the latter says what a stage costs. What the commands are is for :mod:`trials.stages`.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.schema import Record
from trials.folder import TIMINGS


@dataclass(frozen=True)
class Job:
    """One command."""

    stage: str
    """Of which stage it is."""
    name: str
    """Its own name within the stage; empty for the only one."""
    words: tuple[str, ...]
    """``sae-merge``, or ``python``, and what follows, to be run inside the trial's folder."""
    needs: tuple[str, ...]
    """Files and folders that must stand first, relative to the trial's folder."""
    is_done: Callable[[], bool]
    """Whether what it makes stands."""
    prepare: Callable[[], None] = lambda: None
    """Writes the files that the command reads."""

    @property
    def called(self) -> str:
        """Stage and name."""
        return f"{self.stage}-{self.name}" if self.name else self.stage

    @property
    def command(self) -> str:
        """As one would type it."""
        return shlex.join(self.words)


class Timing(Record):
    """What one command took."""

    stage: str
    """The stage."""
    name: str
    """The job's own name within the stage."""
    command: str
    """As one would type it inside the trial's folder."""
    seconds: float
    """By the clock on the wall."""
    cpu_seconds: float
    """Of all its threads and processes together."""
    cores: int
    """Cores of the machine."""
    load: float
    """Processes that wanted a core when it ended, over the minute before: more than the cores for a busy
    machine."""
    code: int
    """Exit code."""


def run_jobs(root: Path, jobs: Sequence[Job], workers: int, tell: Callable[[str], None]) -> list[Job]:
    """Run all jobs that are not done, so many at a time, each with its share of the cores.

    One that nothing can run beside has all of them. A job whose needs come to stand while others run is run
    after them. One that fails is told and not tried again; one that is not done although it did not fail is
    run once more when all others are.

    Args:
        root: The trial's folder.
        jobs: In the order of their urgency.
        workers: How many at a time.
        tell: Takes a line on how far it is.

    Returns:
        The jobs that did not come to be done.
    """
    waiting = [job for job in jobs if not job.is_done()]
    failed = _run_waiting(root, waiting, workers, tell)
    # What a job takes may have come to stand while it ran: a tuned edit, for an experiment's arms.
    again = [job for job in waiting if not job.is_done() and _has(root, job.needs) and job not in failed]
    _run_waiting(root, again, workers, tell)
    return [job for job in waiting if not job.is_done()]


def _run_waiting(
    root: Path, waiting: Sequence[Job], workers: int, tell: Callable[[str], None]
) -> Sequence[Job]:
    """Run every job once, as soon as its needs stand, and return those that failed."""
    tried, failed = set[str](), list[Job]()
    running: dict[Future[Timing], Job] = {}
    with ThreadPoolExecutor(workers) as pool:
        while True:
            ready = [job for job in waiting if job.called not in tried and _has(root, job.needs)]
            threads = max(1, (os.cpu_count() or 1) // max(1, min(workers, len(running) + len(ready))))
            for job in ready[: workers - len(running)]:
                tried.add(job.called)
                job.prepare()
                tell(f"$ {job.command}")
                running[pool.submit(_run, root, job, threads)] = job
            if not running:
                return failed
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job, took = running.pop(future), future.result()
                keep_timing(root, took)
                tell(_told(root, job, took))
                if took.code:
                    failed.append(job)


def _has(root: Path, needs: Iterable[str]) -> bool:
    return all((root / need).exists() for need in needs)


def _told(root: Path, job: Job, took: Timing) -> str:
    line = f"{job.called}: {took.seconds:.0f} s, {took.cpu_seconds:.0f} s of processor time"
    return line if took.code == 0 else f"{line}; FAILED ({took.code}), see {_log(root, job)}"


def _log(root: Path, job: Job) -> Path:
    return root / "logs" / f"{job.called}.log"


def _run(root: Path, job: Job, threads: int) -> Timing:
    script = Path(sys.executable).with_name(job.words[0])
    log = _log(root, job)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str((root / ".datasets").resolve()),
        "PYTHONPATH": str(Path(__file__).parents[1]),  # where this package lies, for commands of its own
    }
    start = time.perf_counter()
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {job.command}\n")
        stream.flush()
        process = subprocess.Popen(
            [str(script), *job.words[1:]], cwd=root, env=environment, stdout=stream, stderr=stream
        )
        # The processor's time of this one child and of its own, which subprocess does not tell.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Timing(
        stage=job.stage,
        name=job.name,
        command=job.command,
        seconds=time.perf_counter() - start,
        cpu_seconds=used.ru_utime + used.ru_stime,
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        code=process.returncode,
    )


def keep_timing(root: Path, timing: Timing) -> None:
    """Add a line to what is kept."""
    with (root / TIMINGS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(timing.model_dump(), sort_keys=True) + "\n")


def read_timings(root: Path) -> list[Timing]:
    """All commands that were run, in the order in which they ended."""
    file = root / TIMINGS
    if not file.is_file():
        return []
    return [Timing.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]
