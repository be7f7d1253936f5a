"""What samples add: pairs, flips, lengths, and every reason not to use them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from statsmodels.stats.contingency_tables import mcnemar

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.compare.run import Evaluation, compare_runs
from sae_merge_method.compare.subject import Settings
from sae_merge_method.errors import ArtifactError, ComparisonError

from .conftest import NUM_THEORY, Write, answers, results
from .test_command import compare

BEFORE = [1] * 20 + [0] * 40
AFTER = [0] * 2 + [1] * 30 + [0] * 28


def compared(base: Path, edited: Path, **settings: Any) -> Comparison:
    sides = [Evaluation(read_results(path), path.name) for path in (base, edited)]
    return compare_runs(sides[0], sides[1], Settings(**settings))


@pytest.fixture
def logged(write_scores: Callable[..., Path]) -> tuple[Path, Path]:
    return write_scores("base", BEFORE), write_scores("edited", AFTER)


def test_problems_are_paired_and_their_flips_counted(logged: tuple[Path, Path]) -> None:
    paired = compared(*logged).subjects[0].paired
    assert paired is not None
    assert (paired.n, paired.newly_right, paired.newly_wrong) == (60, 12, 2)
    assert paired.mcnemar_p == pytest.approx(mcnemar([[18, 12], [2, 28]], exact=True).pvalue)
    assert paired.low is not None
    assert paired.high is not None
    assert 0 < paired.low < 10 / 60 < paired.high


def test_the_order_of_a_samples_file_is_of_no_matter(write: Write, logged: tuple[Path, Path]) -> None:
    found = results({NUM_THEORY: (sum(AFTER), len(AFTER))})
    turned = write("turned", found, samples={NUM_THEORY: answers(AFTER)[::-1]})
    assert compared(logged[0], turned).subjects == compared(*logged).subjects


def test_the_chosen_test_gives_z_p_and_verdict(logged: tuple[Path, Path]) -> None:
    by_test = {test: compared(*logged, test=test).subjects[0] for test in ("lm_eval", "mcnemar", "paired_z")}
    paired = by_test["lm_eval"].paired
    assert paired is not None
    # Two accuracies alone do not show what the same problems, paired, do.
    assert by_test["lm_eval"].verdict == "unchanged"
    assert by_test["mcnemar"].verdict == by_test["paired_z"].verdict == "improved"
    assert (by_test["mcnemar"].z, by_test["mcnemar"].p) == (None, paired.mcnemar_p)
    assert (by_test["paired_z"].z, by_test["paired_z"].p) == (paired.z, paired.p)
    assert any("the tests disagree" in note for note in compared(*logged).notes)


def test_a_paired_test_without_samples_says_what_it_needs(write: Write) -> None:
    out = write("base", results({NUM_THEORY: (16, 54)}))
    for test in ("mcnemar", "paired_z"):
        assert "--log_samples" in str(compared(out, out, test=test).subjects[0].reason)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (answers(AFTER, prompt_hash="other"), "60 problems have another prompt"),
        (answers(AFTER, target_hash="other"), "60 problems have another target"),
        ([{**row, "doc_hash": f"new {row['doc_hash']}"} for row in answers(AFTER)], "120 problems were"),
    ],
)
def test_other_problems_or_prompts_are_refused_or_allowed_and_marked(
    write: Write, logged: tuple[Path, Path], rows: list[dict[str, Any]], message: str
) -> None:
    other = write("other", results({NUM_THEORY: (sum(AFTER), len(AFTER))}), samples={NUM_THEORY: rows})
    with pytest.raises(ComparisonError, match=message):
        compared(logged[0], other)
    allowed = compared(logged[0], other, allow_mismatch=True)
    assert any(message in line for line in allowed.mismatches)
    assert "MISMATCH, allowed" in compare(str(logged[0]), str(other), "--allow-mismatch").output


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (answers(BEFORE), "do not average to the reported exact_match"),
        ([{**row, "exact_match": [1, 2]} for row in answers(AFTER)], "no single number for exact_match"),
        ([{**row, "doc_hash": None} for row in answers(AFTER)], "no hash of the problem"),
    ],
)
def test_samples_that_cannot_be_used_leave_the_verdict_and_a_note(
    write: Write, logged: tuple[Path, Path], rows: list[dict[str, Any]], reason: str
) -> None:
    other = write("other", results({NUM_THEORY: (sum(AFTER), len(AFTER))}), samples={NUM_THEORY: rows})
    found = compared(logged[0], other)
    assert found.subjects[0].paired is None
    assert any(reason in note for note in found.notes)


def test_each_filter_has_its_own_lines(write: Write) -> None:
    rows = [*answers(AFTER), *answers(BEFORE, filter="strict")]
    found = results({NUM_THEORY: (sum(AFTER), len(AFTER))})
    found["results"][NUM_THEORY].update(
        {"exact_match,strict": sum(BEFORE) / 60, "exact_match_stderr,strict": 0.06}
    )
    out = write("base", found, samples={NUM_THEORY: rows})
    for metric, right in (("exact_match,none", sum(AFTER)), ("exact_match,strict", sum(BEFORE))):
        subject = compared(out, out, metric=metric).subjects[0]
        assert subject.paired is not None
        assert subject.base == right / 60
    # The filter's own word for an answer that was not found.
    assert compared(out, out, metric="exact_match,strict").subjects[0].base_measures.no_answer == 40 / 60
    unnamed = [{key: row[key] for key in row if key != "filter"} for row in rows]
    out = write("old", found, samples={NUM_THEORY: unnamed})
    assert any("filters are not named" in note for note in compared(out, out).notes)


def test_a_damaged_line_is_an_error_that_names_it(write: Write, logged: tuple[Path, Path]) -> None:
    (file,) = logged[1].rglob("samples_*")
    file.write_text(file.read_text() + "{half")
    with pytest.raises(ArtifactError, match="line 61 is not JSON"):
        compared(*logged)


def test_graded_scores_are_paired_but_have_no_flips(write: Write) -> None:
    scores = [0.25, 0.5, 0.75, 1.0]
    found = results({NUM_THEORY: (5, 8)})
    found["results"][NUM_THEORY].update({"exact_match,none": 0.625, "sample_len": 4})
    found["n-samples"][NUM_THEORY] = {"original": 4, "effective": 4}
    out = write("base", found, samples={NUM_THEORY: answers(scores)})
    paired = compared(out, out).subjects[0].paired
    assert paired is not None
    assert paired.mcnemar_p is paired.newly_right is None
    assert "0 or 1" in str(compared(out, out, test="mcnemar").subjects[0].reason)


def test_flips_are_printed_side_by_side(logged: tuple[Path, Path]) -> None:
    printed = compare(*map(str, logged), "--show-flips", "1").output
    assert f"{NUM_THEORY}: 12 newly right, 1 shown" in printed
    assert f"{NUM_THEORY}: 2 newly wrong, 1 shown" in printed
    assert "problem 20: What is 20 + 20?\ntarget: 40\n" in printed
    assert [line.split() for line in printed.splitlines() if "It is 40." in line] == [
        ["It", "is", "not", "known", "to", "me.", "|", "It", "is", "40."]
    ]


def test_beside_json_the_flips_go_where_programs_do_not_read(logged: tuple[Path, Path]) -> None:
    done = compare(*map(str, logged), "--show-flips", "1", "--format", "json")
    assert json.loads(done.stdout)["subjects"]
    assert "newly right" in done.stderr


def test_tokens_and_cut_off_answers_are_counted_with_a_tokenizer(
    write: Write, logged: tuple[Path, Path], tmp_path: Path
) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (tmp_path / "model").mkdir()
    tokenizer.save(str(tmp_path / "model" / "tokenizer.json"))
    limited = {"configs": {NUM_THEORY: {"generation_kwargs": {"max_gen_toks": 6}}}}
    found = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, **limited)
    out = write("limited", found, samples={NUM_THEORY: answers(AFTER)})
    # Right answers are "It is 4.", wrong ones "It is not known to me.": three words and six.
    measures = compared(out, out, tokenizer=tmp_path / "model").subjects[0].base_measures
    assert (measures.cut_off, measures.mean_tokens) == (30 / 60, 4.5)
    assert compared(*logged, tokenizer=tmp_path / "model").subjects[0].base_measures.cut_off == 0
    assert compared(*logged).subjects[0].base_measures.cut_off is None
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match="expected a tokenizer.json"):
        compared(*logged, tokenizer=tmp_path / "model")
