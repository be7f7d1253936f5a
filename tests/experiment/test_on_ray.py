"""The same experiment on Ray: two local workers, the same report. And work that two actors do together."""

import subprocess

from sae_merge_method.errors import UsageError
from tests.experiment.ground import RUN, environment, outcome, undo_arms, write_settings

ON_A_BUSY_MACHINE = {
    "RAY_memory_monitor_refresh_ms": "0",  # else Ray ends workers where others have taken the memory
    "RAY_worker_register_timeout_seconds": "1000",
    "RAY_health_check_failure_threshold": "1000",
    "RAY_enable_worker_prestart": "0",  # else it starts a handful of workers that nobody asks for
    "RAY_prestart_worker_first_driver": "0",
}
TOGETHER_AND_THEN = """
import os
from functools import partial
from sae_merge_method.cli.main import main
from sae_merge_method.cli.output import show
from sae_merge_method.together.places import WorkerSettings
from sae_merge_method.together.ray_cluster import joined, places_on_ray
from sae_merge_method.together.run import run_together

asked = WorkerSettings(ray="local", workers=2)
with joined(places_on_ray(asked)):
    told = []
    first = run_together(partial(os.getenv, "RANK"), asked, partial(show, "begun", err=True), told.append)
    print(f"told: {', '.join(told)}; the first is {first}", flush=True)
    main()
"""
"""A cluster takes long to start: one is joined for all that is tried on it."""


def test_two_ray_workers_come_to_what_processes_come_to(copied, finished, warm_python):
    undo_arms(copied, "base", "scalpel")
    words = [str(warm_python), "-c", TOGETHER_AND_THEN, *RUN, "--ray", "local", "--workers", "2"]
    environ = environment(copied) | ON_A_BUSY_MACHINE
    result = subprocess.run(words, cwd=copied, env=environ, capture_output=True, text=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    shown, _, report = result.stdout.partition("\n")
    assert shown == "told: begun; the first is 0" and report
    assert outcome(copied / "exp") == outcome(finished.out)
    assert all(f"{arm}: done" in result.stderr for arm in ("base", "scalpel"))


def test_a_cluster_that_is_not_there_is_named(copied, sae_merge_experiment):
    write_settings(copied, arms=["scalpel", "scalpel-random"])
    result = sae_merge_experiment("run", "--ray", "127.0.0.1:1")
    assert isinstance(result.exception, UsageError)
    assert "--ray 127.0.0.1:1: no cluster to join" in str(result.exception)
