"""The card's metadata: what the Hub reads of the results, and what the author's stays."""

import logging

import pytest
import yaml
from huggingface_hub import ModelCardData

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.artifacts.lm_eval_results import DataSet
from sae_merge_method.publish.front_matter import LOADERS, eval_results, front_matter
from sae_merge_method.publish.front_matter_text import front_matter_text
from sae_merge_method.publish.licence import Licence
from sae_merge_method.publish.model_index import Naming
from tests.comparisons import comparison, save_comparison, subject

TASK = "minerva_math_sae_num_theory"
NAME = Naming("maths")
GSM8K = DataSet(path="openai/gsm8k", name="main", split="test", arguments={})


@pytest.mark.parametrize(
    ("path", "type_"),
    [("someone/problems", "someone/problems"), ("./problems", TASK), ("json", TASK), ("parquet", TASK)],
)
def test_the_results_name_the_data_set_that_was_asked_and_no_file_of_this_machine(tmp_path, path, type_):
    found = read_comparison(save_comparison(tmp_path / "comparison.json"))
    data = DataSet(path=path, name="hard", split="dev", arguments={"revision": "abc"})
    asked = found.subjects[0].model_copy(update={"dataset": data})
    (result,) = eval_results(found.model_copy(update={"subjects": (asked,)}))
    assert (result.dataset_type, result.dataset_config) == (type_, "hard")
    assert (result.dataset_split, result.dataset_revision) == ("dev", "abc")


def test_every_loader_of_datasets_is_known_for_one():
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

    assert _PACKAGED_DATASETS_MODULES.keys() <= LOADERS


def test_tasks_that_share_a_data_set_have_an_entry_each():
    made = comparison(
        subject("gsm8k", 0.5, 0.55, "not shown", 0.3, False, dataset=GSM8K),
        subject("gsm8k_cot", 0.6, 0.71, "improved", 0.001, True, dataset=GSM8K),
    )
    (model,) = front_matter({}, NAME, [], Licence("mit"), made)["model-index"]
    assert [
        (one["task"]["name"], one["dataset"]["name"], [metric["value"] for metric in one["metrics"]])
        for one in model["results"]
    ] == [("gsm8k", "gsm8k", [0.55]), ("gsm8k_cot", "gsm8k_cot", [0.71])]


def test_what_the_hub_may_refuse_stays_and_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        fields = front_matter({"eval_results": 4}, NAME, [], Licence("mit"), None)
    assert fields["eval_results"] == 4
    assert "a front matter that the Hub may refuse, kept as it stands: Failed to validate" in caplog.text


@pytest.mark.parametrize("standing", ["maths", ["maths"], ["maths", "merge"], ["maths", 7], None])
def test_tags_are_the_authors_then_ours_each_once(standing):
    fields = front_matter({"tags": standing}, NAME, [], Licence("mit"), None)
    own = [standing] if isinstance(standing, str) else standing or []
    assert fields["tags"][: len(own)] == own
    assert sorted(map(str, fields["tags"])) == sorted({*map(str, own), "mergekit", "merge", "sae-merge"})


def test_a_result_takes_few_lines_and_reads_back_as_the_hub_wrote_it(tmp_path):
    found = read_comparison(save_comparison(tmp_path / "comparison.json"))
    fields = front_matter(
        {"tags": ["maths"]}, NAME, ["google/gemma-3-4b-it"], Licence("gemma"), found, "0" * 64
    )
    text, hub = front_matter_text(fields), ModelCardData(**fields)
    assert yaml.safe_load(text) == fields == hub.to_dict()
    assert len(text.splitlines()) <= 12 + 5 * len(found.subjects) < len(str(hub).splitlines())
