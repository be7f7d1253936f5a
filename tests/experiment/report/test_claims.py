"""The table of claims, and what stands in a report of each."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from statsmodels.stats.multitest import multipletests

from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.cli.experiment import command
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.experiment.report.claims import CLAIMS, Claim, conclusion_lines, how_to_read
from sae_merge_method.experiment.report.contrasts import beats
from sae_merge_method.experiment.report.judged import Judged
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.report.tables import as_table
from sae_merge_method.experiment.report.write import report_experiment
from sae_merge_method.reports.numbers import p_value
from tests.experiment.report.folders import BASE, PICK, Laid, ahead, collected, concluded, lay_out

RAW = "raw task vector beats its projection"


def test_no_claim_takes_the_score_for_a_specificity_when_layers_may_be_chosen_by_another() -> None:
    assert not [claim.text for claim in CLAIMS.values() if "specific" in claim.text]


def test_one_experiment_never_speaks_for_others(tmp_path: Path) -> None:
    last = collected(tmp_path, [BASE, PICK]).conclusions[-1]
    assert (last.answer, last.claim) == ("not tested", "this holds for other models, donors, tasks and seeds")


def test_the_plans_level_decides(tmp_path: Path) -> None:
    arms = [BASE, PICK, Laid("scalpel", (26, 13))]
    answers = [concluded(tmp_path / str(alpha), arms, RAW, alpha=alpha).answer for alpha in (0.001, 0.05)]
    assert answers == ["not shown", "yes"]


def test_a_line_reads_as_claim_answer_numbers(tmp_path: Path) -> None:
    found = collected(tmp_path, [BASE, PICK, Laid("scalpel", (20, 10))])
    line = next(line for line in conclusion_lines(found) if RAW in line)
    assert line.startswith(f"the {RAW}: yes, z +3.87, p 0.0001")


def test_every_claim_takes_arms_that_there_are() -> None:
    assert {arm for claim in CLAIMS.values() for arm in claim.arms} <= ARMS.keys()


def test_an_arm_and_a_claim_of_one_s_own_are_in_help_plan_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = ArmKind("top-layers", "layers", "the far end: as many layers at the top", lambda ground: [(6, 7)])
    text = "the selected layers beat the top ones"
    monkeypatch.setitem(ARMS, arm.name, arm)
    monkeypatch.setitem(
        CLAIMS, "beats top", Claim(text, ("stethoscope", arm.name), beats("stethoscope", arm.name))
    )

    help_text = " ".join(CliRunner().invoke(command, ["--help"]).stdout.split())
    assert f"{arm.name} {arm.description}" in help_text
    assert f"{text} stethoscope, {arm.name}: problems are answered independently" in help_text

    lay_out(tmp_path, [BASE, PICK, Laid(arm.name, (20, 10), (6, 7))])
    terminal = as_table(report_experiment(tmp_path))
    assert ["top-layers", "6,", "7"] in [line.split()[:3] for line in terminal.splitlines()]
    assert f"- {text}: yes, z +3.87" in terminal
    markdown, page = ((tmp_path / f"experiment.{kind}").read_text() for kind in ("md", "html"))
    assert "| top-layers | 6, 7 |" in markdown and f"- {text}: **yes**, z +3.87" in markdown
    assert '<td class="text" data-value="top-layers">top-layers</td>' in page
    assert f'<span class="answer yes">yes</span><div><p>{text}</p>' in page

    plan = read_plan(tmp_path)
    printed = plan_table(ahead(plan))
    assert ["top-layers", "to", "do"] in [line.split()[:3] for line in printed.splitlines()]
    assert f"- {text}: p down to" in printed
    without = plan.model_copy(update={"arms": plan.arms[:2]})
    assert f"- {text}: takes top-layers" in plan_table(ahead(without))


def test_a_claim_of_one_s_own_may_look_at_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = Claim(
        "the edit is small", ("stethoscope",), lambda found: Judged(1, 1e-6, f"{found.arms[1].share:.0%}")
    )
    monkeypatch.setitem(CLAIMS, "small", cheap)
    found = concluded(tmp_path, [BASE, PICK], "edit is small")
    assert (found.answer, found.evidence) == ("yes", "25%; Holm p <0.0001")


def test_all_claims_that_were_tested_are_corrected_together_and_both_p_are_there(tmp_path: Path) -> None:
    arms = [BASE, PICK, Laid("scalpel", (28, 14)), Laid("all-layers", (60, 20), tuple(range(8)))]
    found = collected(tmp_path, arms)
    tested = [one for one in found.conclusions if one.p is not None and one.p_adjusted is not None]
    assert len(tested) == 4
    assert [one.p_adjusted for one in tested] == pytest.approx(
        multipletests([one.p for one in tested], method="holm")[1]
    )
    assert all(one.evidence.count(f"Holm p {p_value(one.p_adjusted)}") == 1 for one in tested)
    assert "4 that were tested are corrected together by Holm" in how_to_read(found)


def test_what_is_significant_alone_and_not_among_all_claims_is_not_shown(tmp_path: Path) -> None:
    arms = [
        BASE,
        replace(PICK, right=(40, 10)),
        Laid("scalpel", (25, 9)),
        Laid("depth-matched", (40, 10), (6, 7)),
    ]
    found = concluded(tmp_path, arms, RAW)
    assert found.p is not None and found.p_adjusted is not None
    assert found.p < 0.05 < found.p_adjusted
    assert found.answer == "not shown"


def test_every_claim_that_arms_can_tell_says_in_help_what_its_test_assumes() -> None:
    help_text = " ".join(CliRunner().invoke(command, ["--help"]).stdout.split())
    for claim in CLAIMS.values():
        assert bool(claim.assumes) == bool(claim.arms)
        assert f"{', '.join(claim.arms)}: {claim.assumes}" in help_text or not claim.arms
