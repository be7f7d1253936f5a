"""What samples add: pairs, flips, lengths, and every reason not to use them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from statsmodels.stats.contingency_tables import mcnemar

from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.lm_eval_samples import read_samples
from sae_merge_method.compare.answers import pair
from sae_merge_method.errors import ArtifactError, ComparisonError
from tests.compare.conftest import AFTER, BEFORE, compared
from tests.evaluations import NUM_THEORY, Write, answers, results

METRIC = "exact_match,none"


def test_problems_are_paired_and_their_flips_counted(logged: tuple[Path, Path]) -> None:
    paired = compared(*logged).subjects[0].paired
    assert paired is not None
    assert (paired.n, paired.newly_right, paired.newly_wrong) == (60, 12, 2)
    assert paired.mcnemar_p == pytest.approx(mcnemar([[18, 12], [2, 28]], exact=True).pvalue)
    assert paired.low is not None
    assert paired.high is not None
    assert 0 < paired.low < 10 / 60 < paired.high


def test_the_order_of_a_samples_file_is_of_no_matter(write: Write, logged: tuple[Path, Path]) -> None:
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))})
    turned = write("turned", file, samples={NUM_THEORY: answers(AFTER)[::-1]})
    assert compared(logged[0], turned).subjects == compared(*logged).subjects


def test_equal_problems_are_paired_in_their_order(write: Write) -> None:
    sides = []
    for name, scores in (("base", [1, 0, 1]), ("edited", [0, 1, 1])):
        rows = [{**row, "doc_hash": "the same"} for row in answers(scores)]
        out = write(name, results({NUM_THEORY: (sum(scores), 3)}), samples={NUM_THEORY: rows})
        sides.append(read_samples(read_results(out), NUM_THEORY, METRIC))
    assert [both.scores for both in pair(*sides).pairs] == [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


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
    assert "MISMATCH, allowed" in str(allowed)


HASHES = {"task_hashes": {NUM_THEORY: "b" * 64}}


def test_rows_in_another_order_are_the_same_prompts_though_lm_evals_hash_of_them_differs(
    write: Write, logged: tuple[Path, Path]
) -> None:
    """As ``accelerate launch`` writes them: of two processes first the one's rows, then the other's."""
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, **HASHES)
    rows = answers(AFTER)
    spread = write("spread", file, samples={NUM_THEORY: [*rows[::2], *rows[1::2]]})
    comparison = compared(logged[0], spread)
    assert comparison.mismatches == ()
    assert comparison.subjects == compared(*logged).subjects


@pytest.mark.parametrize("missing", ["prompt_hash", "target_hash"])
def test_another_hash_of_prompts_stands_where_pairs_do_not_tell_that_they_are_alike(
    write: Write, logged: tuple[Path, Path], missing: str
) -> None:
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, **HASHES)
    rows = [{**row, missing: None, "arguments": {}} for row in answers(AFTER)]
    for name, samples in (("unhashed", {NUM_THEORY: rows}), ("unlogged", {})):
        with pytest.raises(ComparisonError, match="hash of problems and prompts: aaaaaaaaaaaa... and bbbbbb"):
            compared(logged[0], write(name, file, samples=samples))


def test_a_hash_that_only_one_side_has_is_no_other_prompt_and_that_is_said(
    write: Write, logged: tuple[Path, Path]
) -> None:
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, task_hashes={})
    rows = [
        {key: value for key, value in row.items() if key not in ("prompt_hash", "target_hash", "arguments")}
        for row in answers(AFTER)
    ]
    comparison = compared(logged[0], write("old", file, samples={NUM_THEORY: rows}))
    assert comparison.mismatches == ()
    assert comparison.subjects == compared(*logged).subjects
    (note,) = (note for note in comparison.notes if "were not compared" in note)
    assert note.startswith(f"Prompts were not compared in {NUM_THEORY}: not both sides' samples hold them")


def test_prompts_of_which_an_older_version_wrote_no_hash_are_compared_all_the_same(write: Write) -> None:
    def old(name: str, scores: list[int], words: str) -> Path:
        rows = [{**row, "arguments": [[f"{row['doc_id']} {words}", {}]]} for row in answers(scores)]
        for row in rows:
            del row["prompt_hash"]
        file = results({NUM_THEORY: (sum(scores), len(scores))}, task_hashes={}, model_name=name)
        return write(name, file, samples={NUM_THEORY: rows})

    base = old("base", BEFORE, "How many?")
    comparison = compared(base, old("edited", AFTER, "How many?"))
    assert (comparison.mismatches, comparison.subjects[0].paired is None) == ((), False)
    assert not any("were not compared" in note for note in comparison.notes)
    with pytest.raises(ComparisonError, match="60 problems have another prompt"):
        compared(base, old("other", AFTER, "How many? Think."))


def test_without_samples_on_one_side_there_are_no_pairs_and_no_mismatch(
    write: Write, logged: tuple[Path, Path]
) -> None:
    alone = compared(logged[0], write("alone", results({NUM_THEORY: (sum(AFTER), len(AFTER))})))
    assert alone.subjects[0].paired is None
    assert alone.mismatches == ()


def test_the_filters_own_word_for_no_answer_is_counted(write: Write) -> None:
    rows = answers(BEFORE, filter="strict")
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))})
    file["results"][NUM_THEORY].update(
        {"exact_match,strict": sum(BEFORE) / 60, "exact_match_stderr,strict": 0.06}
    )
    out = write("base", file, samples={NUM_THEORY: rows})
    assert compared(out, out, metric="exact_match,strict").subjects[0].base_measures.no_answer == 40 / 60


def tokenizer_of_words(folder: Path) -> Path:
    """A model's folder whose tokens are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "own", "share"),
    [("max_gen_toks=6", {}, 30 / 60), ({"max_gen_toks": 6}, {"max_gen_toks": 2}, 1), ({"max_gen_toks": 2048}, {}, 0),
     ("max_gen_toks=no", {"max_gen_toks": "6"}, 30 / 60), ({}, {"max_new_tokens": "no", "max_tokens": 6}, 30 / 60)],
)  # fmt: skip
def test_an_answer_is_cut_off_at_the_tasks_limit_or_else_at_the_backends(
    write: Write, tmp_path: Path, arguments: Any, own: dict[str, Any], share: float
) -> None:
    settings = {
        "config": {"model": "vllm", "model_args": arguments},
        "configs": {NUM_THEORY: {"generation_kwargs": own}},
    }
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, **settings)
    out = write("limited", file, samples={NUM_THEORY: answers(AFTER)})
    model = tokenizer_of_words(tmp_path / "model")
    assert compared(out, out, tokenizer=model).subjects[0].base_measures.cut_off == share


