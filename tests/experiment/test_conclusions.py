"""What the numbers support: never more than the test."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.experiment.report.claims import conclusion_lines
from tests.experiment.folders import BASE, KEPT, PICK, Laid, collected, concluded, sets_of_layers

RAW = "raw task vector beats its projection"
RANDOM = "beat random layers"
SPAN = "keeps more of the task vector"
UNHARMED = "general text is unharmed"
PER_DAMAGE = "per damage"
PREDICTS = "score predicts"
NATS = (20.0, 30.0, 25.0, 40.0)


@pytest.mark.parametrize(
    ("right", "answer", "z"),
    [((20, 10), "yes", "z +3.87"), ((45, 15), "not shown", "z +0.00"), ((70, 25), "no", "z -4.19")],
)
def test_raw_against_projected(tmp_path: Path, right: tuple[int, int], answer: str, z: str) -> None:
    found = concluded(tmp_path, [BASE, PICK, Laid("scalpel", right)], RAW)
    assert found.answer == answer
    assert found.evidence.startswith(z)


def test_exchanging_two_arms_turns_yes_into_no_and_the_z_around(tmp_path: Path) -> None:
    one = concluded(tmp_path / "one", [BASE, PICK, Laid("scalpel", (20, 10))], RAW)
    other = concluded(
        tmp_path / "other", [BASE, replace(PICK, right=(20, 10)), Laid("scalpel", PICK.right)], RAW
    )
    assert (one.answer, other.answer) == ("yes", "no")
    assert one.evidence.split(",")[0].replace("+", "-") == other.evidence.split(",")[0]


def test_an_arm_that_is_not_there_tests_nothing(tmp_path: Path) -> None:
    missing = concluded(tmp_path / "a", [BASE, PICK, Laid("scalpel", (20, 10), done=False)], RAW)
    assert (missing.answer, missing.evidence) == ("not tested", "the arm scalpel is not done")
    absent = concluded(tmp_path / "b", [BASE, PICK], RAW)
    assert (absent.answer, absent.evidence) == ("not tested", "there is no arm scalpel")


def test_a_control_with_the_picks_own_layers_tests_nothing(tmp_path: Path) -> None:
    arms = [BASE, PICK, Laid("largest-task-vector", (45, 15), PICK.layers)]
    found = concluded(tmp_path, arms, "moved most")
    assert (found.answer, found.evidence) == ("not tested", "largest-task-vector has the same layers")


def test_scores_that_do_not_vary_test_nothing(tmp_path: Path) -> None:
    arms = [replace(BASE, right=(0, 0)), replace(PICK, right=(100, 50))]
    assert concluded(tmp_path, arms, "improves").answer == "not tested"


def test_the_edits_subjects_are_counted_after_holm(tmp_path: Path) -> None:
    found = concluded(tmp_path, [BASE, replace(PICK, right=(50, 1))], "improves")
    assert found.answer == "yes"
    assert found.evidence.endswith("of 2 subjects 1 better and 1 worse after Holm")


@pytest.mark.parametrize(("kept", "answer"), [(0.03, "not shown"), (0.05, "yes"), (0.02, "no")])
def test_the_span_is_held_against_random_subspaces(tmp_path: Path, kept: float, answer: str) -> None:
    projection = KEPT.model_copy(update={"kept": kept})
    found = concluded(tmp_path, [BASE, PICK], SPAN, projection=projection)
    assert found.answer == answer
    assert f"keeps {kept:.2%}" in found.evidence and "chance (r/d) is 3.10%" in found.evidence
    assert ("says nothing about the features" in found.evidence) == (answer == "not shown")


def test_without_a_projection_nothing_is_said_of_the_span(tmp_path: Path) -> None:
    assert concluded(tmp_path, [BASE, PICK], SPAN, projection=None).answer == "not tested"


@pytest.mark.parametrize(
    ("others", "answer", "rank"),
    [
        ([30] * 24, "yes", "rank 1 of 25, one-sided p 0.0400"),
        ([30] * 12 + [60] * 12, "not shown", "rank 13 of 25, one-sided p 0.5200"),
        ([60] * 24, "no", "rank 25 of 25, one-sided p 1.0000"),
        ([50] * 24, "not shown", "rank 25 of 25, one-sided p 1.0000"),
        ([30] * 4, "not tested", "rank 1 of 5, one-sided p 0.2000"),
    ],
)
def test_the_pick_among_random_layers(tmp_path: Path, others: list[int], answer: str, rank: str) -> None:
    # 50 and 10 right is what the pick has too: as good is not worse.
    pick = replace(PICK, right=(50, 10))
    found = concluded(tmp_path, [BASE, pick, *sets_of_layers(others)], RANDOM)
    assert found.answer == answer
    assert found.evidence.startswith(rank)


@pytest.mark.parametrize(
    ("moved", "answer"),
    [((1, 2, 1, 2), "no"), ((-1, -2, -1, -2), "yes"), ((1, -1, 0.5, -0.4), "not shown")],
)
def test_general_text(tmp_path: Path, moved: tuple[float, ...], answer: str) -> None:
    nats = [before + change for before, change in zip(NATS, moved, strict=True)]
    found = concluded(tmp_path, [replace(BASE, nats=NATS), replace(PICK, nats=nats)], UNHARMED)
    assert found.answer == answer
    assert ("any change within that interval may be there" in found.evidence) == (answer == "not shown")


def test_without_a_corpus_nothing_is_said_of_harm(tmp_path: Path) -> None:
    for claim in (UNHARMED, PER_DAMAGE):
        found = concluded(tmp_path / claim[:3], [BASE, PICK], claim)
        assert (found.answer, found.evidence) == ("not tested", "no general corpus was given")


def harmed(arm: Laid, by: float) -> Laid:
    return replace(arm, nats=[nats + by * (1 + 0.1 * (i % 2)) for i, nats in enumerate(NATS)])


def test_gain_for_the_same_damage(tmp_path: Path) -> None:
    sets = [harmed(arm, 4) for arm in sets_of_layers([45] * 24)]
    base, pick = replace(BASE, nats=NATS), harmed(PICK, 1)
    assert concluded(tmp_path / "less", [base, pick, *sets], PER_DAMAGE).answer == "yes"
    assert concluded(tmp_path / "more", [base, harmed(PICK, 9), *sets], PER_DAMAGE).answer == "no"
    # Sets that gain at no measurable cost are better than any ratio.
    free = [replace(arm, nats=NATS) for arm in sets]
    assert concluded(tmp_path / "free", [base, pick, *free], PER_DAMAGE).answer == "no"


@pytest.mark.parametrize("moved", [(0, 0, 0, 0), (1, -1, 0.5, -0.4), (-1, -2, -1, -2)])
def test_without_measurable_damage_there_is_nothing_to_divide_by(
    tmp_path: Path, moved: tuple[float, ...]
) -> None:
    pick = replace(PICK, nats=[before + change for before, change in zip(NATS, moved, strict=True)])
    sets = [harmed(arm, 4) for arm in sets_of_layers([45] * 24)]
    found = concluded(tmp_path, [replace(BASE, nats=NATS), pick, *sets], PER_DAMAGE)
    assert found.answer == "not tested"
    assert found.evidence.startswith("the pick does no measurable damage")


@pytest.mark.parametrize(("slope", "answer"), [(2, "yes"), (-2, "no"), (0, "not tested")])
def test_the_score_and_what_single_layers_gain(tmp_path: Path, slope: int, answer: str) -> None:
    layers = [Laid(f"layer-{layer}", (30 + slope * layer, 10), (layer,)) for layer in range(8)]
    assert concluded(tmp_path, [BASE, PICK, *layers], PREDICTS).answer == answer


def test_four_layers_are_too_few_for_any_order_to_be_significant(tmp_path: Path) -> None:
    layers = [Laid(f"layer-{layer}", (30 + 2 * layer, 10), (layer,)) for layer in range(4)]
    found = concluded(tmp_path, [BASE, PICK, *layers], PREDICTS)
    assert found.answer == "not tested"
    assert found.evidence.endswith("with so few p cannot fall below 0.0833")


def test_without_single_layers_the_score_is_not_tested(tmp_path: Path) -> None:
    assert "--single-layers" in concluded(tmp_path, [BASE, PICK], PREDICTS).evidence


def test_one_experiment_never_speaks_for_others(tmp_path: Path) -> None:
    last = collected(tmp_path, [BASE, PICK]).conclusions[-1]
    assert (last.answer, last.claim) == ("not tested", "this holds for other models, donors, tasks and seeds")


def test_the_plans_level_decides(tmp_path: Path) -> None:
    arms = [BASE, PICK, Laid("scalpel", (28, 14))]
    answers = [concluded(tmp_path / str(alpha), arms, RAW, alpha=alpha).answer for alpha in (0.001, 0.05)]
    assert answers == ["not shown", "yes"]


def test_a_line_reads_as_claim_answer_numbers(tmp_path: Path) -> None:
    found = collected(tmp_path, [BASE, PICK, Laid("scalpel", (20, 10))])
    line = next(line for line in conclusion_lines(found) if RAW in line)
    assert line.startswith(f"the {RAW}: yes, z +3.87, p 0.0001")
