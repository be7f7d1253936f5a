"""The metric that arms are judged by, held against the results of a base that is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.errors import ComparisonError, UsageError
from sae_merge_method.experiment.metric import require_judging
from tests.experiment.report.folders import ALGEBRA, BASE, GEOMETRY, PICK, lay_out


def test_a_base_that_is_done_tells_what_its_tasks_did_not(tmp_path: Path) -> None:
    """Tasks written in Python list no metric in their YAML."""
    both_ways = {"higher_is_better": {ALGEBRA: {"exact_match": True}, GEOMETRY: {"exact_match": False}}}
    for name, changes in (("one", {}), ("both", both_ways)):
        lay_out(tmp_path / name, [replace(BASE, changes=changes), PICK])
    one, both = (read_results(tmp_path / name / "arms" / "base" / "results") for name in ("one", "both"))
    assert require_judging(one, "exact_match") == "exact_match,none"
    with pytest.raises(ComparisonError, match="has the metric acc"):
        require_judging(one, "acc")
    with pytest.raises(
        UsageError,
        match=f"rises or falls in every task for the better, got exact_match,none of which more is better in "
        f"{ALGEBRA}, and less in {GEOMETRY}",
    ):
        require_judging(both, "exact_match")