def test_tokens_and_cut_off_answers_are_counted_with_a_tokenizer(
    write: Write, logged: tuple[Path, Path], tmp_path: Path
) -> None:
    tokenizer_of_words(tmp_path / "model")
    limited = {"configs": {NUM_THEORY: {"generation_kwargs": {"max_gen_toks": 6}}}}
    file = results({NUM_THEORY: (sum(AFTER), len(AFTER))}, **limited)
    out = write("limited", file, samples={NUM_THEORY: answers(AFTER)})
    # Right answers are "It is 4.", wrong ones "It is not known to me.": three words and six.
    measures = compared(out, out, tokenizer=tmp_path / "model").subjects[0].base_measures
    assert (measures.cut_off, measures.mean_tokens) == (30 / 60, 4.5)
    assert compared(*logged, tokenizer=tmp_path / "model").subjects[0].base_measures.cut_off == 0
    assert compared(*logged).subjects[0].base_measures.cut_off is None
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match="expected a tokenizer.json"):
        compared(*logged, tokenizer=tmp_path / "model")
    with pytest.raises(ArtifactError, match="cannot read a tokenizer"):
        compared(*logged, tokenizer=tmp_path / "nowhere")


def test_a_group_is_paired_over_all_its_tasks(write: Write, write_scores: Callable[..., Path]) -> None:
    tasks = {"one": (2, 4), "two": (1, 2)}
    sides = []
    for name, scores in (
        ("base", {"one": [1, 1, 0, 0], "two": [1, 0]}),
        ("edited", {"one": [1, 0, 1, 1], "two": [1, 1]}),
    ):
        counts = {task: (sum(one), len(one)) for task, one in scores.items()}
        right = sum(count[0] for count in counts.values())
        file = results(
            counts, groups={"both": {"exact_match,none": right / 6}}, group_subtasks={"both": list(tasks)}
        )
        rows = {
            task: [{**row, "doc_hash": f"{task} {row['doc_id']}"} for row in answers(one)]
            for task, one in scores.items()
        }
        sides.append(write(name, file, samples=rows))
    (group,) = compared(*sides).groups
    assert group.paired is not None
    assert (group.paired.n, group.paired.newly_right, group.paired.newly_wrong) == (6, 3, 1)
