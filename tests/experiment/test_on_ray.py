"""The same experiment on Ray: two local workers, the same report."""

import subprocess

from sae_merge_method.errors import UsageError
from tests.experiment.ground import RUN, command, environment, outcome, undo_arms, write_settings

ON_A_BUSY_MACHINE = {
    "RAY_memory_monitor_refresh_ms": "0",  # else Ray ends workers where others have taken the memory
    "RAY_worker_register_timeout_seconds": "1000",
    "RAY_health_check_failure_threshold": "1000",
}


def test_two_ray_workers_come_to_what_processes_come_to(copied, finished, warm_python):
    undo_arms(copied, "base", "scalpel")
    words = command(warm_python, *RUN, "--ray", "local", "--workers", "2")
    environ = environment(copied) | ON_A_BUSY_MACHINE
    result = subprocess.run(words, cwd=copied, env=environ, capture_output=True, text=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
    assert outcome(copied / "exp") == outcome(finished.out)
    assert all(f"{arm}: done" in result.stderr for arm in ("base", "scalpel"))


def test_a_cluster_that_is_not_there_is_named(copied, sae_merge_experiment):
    write_settings(copied, arms=["scalpel", "scalpel-random"])
    result = sae_merge_experiment("run", "--ray", "127.0.0.1:1")
    assert isinstance(result.exception, UsageError)
    assert "--ray 127.0.0.1:1: no cluster to join" in str(result.exception)
