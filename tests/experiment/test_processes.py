"""Killed, interrupted, robbed of a worker: an arm is done or not begun, and the same command goes on."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.experiment import run
from sae_merge_method.experiment.run import run_experiment
from sae_merge_method.experiment.settings import RunSettings
from sae_merge_method.experiment.worker import ArmJob, ArmRunner, Outcome, Setup
from tests.experiment.ground import RUN, command, environment, outcome, stamps, undo_arms
from tests.warm import process_behind

HERE = RunSettings(workers=0)


def start(folder: Path, python: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(python, *RUN), cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        # Background jobs of a shell inherit interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(what: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    while not what():
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")


def workers(running: "subprocess.Popen[str]") -> list[int]:
    return [child for child in children(process_behind(running)) if "spawn_main" in command_line(child)]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_killed_between_arms_it_goes_on_to_the_same_bytes(copied, finished, warm_python):
    undo_arms(copied, "base", "scalpel")
    running = start(copied, warm_python)
    first = copied / "exp" / "arms" / "base" / "arm.json"
    wait_for(first.exists, running)
    left = workers(running)
    running.kill()
    running.communicate()
    assert left
    while any(map(alive, left)):  # without end, if a worker outlived the run it worked for
        time.sleep(0.05)
    assert not (copied / "exp" / "experiment.json").exists()
    when = stamps(copied / "exp" / "arms" / "base")
    run_experiment("experiment.yml", "exp", HERE)
    assert stamps(copied / "exp" / "arms" / "base") == when
    assert outcome(copied / "exp") == outcome(finished.out)
    assert not (copied / "exp" / "merged").exists()


def test_interrupted_at_the_terminal_it_ends_and_says_so(copied, warm_python):
    undo_arms(copied, "base")
    running = start(copied, warm_python)
    wait_for(lambda: (copied / "exp" / "logs").exists() and bool(workers(running)), running)
    left = workers(running)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130
    assert said.splitlines()[-1] == "Error: interrupted" and "Traceback" not in said
    assert not any(map(alive, left))


def test_a_killed_worker_costs_its_own_arm_alone(copied, warm_python):
    undo_arms(copied, "base", "scalpel", "mine")
    running = start(copied, warm_python)
    log = copied / "exp" / "logs" / "worker-0.log"
    wait_for(lambda: log.exists() and log.read_text().count(": arm ") == 2, running)
    (worker,) = workers(running)
    os.kill(worker, signal.SIGKILL)
    _, said = running.communicate()
    assert running.returncode == 1
    assert "its worker ended with SIGKILL" in said and "Traceback" not in said
    report = read_experiment(copied / "exp")
    assert len(report.arms) == 5 and report.missing in (("scalpel",), ("mine",))
    assert not run_experiment("experiment.yml", "exp", HERE).missing


def test_a_worker_lost_after_its_record_was_written_costs_nothing(copied, monkeypatch):
    undo_arms(copied, "mine")

    def losing(setup: Setup, jobs: Sequence[ArmJob]) -> Generator[Outcome, None, None]:
        here = ArmRunner(setup)
        for job in jobs:
            assert here.run(job).error is None
            yield Outcome(job.arm.name, "its worker ended with SIGKILL")

    monkeypatch.setattr(run, "choose_runner", lambda _: losing)
    assert not run_experiment("experiment.yml", "exp", HERE).missing
