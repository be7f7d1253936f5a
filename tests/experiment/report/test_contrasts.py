"""Claims on two arms: never more than the test."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiment.report.folders import (
    BASE,
    KEPT,
    NATS,
    PICK,
    Laid,
    collected,
    concluded,
    harmed,
    keeping,
)

RAW = "raw task vector beats its projection"
SPAN = "keeps more of the task vector"
UNHARMED = "general text is unharmed"


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
    found = concluded(tmp_path / "paper", arms, "improves", test="lm_eval")
    assert found.answer == "not tested"
    assert "zero variance on both sides" in found.evidence
    # An exact test needs no standard error.
    assert concluded(tmp_path / "exact", arms, "improves").answer == "yes"


def test_arms_that_answered_the_same_problems_are_compared_pairwise(tmp_path: Path) -> None:
    arms = [
        replace(arm, logged=True) for arm in (BASE, replace(PICK, right=(26, 12)), Laid("scalpel", (20, 10)))
    ]
    paired = concluded(tmp_path / "paired", arms, RAW)
    assert (paired.answer, paired.p) == ("yes", 2 / 2**8)
    assert paired.evidence.startswith("p 0.0078 (exact McNemar test, paired by problem): stethoscope 25.3%")
    assert "the paper's unpaired z +1.10, p 0.2721" in paired.evidence
    unpaired = concluded(tmp_path / "unpaired", [replace(arm, logged=False) for arm in arms], RAW)
    assert (unpaired.answer, "paper's" in unpaired.evidence) == ("not shown", False)
    asked = concluded(tmp_path / "asked", arms, RAW, test="paired_z")
    assert asked.evidence.startswith("z +2.9") and "paired by problem" in asked.evidence


def test_a_contrast_keeps_both_tests_and_what_it_could_detect(tmp_path: Path) -> None:
    arms = [replace(arm, logged=True) for arm in (BASE, PICK, Laid("scalpel", (20, 10)))]
    experiment = collected(tmp_path, arms)
    assert [(pair.one, pair.other) for pair in experiment.contrasts] == [
        ("stethoscope", "base"),
        ("stethoscope", "scalpel"),
    ]
    pair = experiment.contrast("stethoscope", "scalpel")
    assert pair is not None and pair == experiment.contrast("stethoscope", "base").model_copy(
        update={"other": "scalpel"}
    )
    assert (pair.test, pair.z, pair.p) == ("mcnemar", None, 2 / 2**30)
    assert pair.delta == 30 / 150 and pair.paper_z == pytest.approx(3.87, abs=0.005)
    assert pair.interval is not None and pair.interval[0] < pair.delta < pair.interval[1]
    assert experiment.contrast("scalpel", "stethoscope") is None


def test_the_edits_subjects_are_counted_after_holm(tmp_path: Path) -> None:
    found = concluded(tmp_path, [BASE, replace(PICK, right=(50, 1))], "improves")
    assert found.answer == "yes"
    assert "of 2 subjects 1 better and 1 worse after Holm" in found.evidence


@pytest.mark.parametrize(
    ("kept", "t", "p", "answer"),
    [(0.03, -0.9, 0.4, "not shown"), (0.05, 17.0, 1e-12, "yes"), (0.02, -10.0, 1e-9, "no")],
)
def test_the_span_is_held_against_other_features_of_the_same_sae(
    tmp_path: Path, kept: float, t: float, p: float, answer: str
) -> None:
    found = concluded(tmp_path, [BASE, PICK], SPAN, projection=keeping(kept, t, p))
    assert found.answer == answer
    assert f"keeps {kept:.2%}" in found.evidence and "rank keeps 3.10% on average" in found.evidence
    assert "other features of the same SAE keep 3.10% on average" in found.evidence
    assert ("says nothing about these" in found.evidence) == (answer == "not shown")


def test_random_subspaces_alone_say_nothing_of_the_features(tmp_path: Path) -> None:
    alone = KEPT.model_copy(update={"others": None, "kept": 0.5})
    found = concluded(tmp_path, [BASE, PICK], SPAN, projection=alone)
    assert found.answer == "not tested" and "no other features" in found.evidence


def test_without_a_projection_nothing_is_said_of_the_span(tmp_path: Path) -> None:
    assert concluded(tmp_path, [BASE, PICK], SPAN, projection=None).answer == "not tested"


@pytest.mark.parametrize(
    ("moved", "answer", "words"),
    [
        ((0.02, 0.03, -0.01, 0.0), "yes", "within 0.01 nats a token"),
        ((1, 2, 1, 2), "no", "above 0.01 nats a token"),
        ((1, -1, 0.5, -0.4), "not shown", "within 0.01 nats a token"),
        ((-1, -2, -1, -2), "not shown", "lower is no harm, but no proof"),
    ],
)
def test_general_text_is_unharmed_where_the_change_is_shown_to_be_within_the_margin(
    tmp_path: Path, moved: tuple[float, ...], answer: str, words: str
) -> None:
    nats = [before + change for before, change in zip(NATS, moved * 10, strict=True)]
    found = concluded(tmp_path, [replace(BASE, nats=NATS), replace(PICK, nats=nats)], UNHARMED)
    assert found.answer == answer
    assert words in found.evidence


def test_the_margin_is_the_experiments_own(tmp_path: Path) -> None:
    arms = [replace(BASE, nats=NATS), harmed(PICK, 0.3)]
    answers = {
        margin: concluded(tmp_path / str(margin), arms, UNHARMED, harm_margin=margin).answer
        for margin in (0.001, 0.033, 0.1)
    }
    assert answers == {0.001: "no", 0.033: "not shown", 0.1: "yes"}


def test_harm_is_not_tested_on_documents_too_few_for_their_skewness(tmp_path: Path) -> None:
    few = [
        replace(BASE, nats=NATS[:27]),
        replace(PICK, nats=[nats + 0.01 * (i % 2) for i, nats in enumerate(NATS[:27])]),
    ]
    found = concluded(tmp_path / "few", few, UNHARMED)
    assert (found.answer, found.p) == ("not tested", None)
    assert found.evidence.endswith(
        "over 27 documents, the changes of which have a skewness of 0.1: nothing is tested with fewer than 29"
    )
    one_of_forty = [nats + (2.0 if i == 7 else 0.0) for i, nats in enumerate(NATS)]
    found = concluded(
        tmp_path / "one", [replace(BASE, nats=NATS), replace(PICK, nats=one_of_forty)], UNHARMED
    )
    assert (found.answer, found.p) == ("not tested", None)
    assert found.evidence.endswith("a skewness of 6.1: nothing is tested with fewer than 954")


def test_a_few_documents_that_are_harmed_most_do_not_hide_that_all_are(tmp_path: Path) -> None:
    nats = [nats + (9.0 if i % 20 == 7 else 1.0) for i, nats in enumerate(NATS)]
    found = concluded(tmp_path, [replace(BASE, nats=NATS), replace(PICK, nats=nats)], UNHARMED)
    assert found.answer == "no" and "above 0.01 nats a token" in found.evidence


def test_without_a_corpus_nothing_is_said_of_harm(tmp_path: Path) -> None:
    for claim in (UNHARMED, "per damage"):
        found = concluded(tmp_path / claim[:3], [BASE, PICK], claim)
        assert (found.answer, found.evidence) == ("not tested", "no general corpus was given")
