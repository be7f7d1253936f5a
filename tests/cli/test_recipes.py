"""``sae-merge recipes``: ready-made recipes and settings are listed, copied out, and can be read."""

import json
import re
import sysconfig
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.recipes import command
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.escape import terminal
from sae_merge_method.evaluation.tasks import find_tasks
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipes import ReadyFile, ready_recipes, ready_settings
from sae_merge_method.recipes.mergebench import BASES, DOMAINS, experiments
from sae_merge_method.recipes.suites import SUITE_MODELS
from sae_merge_method.saes import releases
from sae_merge_method.saes.find import find_saes

GEMMA_3_SIZES = {
    "270m": {"intermediate_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 1},
    "1b": {"intermediate_size": 6912, "num_attention_heads": 4, "num_key_value_heads": 1},
    "4b": {"intermediate_size": 10_240, "num_attention_heads": 8, "num_key_value_heads": 4},
    "12b": {"intermediate_size": 15_360, "num_attention_heads": 16, "num_key_value_heads": 8},
    "27b": {
        "intermediate_size": 21_504,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
    },
}
SIZES = {
    **{f"gemma-3-{size}{ending}": sizes for size, sizes in GEMMA_3_SIZES.items() for ending in ("", "-pt", "-it")},
    "gemma-2-2b": {"vocab_size": 256_000, "intermediate_size": 9216, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256},
    "gemma-2-9b": {"vocab_size": 256_000, "intermediate_size": 14_336, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256},
    "llama-3.1-8b": {"vocab_size": 128_256, "intermediate_size": 14_336, "num_attention_heads": 32, "num_key_value_heads": 8},
    "qwen3-1.7b-base": {"intermediate_size": 6144, "num_attention_heads": 16, "num_key_value_heads": 8, "tie_word_embeddings": True},
    "qwen3-8b-base": {"intermediate_size": 12_288, "num_attention_heads": 32, "num_key_value_heads": 8},
    "qwen3-30b-a3b-base": {"head_dim": 128},
}  # fmt: skip
"""Of the models whose numbers are known, what config.json says beside the row, where it is not the type's default."""
LM_EVAL = Path(sysconfig.get_path("purelib")) / "lm_eval" / "tasks"


def of(kind: str) -> list[ReadyFile]:
    return [one for one in ready_settings() if one.name.startswith(f"{kind}/")]


def listed(*words: str) -> list[list[str]]:
    """Name, model and the rest of each line of the table."""
    output = CliRunner().invoke(command, words, catch_exceptions=False).output
    return [line.split(maxsplit=2) for line in output.split("\n\n")[0].splitlines()[1:]]


def test_what_is_ready_is_listed_by_model_with_what_it_is():
    lines = listed()
    models = [model for _, model, _ in lines]
    assert [model for model, _ in groupby(models)] == [
        *(row.model for row in SUITE_MODELS.values()),
        "./base",
    ]
    of_one = {name: words for name, model, words in lines if model == "google/gemma-3-4b-it"}
    assert set(of_one) == {
        "diagnose/gemma-3-4b-it",
        "experiment/gemma-3-4b-it",
        "gemma-3-4b-it",
        "tune/gemma-3-4b-it",
    }
    assert of_one["diagnose/gemma-3-4b-it"].startswith("Which layers of Gemma 3 4B IT are specific to")


def test_each_ready_file_is_the_same_text_where_a_terminal_shows_it():
    assert all(terminal(one.text) == one.text for one in (*ready_settings(), *ready_recipes()))


def test_what_fits_is_found_by_id_or_by_the_shape_in_a_folders_config(tmp_path):
    assert {name for name, _, _ in listed("--for", "Qwen/qwen3-1.7B-Base@main")} == {
        "diagnose/qwen3-1.7b-base",
        "experiment/qwen3-1.7b-base",
    }
    row = SUITE_MODELS["gemma-3-270m"]
    text = {"model_type": row.model_type, "num_hidden_layers": 18, "hidden_size": 640}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}))
    found = {model for _, model, _ in listed("--for", str(tmp_path))}
    assert found == {"google/gemma-3-270m", "google/gemma-3-270m-it"}
    (tmp_path / "config.json").write_text(json.dumps(text | {"num_hidden_layers": 17}))
    with pytest.raises(UsageError, match=r"nothing ready fits .* \(gemma3_text, 17 layers, width 640\)"):
        listed("--for", str(tmp_path))
    with pytest.raises(ModelError, match="config.json"):
        listed("--for", str(tmp_path / "nowhere"))


def test_widths_are_those_that_releases_and_ids_are_named_with():
    for row in SUITE_MODELS.values():
        named = re.search(r"width_(\d+)k|-w(\d+)k-|_(8)x", f"{row.sae} {row.sae_id}")
        thousands = named[1] or named[2]
        assert row.d_sae == (1024 * int(thousands) if thousands else 8 * row.d_model), row.name


# Of models of one size, one.
COUNTED = {row.parameters: row for row in SUITE_MODELS.values() if row.parameters is not None}.values()


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row.name)
def test_parameters_are_those_of_transformers_own_model_of_these_sizes(row):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    sizes = {"num_hidden_layers": row.n_layers, "hidden_size": row.d_model, **SIZES[row.name]}
    see = row.model_type == "gemma3_text" and row.n_layers >= 34  # from 4B on Gemma 3 has a vision tower
    if see:
        tower = {
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
        }
        vision = tower | {"image_size": 896, "patch_size": 14, "vision_use_head": False}
        config = AutoConfig.for_model("gemma3", text_config=sizes, vision_config=vision)
    elif row.model_type == "gemma3_text":
        config = AutoConfig.for_model(row.model_type, vocab_size=262_144, **sizes)
    else:
        config = AutoConfig.for_model(row.model_type, **sizes)
    with torch.device("meta"):
        model = (AutoModelForImageTextToText if see else AutoModelForCausalLM).from_config(config)
    assert sum(one.numel() for one in model.parameters()) == row.parameters


