"""What a reader is told beside the numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compare.conftest import AFTER, BEFORE, compared
from tests.evaluations import ALGEBRA, NUM_THEORY, Write, answers, results, standard_error


def with_verifier(exact: tuple[int, int], verified: tuple[int, int], answered: int) -> dict[str, Any]:
    run = results({NUM_THEORY: exact})
    run["results"][NUM_THEORY] |= {
        "math_verify,none": verified[0] / verified[1],
        "math_verify_stderr,none": standard_error(*verified),
        "answer_found,none": answered / exact[1],
    }
    return run


def test_format_learned_is_not_called_an_ability_learned(write: Write) -> None:
    base = write("base", with_verifier((160, 540), (250, 540), 270))
    drilled = write("drilled", with_verifier((213, 540), (252, 540), 540))
    comparison = compared(base, drilled)
    (note,) = (note for note in comparison.notes if "format" in note)
    assert note == (
        f"{NUM_THEORY}: format, not ability? exact_match moves by +9.8 points, math_verify by +0.4 (p 0.9030)."
    )
    assert "46.3% > 46.7%" in str(comparison)
    assert "50.0% > 0.0%" in str(comparison)
    taught = write("taught", with_verifier((213, 540), (310, 540), 540))
    assert not any("format" in note for note in compared(base, taught).notes)


def test_where_pairs_see_what_the_chosen_test_does_not_that_is_said(logged: tuple[Path, Path]) -> None:
    told = (
        f"{NUM_THEORY}: the tests disagree, p 0.0129 by the exact McNemar test, paired by problem, but 0.0625"
    )
    assert any(note.startswith(told) and "the paper's" in note for note in compared(*logged).notes)
    chosen = [note for note in compared(*logged, test="lm_eval").notes if "disagree" in note]
    assert chosen and chosen[0].endswith("but 0.0129 by the exact McNemar test, paired by problem.")
    assert not any("disagree" in note for note in compared(logged[0], logged[0]).notes)


def test_many_more_answers_that_were_found_are_said_once_over_all_problems(write: Write) -> None:
    base = write("base", with_verifier((20, 540), (20, 540), 19))
    edited = write("edited", with_verifier((213, 540), (310, 540), 405))
    (note,) = (note for note in compared(base, edited).notes if "final answer" in note)
    assert note.startswith(
        f"{NUM_THEORY}: a final answer was found to 3.5% of the problems before the edit and to 75.0%"
    )
    nearly = write("nearly", with_verifier((213, 540), (310, 540), 40))
    assert not any("final answer" in note for note in compared(base, nearly).notes)


def both_metrics(write: Write, name: str, exact: list[int], verified: list[int], **changes: Any) -> Path:
    """A run whose answers are scored by both metrics, samples and all."""
    file = with_verifier((sum(exact), len(exact)), (sum(verified), len(verified)), len(exact))
    file |= {"model_name": name, **changes}
    rows = [{**row, "math_verify": score} for row, score in zip(answers(exact), verified, strict=True)]
    return write(name, file, samples={NUM_THEORY: rows})


@pytest.mark.parametrize("test", ["auto", "mcnemar", "lm_eval"])
def test_two_metrics_that_moved_alike_are_accused_of_nothing(write: Write, test: str) -> None:
    before, after = [1] * 100 + [0] * 440, [1] * 150 + [0] * 390
    base = both_metrics(write, "base", before, before)
    edited = both_metrics(write, "edited", after, after)
    comparison = compared(base, edited, test=test)
    assert comparison.subjects[0].verdict == "improved"
    assert not any("format" in note for note in comparison.notes)


def test_that_one_movement_is_significant_and_the_other_just_not_does_not_tell_them_apart(
    write: Write,
) -> None:
    base = both_metrics(write, "base", [0] * 54, [0] * 54)
    nearly = both_metrics(write, "nearly", [1] * 6 + [0] * 48, [1] * 5 + [0] * 49)
    comparison = compared(base, nearly)
    assert comparison.subjects[0].verdict == "improved"
    assert not any("format" in note for note in comparison.notes)
    drilled = both_metrics(write, "drilled", [1] * 20 + [0] * 34, [1] * 2 + [0] * 52)
    assert any("format, not ability?" in note for note in compared(base, drilled).notes)


def test_groups_and_graded_scores_are_among_those_whose_tests_may_disagree(write: Write) -> None:
    def graded(name: str, scores: list[float]) -> Path:
        mean = sum(scores) / len(scores)
        spread = (sum((score - mean) ** 2 for score in scores) / (len(scores) - 1) / len(scores)) ** 0.5
        file = results({NUM_THEORY: (1, 2), ALGEBRA: (1, 2)}, model_name=name)
        for task in (NUM_THEORY, ALGEBRA):
            file["results"][task] |= {
                "sample_len": len(scores), "exact_match,none": mean, "exact_match_stderr,none": spread,
            }  # fmt: skip
            file["n-samples"][task] = {"original": len(scores), "effective": len(scores)}
        rows = {
            task: [{**row, "doc_hash": f"{task} {row['doc_hash']}"} for row in answers(scores)]
            for task in (NUM_THEORY, ALGEBRA)
        }
        return write(name, file, samples=rows)

    hard = [nth % 11 / 10 for nth in range(60)]
    base = graded("base", [0.9 * score for score in hard])
    edited = graded("edited", [0.9 * score + 0.02 + 0.01 * (nth % 3) for nth, score in enumerate(hard)])
    told = [note.partition(":")[0] for note in compared(base, edited).notes if "tests disagree" in note]
    assert told == [NUM_THEORY, ALGEBRA, "all tasks"]


def test_the_same_model_on_both_sides_is_said(write: Write, logged: tuple[Path, Path]) -> None:
    assert any("the same evaluation" in note for note in compared(logged[0], logged[0]).notes)
    settings = {"model_args": "pretrained=m,dtype=float32"}
    base = both_metrics(write, "base", [1, 0], [1, 0], model_name="m", config=settings)
    again = both_metrics(write, "again", [1, 0], [1, 0], model_name="m", config=settings)
    notes = " ".join(compared(base, again).notes)
    assert "a model of the same name, m" in notes
    assert "Every answer is the same on both sides, word for word" in notes
    other = both_metrics(write, "other", [1, 1], [1, 1])
    assert not any("same" in note for note in compared(base, other).notes)
    rows = [{**row, "exact_match": 1, "math_verify": 1} for row in answers([1, 0])]
    regraded = write("regraded", with_verifier((2, 2), (2, 2), 2), samples={NUM_THEORY: rows})
    assert any(
        "1 are scored otherwise, so the scoring differs" in note for note in compared(base, regraded).notes
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (answers(BEFORE), "do not average to the reported exact_match"),
        ([{**row, "exact_match": [1, 2]} for row in answers(AFTER)], "no single number for exact_match"),
        ([{**row, "doc_hash": None} for row in answers(AFTER)], "no hash of the problem"),
        (
            [
                {key: row[key] for key in row if key != "filter"}
                for row in [*answers(AFTER), *answers(BEFORE)]
            ],
            "filters are not named",
        ),
    ],
)
def test_samples_that_cannot_be_used_leave_the_verdict_and_a_note(
    write: Write, logged: tuple[Path, Path], rows: list[dict[str, Any]], reason: str
) -> None:
    other = write("other", results({NUM_THEORY: (sum(AFTER), len(AFTER))}), samples={NUM_THEORY: rows})
    comparison = compared(logged[0], other)
    assert comparison.subjects[0].paired is None
    assert comparison.subjects[0].p is not None
    assert any(reason in note and f"in {other}" in note for note in comparison.notes)


def test_both_sides_of_one_name_say_why_they_were_not_paired(write: Write) -> None:
    rows = [{**row, "doc_hash": None} for row in answers(AFTER)]
    out = write("one", results({NUM_THEORY: (sum(AFTER), len(AFTER))}), samples={NUM_THEORY: rows})
    assert sum("not paired" in note for note in compared(out, out).notes) == 2


def test_unlogged_prompts_limits_and_other_versions_of_lm_eval_are_told(write: Write) -> None:
    task = {NUM_THEORY: (160, 540)}
    base = write("base", results(task, task_hashes={}, lm_eval_version="0.4.9"))
    limited = {NUM_THEORY: {"original": 999, "effective": 540}}
    edited = write("edited", results(task, **{"n-samples": limited}))
    comparison = compared(base, edited)
    notes = " ".join(comparison.notes)
    assert "Prompts were not compared" in notes
    assert comparison.marks == ("version of lm-eval: 0.4.9 and 0.4.13 (scoring may differ)",)
    assert f"--limit) in {NUM_THEORY}" in notes


def test_prompts_of_paired_problems_were_compared_one_by_one(
    write_scores: Callable[..., Path],
) -> None:
    paths = [
        write_scores(name, scores, task_hashes={}, model_name=name)
        for name, scores in (("base", [1, 0, 0]), ("edited", [1, 0, 1]))
    ]
    assert compared(*paths).notes == ()
