"""What a plan says while nothing is at hand: of ready experiments offline, and of models that lie here."""

import re
from pathlib import Path

import pytest
import yaml

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.errors import ModelError
from sae_merge_method.experiment.forecast import Forecast, forecast
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.run import plan_experiment
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.recipes.mergebench import experiments
from sae_merge_method.recipes.suites import SUITE_MODELS
from tests.experiment.ground import OWN, SETTINGS


@pytest.mark.parametrize(
    "name, layers, size, saes",
    [
        ("mergebench-gemma-2-9b-math", 42, "18.5 GB", "19.7 GB"),
        ("mergebench-llama-3.1-8b-safety", 32, "16.1 GB", "34.4 GB"),
    ],
)
def test_a_ready_experiment_says_offline_what_it_takes_and_what_it_could_not_ask(
    name: str, layers: int, size: str, saes: str
) -> None:
    ahead = forecast(read_settings(ExperimentSettings, yaml.safe_load(experiments()[name])))
    assert (ahead.n_layers, len(ahead.arms), ahead.documents) == (layers, 50, 300)
    assert ahead.arms[0] == "base" and len({*ahead.arms}) == 50
    printed = plan_table(ahead)
    assert f"Which of the {layers} layers top_k=6 takes" in printed
    (of_saes,) = [line for line in printed.splitlines() if line.startswith("SAEs ")]
    assert of_saes.count(saes) == 2  # in size, and to fetch
    (of_donor,) = [line for line in printed.splitlines() if line.startswith("donor  MergeBench/")]
    assert of_donor.count(size) == 2 and of_donor.rstrip().endswith("as the base")
    assert "Not asked:\n- " in printed and "is not in the Hub's cache" in printed
    assert f"GPU memory: {size} of weights while an arm is evaluated" in printed
    assert (
        f"one that cannot be is merged, {size}; " in printed.replace("\n", " ")
        and "50 arms, 50 of them to do" in printed
    )
    assert "How many problems there are is not known" in printed
    assert "for +2.0 points and" in printed.replace("\n", " ")


def test_a_ready_experiment_of_a_model_that_answers_in_turns_can_be_planned_in_its_chat_as_it_says(
    fresh: Path,
) -> None:
    told = {row.name for row in SUITE_MODELS.values() if "# in a chat: " in row.experiment}
    assert {"gemma-3-270m-it", "gemma-3-4b-it", "qwen3.5-27b"} <= told
    assert not told & {"gemma-3-270m", "gemma-3-4b-pt", "gemma-2-2b", "qwen3-8b-base"}
    stated = SUITE_MODELS["gemma-3-4b-it"].experiment
    plain, in_chat = (
        read_settings(ExperimentSettings, yaml.safe_load(text))
        for text in (stated, re.sub(r"(?m): \S+ # in a chat: ", ": ", stated))
    )
    here = {name: SETTINGS[name] for name in ("base", "donor", "diagnosis", "select", "general_loss")}
    for asked, metric, tokens in ((plain, "exact_match", 256), (in_chat, "math_verify", 2048)):
        settings = read_settings(ExperimentSettings, asked.model_dump(mode="json") | here)
        ahead = forecast(settings)
        assert settings.metric == metric and {task.tokens for task in ahead.tasks} == {tokens}
        assert settings.evaluation.apply_chat_template is (asked is in_chat)
        assert len(ahead.tasks) == 7 and ahead.problems > 0


def test_of_models_that_lie_here_their_own_files_tell_and_a_folder_that_is_none_is_refused(
    fresh: Path,
) -> None:
    settings = read_settings(ExperimentSettings, SETTINGS)
    ahead = forecast(settings)
    base, donor, saes = ahead.needs.items
    weights = sum(file.stat().st_size for file in (fresh / "base").glob("*.safetensors"))
    assert base.size is not None and base.size >= weights
    assert (base.missing, donor.missing, saes.missing) == (0, 0, 0) and ahead.needs.missing == 0
    assert ahead.problems == 6 and {task.tokens for task in ahead.tasks} == {16}
    assert "on this machine" in plan_table(ahead) and not (fresh / "exp").exists()
    with pytest.raises(ModelError, match="there is no folder path/to/finetune, and it is no Hub id"):
        forecast(settings.model_copy(update={"donor": "path/to/finetune"}))


def test_a_donor_that_only_the_user_s_own_recipe_names_is_among_what_a_plan_would_have_to_fetch(
    copied: Path,
) -> None:
    (copied / "own.yml").write_text(OWN.replace("./donor", "someone/else"))
    ahead = plan_experiment("experiment.yml", "exp")
    assert isinstance(ahead, Forecast)  # nothing is fetched for a plan
    (own,) = [item for item in ahead.needs.items if item.name == "someone/else"]
    assert own.what == "own recipe's donor" and own.unasked is not None
