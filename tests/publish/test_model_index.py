"""Our results stand beside the author's, whose entries stay what they are."""

from typing import Any

import pytest
import yaml

from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.model_index import MEASURED_ON, Naming, renewed_index

OWN, OTHER = "a" * 64, "b" * 64
NAME = Naming("folder")

AUTHORS = yaml.safe_load("""
- name: published
  results:
  - task: {type: text-generation, name: IFEval}
    dataset: {name: GSM8K, type: openai/gsm8k, config: main, split: test}
    metrics: [{type: acc, value: 61.2, name: 5-shot}]
    source: {name: Open LLM Leaderboard, url: "https://x.org"}
""")


def ours(task: str, value: float, result: str = OWN, metric: str = "acc,none") -> dict[str, Any]:
    return {
        "task": {"type": "text-generation", "name": task},
        "dataset": {"name": task, "type": "openai/gsm8k", "config": "main", "split": "test"},
        "metrics": [{"type": "acc", "value": value, "name": metric, "args": {MEASURED_ON: result}}],
    }


def test_ours_follow_the_authors_of_the_same_data_set_under_the_name_that_stands() -> None:
    made = renewed_index(AUTHORS, [ours("gsm8k", 0.5)], NAME, OWN)
    assert made == [{"name": "published", "results": [*AUTHORS[0]["results"], ours("gsm8k", 0.5)]}]


def test_an_authors_score_of_the_same_task_and_metric_stays() -> None:
    own = ours("gsm8k", 0.4)
    del own["metrics"][0]["args"]
    standing = [{"name": "published", "results": [own]}]
    made = renewed_index(standing, [ours("gsm8k", 0.5)], NAME, OWN)
    assert made[0]["results"] == [own, ours("gsm8k", 0.5)]


def unmarked(task: str, value: float) -> dict[str, Any]:
    """A result of a checkpoint without a hash, as it was written before such were marked."""
    result = ours(task, value)
    result["dataset"]["args"] = {"problems": 540}
    result["metrics"][0]["args"] = None
    return result


def test_what_an_older_version_wrote_without_a_hash_gives_way_to_the_same_metric_of_the_same_task() -> None:
    first = [{"name": "folder", "results": [unmarked("gsm8k", 0.4), unmarked("other", 0.3)]}]
    new = ours("gsm8k", 0.5, "unknown")
    assert renewed_index(first, [new], NAME, None)[0]["results"] == [unmarked("other", 0.3), new]
    assert renewed_index(first, [], NAME, None) is first


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("task", {"type": "question-answering"}),
        ("dataset", {"args": {"problems": 540, "seed": 1}}),
        ("dataset", {"args": None}),
        ("metric", {"name": "acc"}),
        ("metric", {"args": {"shots": 5}}),
    ],
)
def test_what_is_written_otherwise_is_the_authors_and_stays(part: str, changes: dict[str, Any]) -> None:
    own = unmarked("gsm8k", 0.4)
    (own["metrics"][0] if part == "metric" else own[part]).update(changes)
    new = ours("gsm8k", 0.5, metric=own["metrics"][0]["name"])
    assert renewed_index([{"name": "a", "results": [own]}], [new], NAME, OWN)[0]["results"] == [own, new]


def test_a_second_run_changes_what_is_new_alone() -> None:
    first = renewed_index(AUTHORS, [ours("gsm8k", 0.5), ours("gsm8k_cot", 0.6)], NAME, OWN)
    assert renewed_index(first, [], Naming("later"), OWN) is first
    again = renewed_index(first, [ours("gsm8k_cot", 0.7)], NAME, OWN)
    assert again[0]["results"] == [*AUTHORS[0]["results"], ours("gsm8k", 0.5), ours("gsm8k_cot", 0.7)]


def test_another_metric_of_a_task_stands_beside_the_first() -> None:
    first = renewed_index(None, [ours("gsm8k", 0.5)], NAME, OWN)
    strict = ours("gsm8k", 0.4, metric="acc,strict")
    assert renewed_index(first, [strict], NAME, OWN)[0]["results"] == [ours("gsm8k", 0.5), strict]


def test_ours_of_another_checkpoint_give_way_wherever_they_stand() -> None:
    author = AUTHORS[0]["results"][0]
    swallowed = {**author, "metrics": [*author["metrics"], *ours("gsm8k", 0.9, OTHER)["metrics"]]}
    standing = [
        {"name": "published", "results": [swallowed]},
        {"name": "folder", "results": [ours("gsm8k", 0.9, OTHER)]},
    ]
    assert renewed_index(standing, [], NAME, OWN) == AUTHORS
    assert renewed_index([standing[1]], [], NAME, OWN) == []


def test_two_models_stay_two_and_ours_are_a_third_that_a_second_run_finds() -> None:
    standing = [*AUTHORS, {**AUTHORS[0], "name": "another"}]
    made = renewed_index(standing, [ours("gsm8k", 0.5)], NAME, OWN)
    assert made == [*standing, {"name": "folder", "results": [ours("gsm8k", 0.5)]}]
    again = renewed_index(made, [ours("gsm8k", 0.6)], Naming("moved"), OWN)
    assert again == [*standing, {"name": "folder", "results": [ours("gsm8k", 0.6)]}]
    assert renewed_index(standing, [ours("gsm8k", 0.5)], Naming("another"), OWN)[1]["results"][-1] == ours(
        "gsm8k", 0.5
    )


def test_another_name_stands_there_where_it_is_asked_for() -> None:
    asked = Naming("asked", is_asked=True)
    assert renewed_index(AUTHORS, [], asked, OWN) == [{**AUTHORS[0], "name": "asked"}]
    assert renewed_index([{"name": "a"}], [], asked, OWN) == [{"name": "asked"}]
    two = [*AUTHORS, {**AUTHORS[0], "name": "another"}]
    assert renewed_index(two, [], asked, OWN) is two


def test_results_of_a_checkpoint_without_a_hash_are_known_again() -> None:
    first = renewed_index(None, [ours("gsm8k", 0.5, "unknown")], NAME, None)
    assert renewed_index(first, [ours("gsm8k", 0.6, "unknown")], NAME, None)[0]["results"] == [
        ours("gsm8k", 0.6, "unknown")
    ]


@pytest.mark.parametrize("index", ["words", [1], [{"name": "a", "results": "b"}], {"name": "a"}])
def test_what_is_no_list_of_models_stays_and_nothing_is_added_to_it(index: Any) -> None:
    assert renewed_index(index, [], NAME, OWN) is index
    with pytest.raises(ArtifactError, match="no results can be added to: expected a list of models"):
        renewed_index(index, [ours("gsm8k", 0.5)], NAME, OWN)


@pytest.mark.parametrize(
    "model", [{"name": "a"}, {"name": "a", "results": [1, {"dataset": {"type": "x"}}]}, {"results": None}]
)
def test_entries_that_lack_something_stay(model: dict[str, Any]) -> None:
    assert renewed_index([model], [], NAME, OWN)[0] is model
    (made,) = renewed_index([model], [ours("gsm8k", 0.5)], NAME, OWN)
    assert made["results"] == [*(model.get("results") or []), ours("gsm8k", 0.5)]
    assert made["name"] == model.get("name", "folder")
