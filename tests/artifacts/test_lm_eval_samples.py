"""Reading the answers that lm_eval logged, and every reason not to work with them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.utils import hash_string

from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.lm_eval_samples import Samples, read_sample, read_samples
from sae_merge_method.errors import ArtifactError
from tests.evaluations import NUM_THEORY, Write, answers, results

SCORES = [1, 0, 1, 1]


def read(folder: Path, metric: str = "exact_match,none") -> Samples:
    return read_samples(read_results(folder), NUM_THEORY, metric)


def test_a_sample_holds_its_hashes_its_score_and_its_text(write_scores: Callable[..., Path]) -> None:
    samples = read(write_scores("base", SCORES))
    assert samples.reason is None
    assert [row.score for row in samples.rows] == SCORES
    row = samples.rows[2]
    assert (row.doc_hash, row.prompt_hash, row.target_hash) == ("doc 2", "prompt 2", "target 2")
    assert (row.text, row.extracted) == ("It is 4.", True)
    assert not samples.rows[1].extracted
    assert read_sample(samples, row)["doc"] == {"problem": "What is 2 + 2?"}


ASKED = ["What is 1 + 1?", {"until": ["\n"]}]


@pytest.mark.parametrize(
    "arguments",
    [
        {"gen_args_0": {"arg_0": ASKED[0], "arg_1": ASKED[1]}, "gen_args_1": {"arg_0": "another request"}},
        {"gen_args_0": {"arg_0": [ASKED[0]]}},
        [ASKED, ["another request", {}]],
        [[[ASKED[0]], {}]],
    ],
    ids=["a file", "a chat in a file", "a dump or 0.4.2", "a chat in a dump"],
)
def test_a_prompt_without_a_hash_has_the_one_that_lm_eval_makes_of_it(write: Write, arguments: Any) -> None:
    rows = [{**row, "arguments": arguments} for row in answers(SCORES)]
    for row in rows[1:]:
        del row["prompt_hash"]
    read_rows = read(write("base", results({NUM_THEORY: (3, 4)}), samples={NUM_THEORY: rows})).rows
    assert [row.prompt_hash for row in read_rows] == ["prompt 0", *[hash_string(ASKED[0])] * 3]


@pytest.mark.parametrize("arguments", [None, [], {}, [[]], {"gen_args_0": {}}, [[{}]], 7])
def test_neither_a_prompt_nor_its_hash_is_no_hash(write: Write, arguments: Any) -> None:
    rows = [{**row, "prompt_hash": None, "arguments": arguments} for row in answers(SCORES)]
    read_rows = read(write("base", results({NUM_THEORY: (3, 4)}), samples={NUM_THEORY: rows})).rows
    assert [row.prompt_hash for row in read_rows] == [None] * 4


def test_each_filter_has_its_own_lines(write: Write) -> None:
    rows = [*answers(SCORES), *answers([0, 0, 1, 0], filter="strict")]
    file = results({NUM_THEORY: (3, 4)})
    file["results"][NUM_THEORY]["exact_match,strict"] = 1 / 4
    out = write("base", file, samples={NUM_THEORY: rows})
    assert [row.score for row in read(out).rows] == SCORES
    assert [row.score for row in read(out, "exact_match,strict").rows] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (answers([1, 1, 1, 1]), "do not average to the reported exact_match"),
        ([], "do not average to the reported exact_match"),
        ([{**row, "exact_match": [1, 2]} for row in answers(SCORES)], "no single number for exact_match"),
        (
            [{**row, "exact_match": float("nan")} for row in answers(SCORES)],
            "no single number for exact_match",
        ),
        ([{**row, "doc_hash": None} for row in answers(SCORES)], "no hash of the problem"),
        ([{k: row[k] for k in row if k != "filter"} for row in answers(SCORES) * 2], "filters are not named"),
    ],
)
def test_samples_that_cannot_be_used_say_why(
    write: Write, rows: Sequence[dict[str, Any]], reason: str
) -> None:
    samples = read(write("base", results({NUM_THEORY: (3, 4)}), samples={NUM_THEORY: rows}))
    assert samples.rows == ()
    assert reason in str(samples.reason)


def test_samples_that_were_not_logged_are_no_error(write: Write) -> None:
    samples = read(write("base", results({NUM_THEORY: (3, 4)})))
    assert (samples.rows, samples.reason) == ((), "no samples were logged")


@pytest.mark.parametrize(
    ("line", "message"), [("{half", "line 5 is not JSON"), ("[1]", "line 5: expected an object")]
)
def test_a_damaged_line_is_an_error_that_names_it(
    write_scores: Callable[..., Path], line: str, message: str
) -> None:
    out = write_scores("base", SCORES)
    (file,) = out.rglob("samples_*")
    file.write_text(file.read_text() + line)
    with pytest.raises(ArtifactError, match=message):
        read(out)
