"""Killed, interrupted, robbed of a worker: an arm is done or not begun, and the same command goes on."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiment_runs.ground import (
    ARMS,
    SETTINGS,
    command,
    environment,
    outcome,
    sae_merge,
    stamps,
    write_settings,
)

RUN = ("experiment", "run", "experiment.yml", "--out", "exp")


@pytest.fixture(scope="module")
def whole(field):
    """The same experiment, undisturbed, by one worker."""
    write_settings(field)
    result = sae_merge(field, *RUN)
    assert result.returncode == 0, result.stderr
    return outcome(field / "exp")


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*RUN, *words), cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        # Background jobs of a shell inherit interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(what: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while not what():
        assert running.poll() is None and time.monotonic() < end, running.communicate()
        time.sleep(0.02)


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")


def workers(process: int) -> list[int]:
    return [child for child in children(process) if "spawn_main" in command_line(child)]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_killed_between_arms_it_goes_on_to_the_same_bytes(fresh, whole):
    write_settings(fresh)
    running = start(fresh, "--workers", "2")
    first = fresh / "exp" / "arms" / "base" / "arm.json"
    wait_for(first.exists, running)
    left = workers(running.pid)
    running.kill()
    running.communicate()
    assert left
    end = time.monotonic() + 20
    while any(map(alive, left)):
        assert time.monotonic() < end, "a worker outlived the run it worked for"
        time.sleep(0.05)
    assert not (fresh / "exp" / "experiment.json").exists()
    when = stamps(fresh / "exp" / "arms" / "base")
    again = sae_merge(fresh, *RUN)
    assert again.returncode == 0, again.stderr
    assert stamps(fresh / "exp" / "arms" / "base") == when
    assert outcome(fresh / "exp") == whole
    assert not (fresh / "exp" / "merged").exists()


def test_interrupted_at_the_terminal_it_ends_at_once_and_says_so(fresh):
    write_settings(fresh)
    running = start(fresh)
    wait_for(lambda: (fresh / "exp" / "logs").exists() and bool(workers(running.pid)), running)
    left = workers(running.pid)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "Error: interrupted" and "Traceback" not in said
    assert not any(map(alive, left))


def test_a_killed_worker_costs_its_own_arm_alone(fresh, whole):
    write_settings(fresh)
    running = start(fresh)
    wait_for((fresh / "exp" / "arms" / "base" / "arm.json").exists, running)
    (worker,) = workers(running.pid)
    os.kill(worker, signal.SIGKILL)
    _, said = running.communicate(timeout=200)
    assert running.returncode == 1
    assert "its worker ended with SIGKILL" in said and "Traceback" not in said
    report = json.loads((fresh / "exp" / "experiment.json").read_text())
    assert len(report["missing"]) == 1 and report["missing"][0] in ARMS[1:]
    assert len(report["arms"]) == len(ARMS) - 1
    again = sae_merge(fresh, *RUN)
    assert again.returncode == 0, again.stderr
    assert outcome(fresh / "exp") == whole


def test_an_arm_made_from_other_things_is_refused_and_run_again_only_where_told(fresh):
    write_settings(fresh, arms=[], general_loss=None)
    assert sae_merge(fresh, *RUN).returncode == 0
    before = stamps(fresh / "exp")
    fewer = SETTINGS["evaluation"] | {"limit": 1}
    write_settings(fresh, arms=[], general_loss=None, evaluation=fewer)
    refused = sae_merge(fresh, *RUN)
    assert refused.returncode == 2 and "evaluation differ" in refused.stderr
    assert stamps(fresh / "exp") == before
    # A run that was told, and ends before its first arm, leaves no arm of the old settings to report.
    unknown = sae_merge(fresh, *RUN, "--overwrite", "--ray", "127.0.0.1:1")
    assert unknown.returncode == 2 and not list((fresh / "exp").glob("arms/*/arm.json"))
    told = sae_merge(fresh, *RUN, "--overwrite")
    assert told.returncode == 0, told.stderr
    report = json.loads((fresh / "exp" / "experiment.json").read_text())
    assert {arm["overall"]["n"] for arm in report["arms"]} == {7}


def test_a_task_that_lm_eval_does_not_know_ends_the_run_before_the_first_arm(fresh):
    write_settings(fresh, evaluation={"tasks": ["minerva_math_say"], "device": "cpu"})
    result = sae_merge(fresh, *RUN)
    assert result.returncode == 2
    assert "lm-eval knows no minerva_math_say" in result.stderr and "Traceback" not in result.stderr
