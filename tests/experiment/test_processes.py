"""Killed, interrupted, robbed of a worker: an arm is done or not begun, and the same command goes on."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.experiment import run
from sae_merge_method.experiment.run import run_experiment
from sae_merge_method.experiment.settings import RunSettings
from sae_merge_method.experiment.worker import ArmEnd, ArmJob, ArmRunner, Setup, Underway
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


def workers(running: "subprocess.Popen[str]") -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process_behind(running.pid)).children():
        with suppress(psutil.NoSuchProcess):
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return found


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_killed_between_arms_it_goes_on_to_the_same_bytes(copied, finished, warm_python):
    undo_arms(copied, "base", "scalpel")
    first, hold = copied / "exp" / "arms" / "base" / "arm.json", copied / "hold"
    hold.symlink_to(first)  # the arm after it comes to no end
    running = start(copied, warm_python)
    wait_for(first.exists, running)
    left = workers(running)
    running.kill()
    running.communicate()
    assert left
    while any(map(alive, left)):  # without end, if a worker outlived the run it worked for
        time.sleep(0.05)
    hold.unlink()
    assert not (copied / "exp" / "experiment.json").exists()
    when = stamps(copied / "exp" / "arms" / "base")
    run_experiment("experiment.yml", "exp", HERE)
    assert stamps(copied / "exp" / "arms" / "base") == when
    assert outcome(copied / "exp") == outcome(finished.out)
    assert not (copied / "exp" / "merged").exists()


def test_interrupted_at_the_terminal_it_ends_and_says_so(copied, warm_python):
    undo_arms(copied, "base")
    (copied / "hold").touch()
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
    hold = copied / "hold"
    hold.symlink_to(copied / "exp" / "arms" / "base" / "arm.json")
    running = start(copied, warm_python)
    log = copied / "exp" / "logs" / "worker-0.log"
    wait_for(lambda: log.exists() and log.read_text().count(": arm ") == 2, running)
    (worker,) = workers(running)
    os.kill(process_behind(worker.pid), signal.SIGKILL)
    hold.unlink()
    _, said = running.communicate()
    assert running.returncode == 1
    assert "its worker ended with SIGKILL" in said and "Traceback" not in said
    report = read_experiment(copied / "exp")
    assert len(report.arms) == 5 and report.missing in (("scalpel",), ("mine",))
    assert not run_experiment("experiment.yml", "exp", HERE).missing


def test_a_worker_lost_after_its_record_was_written_costs_nothing(copied, monkeypatch):
    undo_arms(copied, "mine")

    def losing(
        setup: Setup, jobs: Sequence[ArmJob], tell: Callable[[Underway], None]
    ) -> Generator[ArmEnd, None, None]:
        here = ArmRunner(setup, tell)
        for job in jobs:
            assert here.run(job).error is None
            yield ArmEnd(job.arm.name, "its worker ended with SIGKILL")

    monkeypatch.setattr(run, "choose_runner", lambda _: losing)
    assert not run_experiment("experiment.yml", "exp", HERE).missing
