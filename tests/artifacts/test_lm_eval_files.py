"""Results where the hosts leave them: dumps of simple_evaluate, stamped files, older versions of lm-eval."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.lm_eval_files import find_results
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.lm_eval_samples import read_sample, read_samples
from sae_merge_method.errors import ArtifactError
from tests.evaluations import NUM_THEORY, answers, results

METRIC = "exact_match,none"
SCORES = [1, 0, 1, 1]


def dump(pretrained: str, **changes: Any) -> dict[str, Any]:
    """As ``json.dump(simple_evaluate(...))`` writes it: no name, samples inside."""
    file = results(
        {NUM_THEORY: (3, 4)}, config={"model": "hf", "model_args": f"pretrained={pretrained},dtype=auto"}
    )
    del file["model_name"]
    return {**file, "samples": {NUM_THEORY: answers(SCORES)}, **changes}


def save(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["results.json", "my_run.json"])
def test_a_dump_of_simple_evaluate_is_read_from_its_folder_with_its_name_and_its_samples(
    tmp_path: Path, name: str
) -> None:
    file = save(tmp_path / "base" / name, dump("me/base"))
    save(tmp_path / "base" / "config.json", {"other": 1})
    run = read_results(file.parent)
    assert (run.path, run.model, run.short_name) == (file, "me/base", "base")
    samples = read_samples(run, NUM_THEORY, METRIC)
    assert [row.score for row in samples.rows] == SCORES
    assert read_sample(samples, samples.rows[2])["doc"] == {"problem": "What is 2 + 2?"}


def test_a_dump_without_samples_and_without_hashes_of_problems(tmp_path: Path) -> None:
    plain = read_results(save(tmp_path / "a.json", dump("me/base", samples=None)))
    assert read_samples(plain, NUM_THEORY, METRIC).reason == "no samples were logged"
    rows = [{key: row[key] for key in row if key != "doc_hash"} for row in answers(SCORES)]
    old = read_results(save(tmp_path / "b.json", dump("me/base", samples={NUM_THEORY: rows})))
    hashes = {row.doc_hash for row in read_samples(old, NUM_THEORY, METRIC).rows}
    assert len(hashes) == 4
    assert {len(one) for one in hashes} == {64}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model": "hf", "model_args": {"pretrained": "me/base", "peft": "me/adapter"}}, "me/adapter"),
        ({"model": "vllm", "model_args": "dtype=auto,pretrained=me/base"}, "me/base"),
        ({"model": "local-completions", "model_args": "model=served,base_url=http://x"}, "served"),
        ({"model": "me/handed-over", "model_args": None}, "me/handed-over"),
    ],
)
def test_a_model_is_called_by_what_it_was_loaded_from(tmp_path: Path, config: Any, name: str) -> None:
    assert read_results(save(tmp_path / "r.json", dump("", config=config))).model == name


def test_the_file_that_output_path_named_is_found_under_lm_evals_stamp_the_newest_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (
        "base_2026-01-01T00-00-00.5",
        "base_2026-01-02T00-00-00.5",
        "base_two_2026-01-03T00-00-00.5",
    ):
        save(tmp_path / f"{name}.json", results({NUM_THEORY: (1, 2)}))
    with caplog.at_level(logging.WARNING):
        assert find_results(tmp_path / "base.json").name == "base_2026-01-02T00-00-00.5.json"
    assert "taking base_2026-01-02T00-00-00.5.json, the newest of 2 runs" in caplog.text
    with pytest.raises(ArtifactError, match="several names, name one: .*base.json, .*base_two.json"):
        find_results(tmp_path)
    with pytest.raises(ArtifactError, match="nothing there"):
        find_results(tmp_path / "bas.json")


STAMPED = "2026-01-01T00-00-00.5"
BY_COMMAND = f"a__model/results_{STAMPED}.json"


@pytest.mark.parametrize(
    "names",
    [
        ("results.json", BY_COMMAND),
        (f"base_{STAMPED}.json", BY_COMMAND),
        ("results.json", f"base_{STAMPED}.json"),
    ],
)
def test_results_of_several_kinds_are_not_chosen_between(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        save(tmp_path / name, results({NUM_THEORY: (1, 2)}))
    with pytest.raises(ArtifactError, match="holds results of several kinds, name one: ") as refused:
        find_results(tmp_path)
    assert all(str(tmp_path / name) in str(refused.value) for name in names)
    assert find_results(tmp_path / names[0]) == tmp_path / names[0]


@pytest.mark.parametrize("other", [{"accuracy": 0.5}, {"results": {}}, {"results": [1]}, [1], "no"])
def test_a_results_file_of_something_else_is_passed_over(tmp_path: Path, other: Any) -> None:
    save(tmp_path / "results.json", other)
    file = save(tmp_path / BY_COMMAND, results({NUM_THEORY: (1, 2)}))
    assert find_results(tmp_path) == file


def test_samples_that_0_4_3_stamped_as_it_did_results_are_none(tmp_path: Path) -> None:
    file = save(tmp_path / f"base_{STAMPED}.json", results({NUM_THEORY: (3, 4)}))
    save(tmp_path / f"samples_{NUM_THEORY}_{STAMPED}.json", answers(SCORES))
    run = read_results(tmp_path)
    assert (run.path, len(read_samples(run, NUM_THEORY, METRIC).rows)) == (file, 4)


def test_samples_lie_beside_a_stamped_file(tmp_path: Path) -> None:
    save(tmp_path / "base_2026-01-01T00-00-00.5.json", results({NUM_THEORY: (3, 4)}))
    lines = "".join(json.dumps(row) + "\n" for row in answers(SCORES))
    (tmp_path / f"samples_{NUM_THEORY}_2026-01-01T00-00-00.5.jsonl").write_text(lines)
    assert len(read_samples(read_results(tmp_path / "base.json"), NUM_THEORY, METRIC).rows) == 4


@pytest.mark.parametrize(
    ("file", "samples"),
    [
        ("results.json", f"pretrained=me__base_{NUM_THEORY}.jsonl"),
        ("results_2024-07-01T00-00-00.5.json", f"samples_{NUM_THEORY}_2024-07-01T00-00-00.5.json"),
    ],
    ids=["0.4.2", "0.4.3"],
)
def test_the_first_versions_wrote_samples_as_one_list_under_other_names(
    tmp_path: Path, file: str, samples: str
) -> None:
    row = {"exact_match,none": 0.75, "exact_match_stderr,none": 0.25, "alias": NUM_THEORY}
    old = {
        "results": {NUM_THEORY: row, "math": row},
        "groups": {"math": row},
        "config": {"model": "hf", "model_args": "pretrained=me/base", "limit": None},
    }
    save(tmp_path / file, old)
    save(tmp_path / samples, answers(SCORES))
    run = read_results(tmp_path)
    assert (run.model, list(run.tasks), list(run.groups)) == ("me/base", [NUM_THEORY], ["math"])
    found = read_samples(run, NUM_THEORY, METRIC)
    assert [row.score for row in found.rows] == SCORES
    assert read_sample(found, found.rows[1])["doc_id"] == 1


OTHER_SCORES = [1, 1, 0, 1]


def in_one_folder(folder: Path, sign: str, **scores: list[int]) -> None:
    """As lm-eval 0.4.2 leaves several models' FILE.json and samples in one folder."""
    for name, right in scores.items():
        file = dump(f"me/{name}", samples=None)
        file["config"]["model_args"] = f"pretrained=me/{name},dtype=auto"
        save(folder / f"{name}.json", file)
        save(folder / f"pretrained{sign}me__{name},dtype{sign}auto_{NUM_THEORY}.jsonl", answers(right))


