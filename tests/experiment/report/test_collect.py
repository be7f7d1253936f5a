"""From a folder of arms to one record: hand-worked numbers, and what is refused."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from lm_eval.api.metrics import pooled_sample_stderr
from scipy import stats

from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.collect import collect
from sae_merge_method.experiment.report.measure import general_loss
from tests.evaluations import answers, standard_error
from tests.experiment.report.folders import (
    ALGEBRA,
    BASE,
    GEOMETRY,
    PICK,
    PROBLEMS,
    Laid,
    collected,
    general,
    lay_out,
)


def test_every_arm_stands_beside_the_base(tmp_path: Path) -> None:
    found = collected(tmp_path, [BASE, PICK])
    base, pick = found.arms
    assert (base.overall.score, base.overall.delta, base.overall.paper_z) == (30 / 150, None, None)
    assert [score.score for score in pick.subjects] == [0.45, 0.30]
    assert pick.subjects[0].delta == pytest.approx(0.25)
    by_hand = 0.25 / math.sqrt(0.45 * 0.55 / 99 + 0.2 * 0.8 / 99)
    assert pick.subjects[0].paper_z == pytest.approx(by_hand)
    assert pick.share == 2.0 / 8.0
    assert found.metric == "exact_match,none"


def test_without_a_group_the_overall_error_is_lm_evals_for_a_group(tmp_path: Path) -> None:
    base, pick = collected(tmp_path, [BASE, PICK]).arms
    errors = {
        arm.name: pooled_sample_stderr([score.stderr for score in arm.subjects], [*PROBLEMS.values()])
        for arm in (base, pick)
    }
    assert pick.overall.stderr == pytest.approx(errors["stethoscope"])
    assert pick.overall.score == 60 / 150
    z = (60 - 30) / 150 / math.hypot(*errors.values())
    assert pick.overall.paper_z == pytest.approx(z)
    assert pick.overall.p == pytest.approx(2 * stats.norm.sf(z))


def group(score: float, stderr: float, members: list[str]) -> dict[str, object]:
    counts = {ALGEBRA: (20, 100), GEOMETRY: (10, 50)}
    rows = {
        task: {
            "sample_len": n,
            "exact_match,none": right / n,
            "exact_match_stderr,none": standard_error(right, n),
        }
        for task, (right, n) in counts.items()
    }
    whole = {"exact_match,none": score, "exact_match_stderr,none": stderr}
    return {"results": {**rows, "maths": whole}, "group_subtasks": {"maths": members}}


@pytest.mark.parametrize(("members", "task"), [([ALGEBRA, GEOMETRY], "maths"), ([ALGEBRA], "all tasks")])
def test_a_group_that_covers_all_tasks_gives_the_overall_score(
    tmp_path: Path, members: list[str], task: str
) -> None:
    arms = [replace(arm, changes=group(0.5, 0.01, members)) for arm in (BASE, PICK)]
    base = collected(tmp_path, arms).arms[0].overall
    assert base.task == task
    assert base.score == (0.5 if task == "maths" else 30 / 150)


def test_subjects_are_corrected_by_holm(tmp_path: Path) -> None:
    small, large = sorted(collected(tmp_path, [BASE, PICK]).arms[1].subjects, key=lambda score: score.p or 0)
    assert small.p is not None
    assert small.p_adjusted == pytest.approx(2 * small.p)
    assert large.p_adjusted == pytest.approx(large.p)


def test_damage_is_a_ratio_over_documents_paired_with_themselves() -> None:
    # d = 1 and 3 over 20 tokens: delta 0.2; residuals -1 and 1: variance 2/1 * 2 / 20^2 = 0.1^2.
    found = general_loss(general([10, 20]), general([11, 23]))
    assert found.nats == pytest.approx(34 / 20)
    assert (found.delta, found.stderr, found.t) == (pytest.approx(0.2), pytest.approx(0.1), pytest.approx(2))


def test_documents_of_equal_length_give_the_paired_t_statistic() -> None:
    rng = random.Random(0)
    base = [rng.gauss(20, 5) for _ in range(40)]
    edited = [nats + rng.gauss(0.3, 1) for nats in base]
    expected = stats.ttest_rel(edited, base).statistic
    assert general_loss(general(base), general(edited)).t == pytest.approx(expected)


def test_long_documents_weigh_more() -> None:
    found = general_loss(general([1, 1], [1, 99]), general([1, 100], [1, 99]))
    assert found.delta == pytest.approx(99 / 100)


@pytest.mark.parametrize("nats", [[12.0], [11.0, 11.0]])
def test_damage_has_no_t_without_anything_to_measure_it_with(nats: list[float]) -> None:
    found = general_loss(general([10.0] * len(nats)), general(nats))
    assert found.delta is not None
    assert (found.stderr, found.df, found.t, found.p) == (None, None, None, None)


def test_a_donor_with_another_tokenizer_has_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arms = [
        replace(BASE, nats=[1, 2]),
        replace(PICK, nats=[1, 3]),
        Laid("donor", (60, 30), nats=[1, 3], tokens=[9, 9]),
    ]
    assert [arm.general is None for arm in collected(tmp_path, arms).arms] == [False, False, True]
    assert "donor has another tokenizer" in caplog.text


def test_arms_that_are_not_done_are_missing(tmp_path: Path) -> None:
    found = collected(tmp_path, [BASE, replace(PICK, done=False), Laid("scalpel", (20, 10))])
    assert found.missing == ("stethoscope",)
    assert [arm.name for arm in found.arms] == ["base", "scalpel"]
    assert found.matched_sets is None


def test_without_the_base_there_is_no_report(tmp_path: Path) -> None:
    lay_out(tmp_path, [replace(BASE, done=False), PICK])
    with pytest.raises(ArtifactError, match=r"expected the base to be done .*/arms/base"):
        collect(tmp_path)


def cut(file: Path) -> None:
    file.write_text(file.read_text()[:40])


def rename(file: Path) -> None:
    file.write_text(file.read_text().replace('"stethoscope"', '"another"'))


def shorten(file: Path) -> None:
    value = json.loads(file.read_text())
    value["general"]["tokens"].pop()
    file.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [("arm.json", cut), ("arm.json", rename), ("arm.json", shorten), ("results/*/results_*.json", cut),
     ("results/*/results_*.json", Path.unlink)],
)  # fmt: skip
def test_a_damaged_arm_is_named(tmp_path: Path, pattern: str, damage: object) -> None:
    lay_out(tmp_path, [replace(BASE, nats=[1, 2]), replace(PICK, nats=[1, 3])])
    (file,) = (tmp_path / "arms" / "stethoscope").glob(pattern)
    assert callable(damage)
    damage(file)
    with pytest.raises(ArtifactError, match=r"arms/stethoscope/(arm\.json|results)"):
        collect(tmp_path)


def test_a_metric_that_runs_in_opposite_directions_is_no_score_of_all_tasks(tmp_path: Path) -> None:
    up = {"higher_is_better": {ALGEBRA: {"exact_match": True}, GEOMETRY: {"exact_match": False}}}
    lay_out(tmp_path, [replace(BASE, changes=up), replace(PICK, changes=up)])
    with pytest.raises(
        ArtifactError, match="rises or falls in every task for the better, got exact_match,none"
    ):
        collect(tmp_path)


def test_losses_on_another_corpus_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, [replace(BASE, nats=[1, 2]), replace(PICK, nats=[1, 2, 3])])
    with pytest.raises(
        ArtifactError, match=r"stethoscope/arm\.json: general loss of prose\.jsonl \(3 documents"
    ):
        collect(tmp_path)


def test_an_arm_that_was_asked_otherwise_is_shown_and_concludes_nothing(tmp_path: Path) -> None:
    other = {"chat_template_sha": "f" * 64}
    found = collected(tmp_path, [BASE, replace(PICK, changes=other), Laid("scalpel", (20, 10))])
    assert found.arms[1].mismatches[0].startswith("chat template: none and ffff")
    assert {one.answer for one in found.conclusions if "stethoscope" in one.evidence} == {"not tested"}


def test_logged_problems_are_compared_too(tmp_path: Path) -> None:
    lay_out(tmp_path, [BASE, PICK])
    for arm, target in (("base", "4"), ("stethoscope", "5")):
        (file,) = (tmp_path / "arms" / arm).glob("results/*/results_*.json")
        right = round(100 * json.loads(file.read_text())["results"][ALGEBRA]["exact_match,none"])
        rows = answers([1] * right + [0] * (100 - right), target_hash=target)
        samples = file.parent / file.name.replace("results_", f"samples_{ALGEBRA}_").replace(
            ".json", ".jsonl"
        )
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert collect(tmp_path).arms[1].mismatches == (
        f"{ALGEBRA}: 100 problems have another target on the other side",
    )


def test_a_metric_where_lower_is_better_turns_the_gain_round(tmp_path: Path) -> None:
    down = {"higher_is_better": {task: {"exact_match": False} for task in PROBLEMS}}
    arms = [replace(arm, changes=down) for arm in (BASE, PICK, Laid("scalpel", (10, 5)))]
    found = collected(tmp_path, arms)
    assert not found.higher_is_better
    assert found.arms[1].overall.verdict == "degraded"
    assert [one.answer for one in found.conclusions[:2]] == ["no", "no"]
