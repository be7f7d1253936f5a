"""The card's metadata: what the Hub reads of the results."""

import pytest
import yaml

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.artifacts.lm_eval_results import DataSet
from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.front_matter import eval_results, front_matter, front_matter_text
from sae_merge_method.publish.licence import Licence
from tests.comparisons import save_comparison

TASK = "minerva_math_sae_num_theory"


@pytest.mark.parametrize(("path", "type_"), [("someone/problems", "someone/problems"), ("./problems", TASK)])
def test_the_results_name_the_data_set_that_was_asked_and_no_folder_of_this_machine(tmp_path, path, type_):
    found = read_comparison(save_comparison(tmp_path / "comparison.json"))
    data = DataSet(path=path, name="hard", split="dev", arguments={"revision": "abc"})
    asked = found.subjects[0].model_copy(update={"dataset": data})
    (result,) = eval_results(found.model_copy(update={"subjects": (asked,)}))
    assert (result.dataset_type, result.dataset_config) == (type_, "hard")
    assert (result.dataset_split, result.dataset_revision) == ("dev", "abc")


def test_what_the_hub_would_refuse_is_an_error():
    with pytest.raises(ArtifactError, match="a front matter that the Hub would refuse"):
        front_matter({"eval_results": 4}, "maths", [], Licence("mit"), None)


def test_a_result_takes_few_lines_and_reads_back_as_the_hub_wrote_it(tmp_path):
    found = read_comparison(save_comparison(tmp_path / "comparison.json"))
    data = front_matter(
        {"tags": ["maths"]}, "maths", ["google/gemma-3-4b-it"], Licence("gemma"), found, "0" * 64
    )
    text = front_matter_text(data)
    assert yaml.safe_load(text) == data.to_dict() == yaml.safe_load(str(data))
    assert len(text.splitlines()) <= 12 + 5 * len(found.subjects) < len(str(data).splitlines())