@pytest.mark.parametrize("sign", ["__", "="])
def test_of_several_models_samples_in_one_folder_each_has_those_that_are_named_after_it(
    tmp_path: Path, sign: str
) -> None:
    in_one_folder(tmp_path, sign, base=SCORES, edited=OTHER_SCORES)
    for name, scores in (("base", SCORES), ("edited", OTHER_SCORES)):
        samples = read_samples(read_results(tmp_path / f"{name}.json"), NUM_THEORY, METRIC)
        assert [row.score for row in samples.rows] == scores


@pytest.mark.parametrize("arguments", [None, {"pretrained": "me/edited"}, "pretrained=me/renamed"])
def test_samples_of_several_models_none_of_which_is_the_runs_own_are_not_guessed_among(
    tmp_path: Path, arguments: Any
) -> None:
    in_one_folder(tmp_path, "__", base=SCORES, edited=OTHER_SCORES)
    file = save(
        tmp_path / "third.json", dump("", samples=None, config={"model": "hf", "model_args": arguments})
    )
    samples = read_samples(read_results(file), NUM_THEORY, METRIC)
    assert (samples.rows, samples.path.exists()) == ((), True)
    assert samples.reason == "samples of several models lie there, and none is named as this one's"


def test_a_task_whose_name_ends_as_anothers_has_its_own_samples(tmp_path: Path) -> None:
    in_one_folder(tmp_path, "__", base=SCORES)
    save(tmp_path / f"pretrained__me__base,dtype__auto_a_{NUM_THEORY}.jsonl", answers(OTHER_SCORES))
    samples = read_samples(read_results(tmp_path / "base.json"), NUM_THEORY, METRIC)
    assert [row.score for row in samples.rows] == SCORES


@pytest.mark.parametrize("text", ["[1]", "[{]"])
def test_a_damaged_list_of_samples_is_an_error(tmp_path: Path, text: str) -> None:
    save(tmp_path / "results.json", dump("me/base", samples=None))
    (tmp_path / f"me_{NUM_THEORY}.jsonl").write_text(text)
    with pytest.raises(ArtifactError, match="expected"):
        read_samples(read_results(tmp_path), NUM_THEORY, METRIC)
