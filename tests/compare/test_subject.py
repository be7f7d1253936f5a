"""One subject: which test gives its verdict, and what correction takes away."""

from pathlib import Path

import pytest

from tests.compare.conftest import compared
from tests.evaluations import ALGEBRA, BARELY, BASE, BETTER, NUM_THEORY, Write, answers, results, scored


def test_the_chosen_test_gives_z_p_and_verdict(logged: tuple[Path, Path]) -> None:
    by_test = {test: compared(*logged, test=test).subjects[0] for test in ("lm_eval", "mcnemar", "paired_z")}
    paired = by_test["lm_eval"].paired
    assert paired is not None
    # Two accuracies alone do not show what the same problems, paired, do.
    assert by_test["lm_eval"].verdict == "not shown"
    assert by_test["mcnemar"].verdict == by_test["paired_z"].verdict == "improved"
    assert (by_test["mcnemar"].z, by_test["mcnemar"].p) == (None, paired.mcnemar_p)
    assert (by_test["paired_z"].z, by_test["paired_z"].p) == (paired.z, paired.p)


def test_a_paired_test_without_samples_says_what_it_needs(write: Write) -> None:
    out = write("base", results({NUM_THEORY: (16, 54)}))
    for test in ("mcnemar", "paired_z"):
        assert "--log_samples" in str(compared(out, out, test=test).subjects[0].reason)


def test_graded_scores_are_paired_but_have_no_flips(write: Write) -> None:
    scores = [0.25, 0.5, 0.75, 1.0]
    file = results({NUM_THEORY: (5, 8)})
    file["results"][NUM_THEORY].update({"exact_match,none": 0.625, "sample_len": 4})
    file["n-samples"][NUM_THEORY] = {"original": 4, "effective": 4}
    out = write("base", file, samples={NUM_THEORY: answers(scores)})
    paired = compared(out, out).subjects[0].paired
    assert paired is not None
    assert paired.mcnemar_p is paired.newly_right is None
    assert "0 or 1" in str(compared(out, out, test="mcnemar").subjects[0].reason)


def test_without_draws_there_is_no_bootstrap_interval(logged: tuple[Path, Path]) -> None:
    paired = compared(*logged, draws=0).subjects[0].paired
    assert paired is not None
    assert paired.low is paired.high is None
    assert paired.p is not None


def test_the_pooled_test_is_there_for_problems_right_or_wrong(write: Write) -> None:
    paths = write("base", results(BASE)), write("edited", results(BETTER))
    assert compared(*paths, test="pooled").subjects[1].z == pytest.approx(3.39, abs=0.005)


def test_alpha_decides_what_counts(write: Write) -> None:
    paths = write("base", results(BASE)), write("edited", results(BETTER))
    assert compared(*paths, alpha=0.0001).counts["not shown"] == 2
    assert compared(*paths).counts == {
        "improved": 1,
        "degraded": 0,
        "equivalent": 0,
        "not shown": 1,
        "not tested": 0,
    }


def test_correction_stands_beside_the_raw_p_and_marks_what_it_takes_away(write: Write) -> None:
    paths = write("base", results(BASE)), write("edited", results(BARELY))
    comparison = compared(*paths)
    row = comparison.subjects[1]
    assert row.p is not None and row.p_adjusted is not None
    assert row.p < 0.05 < row.p_adjusted == pytest.approx(2 * row.p)
    assert (row.verdict, row.holds) == ("improved", False)
    assert comparison.standing("improved") == ()
    assert "improved, not by Holm" in str(comparison)
    uncorrected = compared(*paths, correction="none")
    assert uncorrected.subjects[1].holds is True
    assert uncorrected.standing("improved") == (uncorrected.subjects[1],)
    assert "p Holm" not in str(uncorrected)


def test_subjects_without_a_p_take_no_part_in_the_correction(write: Write) -> None:
    paths = [write(name, results({**counts, "one": (1, 1)})) for name, counts in (("a", BASE), ("b", BARELY))]
    subjects = {subject.task: subject for subject in compared(paths[0], paths[1]).subjects}
    assert (subjects["one"].verdict, subjects["one"].p_adjusted, subjects["one"].holds) == (
        "not tested",
        None,
        False,
    )
    assert subjects[NUM_THEORY].p_adjusted == pytest.approx(2 * (subjects[NUM_THEORY].p or 0))


def test_a_metric_that_should_fall_is_judged_the_other_way_round(write: Write) -> None:
    base, edited = (
        write(name, scored("perplexity", {"wiki": value}, higher_is_better=False))
        for name, value in (("base", 12.0), ("edited", 10.0))
    )
    subject = compared(base, edited, metric="perplexity").subjects[0]
    assert (subject.verdict, subject.delta, subject.higher_is_better) == ("improved", -2.0, False)


def test_a_perplexity_that_rises_is_no_improvement_where_the_file_says_nothing_of_metrics(
    write: Write,
) -> None:
    files = [scored("word_perplexity", {"wiki": value}) for value in (10.0, 12.0)]
    for file in files:
        del file["higher_is_better"]  # as lm-eval 0.4.2 wrote it
    paths = [write(name, file) for name, file in zip(("base", "edited"), files, strict=True)]
    subject = compared(*paths, metric="word_perplexity").subjects[0]
    assert (subject.verdict, subject.higher_is_better) == ("degraded", False)


def test_intervals_and_detectable_difference_are_of_the_scores(write: Write) -> None:
    paths = write("base", results({ALGEBRA: (0, 9)})), write("edited", results({ALGEBRA: (9, 9)}))
    subject = compared(*paths).subjects[0]
    assert subject.base_interval is not None and subject.edited_interval is not None
    assert (subject.base_interval[0], subject.edited_interval[1]) == (0.0, 1.0)
    assert subject.detectable is None  # no variance, nothing to detect a difference against
    graded = write("graded", scored("f1", {ALGEBRA: 0.5}))
    subject = compared(graded, graded, metric="f1").subjects[0]
    assert subject.base_interval is None
    assert subject.detectable == pytest.approx(0.01 * 2**0.5 * (1.959964 + 0.841621))
