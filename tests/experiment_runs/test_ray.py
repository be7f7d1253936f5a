"""The same experiment on Ray: two local workers, the same report."""

import json

from sae_merge_method.artifacts.experiment import read_experiment
from tests.experiment_runs.ground import sae_merge, write_settings


def test_two_ray_workers_come_to_what_a_process_comes_to(field):
    write_settings(field, arms=["scalpel"])
    for out, words in (("exp-ray", ("--ray", "local", "--workers", "2")), ("exp-here", ())):
        result = sae_merge(field, "experiment", "run", "experiment.yml", "--out", out, *words)
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
    one, other = (read_experiment(field / out) for out in ("exp-ray", "exp-here"))
    assert [arm.name for arm in one.arms] == ["base", "stethoscope", "scalpel"]
    assert one == other
    assert json.loads((field / "exp-ray" / "arms" / "scalpel" / "arm.json").read_text())["result_sha256"]


def test_a_cluster_that_is_not_there_is_named(field):
    write_settings(field)
    words = ("experiment", "run", "experiment.yml", "--out", "exp-nowhere", "--ray", "127.0.0.1:1")
    result = sae_merge(field, *words)
    assert result.returncode == 2
    assert "--ray 127.0.0.1:1: no cluster to join" in result.stderr and "Traceback" not in result.stderr