@pytest.mark.parametrize("row", SUITE_MODELS.values(), ids=lambda row: row.name)
def test_each_suite_stands_in_saelens_table_for_this_model_and_covers_every_layer(row):
    release = releases._table()[row.sae]
    assert row.model.rpartition("/")[2] == release["model"].rpartition("/")[2]
    layers = [address.layer for address in find_saes(row.sae, row.sae_id, range(2 * row.n_layers))]
    assert layers == list(range(row.n_layers))


def test_a_configuration_is_copied_out_under_the_name_its_own_comment_uses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for configuration in of("diagnose"):
        result = CliRunner().invoke(command, [configuration.name], catch_exceptions=False)
        copy = tmp_path / result.output.strip()
        assert f"sae-merge diagnose --config {copy.name} --out diagnosis/" in copy.read_text()
        assert read_settings(DiagnoseSettings, {}, copy).model == configuration.model


def test_mergebenchs_donors_are_named_with_the_bases_and_the_domains_that_it_publishes():
    made = {
        name: read_settings(ExperimentSettings, yaml.safe_load(text)) for name, text in experiments().items()
    }
    assert len(made) == len(BASES) * len(DOMAINS) == 15
    for name, one in made.items():
        base, _, domain = one.donor.removeprefix("MergeBench/").partition("_")
        assert one.base in {f"google/{base}", f"meta-llama/{base}"} and domain in DOMAINS
        assert name == f"mergebench-{base.lower()}-{domain}"
        assert (one.evaluation.confirm_run_unsafe_code, one.rank) == (False, None)


def test_code_is_run_where_the_user_himself_says_so(tmp_path):
    text = experiments()["mergebench-gemma-2-2b-coding"]
    asked = read_settings(ExperimentSettings, yaml.safe_load(text)).evaluation
    shipped = asked.model_copy(update={"include_path": str(LM_EVAL / "mbpp")})
    with pytest.raises(
        UsageError, match="mbpp runs the code .*write the line `confirm_run_unsafe_code: true` under"
    ):
        find_tasks(shipped)
    allowed = text.replace("confirm_run_unsafe_code: false", "confirm_run_unsafe_code: true")
    assert read_settings(ExperimentSettings, yaml.safe_load(allowed)).evaluation.confirm_run_unsafe_code


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_every_task_of_a_ready_experiment_is_one_of_lm_evals_or_ours_and_has_its_metric(domain):
    from lm_eval.tasks._yaml_loader import load_yaml

    for task in domain.measuring.tasks.split(","):
        files = (*LM_EVAL.rglob(f"{task}.yaml"), *tasks_path().rglob(f"{task}.yaml"))
        read = [load_yaml(file, resolve_func=False) for file in files]
        (stated,) = [one for one in read if task == one.get("group", one.get("task"))]
        metrics = stated.get("metric_list") or stated["aggregate_metric_list"]
        # Of a function the name is what its module calls it.
        assert domain.measuring.metric in {str(one["metric"]).rpartition(".")[2] for one in metrics}, task


@pytest.mark.parametrize("ready", of("experiment"), ids=lambda one: one.name)
def test_an_experiment_can_be_read_and_says_the_command_that_runs_it(ready, tmp_path):
    file = tmp_path / "experiment.yml"
    file.write_text(ready.text)
    found = read_settings(ExperimentSettings, {}, file)
    assert found.to_diagnose().model == found.base and found.general_loss is not None
    assert "sae-merge experiment run experiment" in ready.text


def test_experiment_and_diagnosis_of_a_model_listen_to_the_same(tmp_path):
    texts = {one.name: one.text for one in ready_settings()}
    for name in SUITE_MODELS:
        for kind in ("diagnose", "experiment"):
            (tmp_path / kind).write_text(texts[f"{kind}/{name}"])
        made = read_settings(ExperimentSettings, {}, tmp_path / "experiment").to_diagnose()
        assert made == read_settings(DiagnoseSettings, {}, tmp_path / "diagnose")


def test_a_ready_recipe_is_listed_and_copied_out_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [name for name, _, _ in listed() if "/" not in name] == ["gemma-3-4b-it", "miniature"]
    assert CliRunner().invoke(command, ["gemma-3-4b-it"]).output == "gemma-3-4b-it.yml\n"
    assert "merge_method: sae_stethoscope" in (tmp_path / "gemma-3-4b-it.yml").read_text()
    with pytest.raises(UsageError, match=r"gemma-3-4b-it\.yml exists"):
        CliRunner().invoke(command, ["gemma-3-4b-it"], catch_exceptions=False, standalone_mode=False)


def test_a_dash_copies_a_ready_file_to_standard_output_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["diagnose/gemma-3-4b-it", "--out", "-"], catch_exceptions=False)
    assert [result.output] == [one.text for one in of("diagnose") if one.name == "diagnose/gemma-3-4b-it"]
    assert not list(tmp_path.iterdir())


def test_every_ready_recipe_is_read_strictly():
    for recipe in ready_recipes():
        gate = parse_recipe(recipe.text, recipe.name).parameters.diagnosis
        assert gate is not None and gate.endswith("diagnosis/diagnosis.json")
