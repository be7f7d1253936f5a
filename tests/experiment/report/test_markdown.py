"""The report in Markdown: for a repository, and for a model card."""

import shlex
import shutil
from pathlib import Path

from lm_eval._cli.harness import HarnessCLI

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.report.collect import collect
from sae_merge_method.experiment.report.markdown import as_markdown, commands, evaluate
from sae_merge_method.publish.of_experiment import Matched, experiment_section
from tests import tiny
from tests.attributions import save_attribution
from tests.experiment.report.folders import BASE, PICK, lay_out


def test_the_arm_by_hand_is_evaluated_as_the_experiment_did(folder: Path, experiment: Experiment) -> None:
    asked = {"model": "hf", "tasks": "maths,gsm8k", "model_args": "dtype=float32", "limit": 20.0}
    asked |= {"apply_chat_template": True, "fewshot_as_multiturn": False, "gen_kwargs": "max_gen_toks=9"}
    called = experiment.model_copy(update={"evaluation": asked})
    program, *words = shlex.split(evaluate(called, "out/"))
    assert program == "lm_eval"
    read = HarnessCLI()._parser.parse_args(words)
    assert (read.model, read.tasks, read.limit) == ("hf", ["maths", "gsm8k"], 20.0)
    assert read.model_args == {"pretrained": "out/", "dtype": "float32"}
    assert (read.apply_chat_template, read.fewshot_as_multiturn) == (True, False)
    assert (read.gen_kwargs, read.log_samples) == ({"max_gen_toks": 9}, True)
    text = (folder / "experiment.md").read_text()
    assert 'sae-merge merge "$EXP"/arms/stethoscope/recipe.yml out/' in text
    assert "- `scalpel`: `arms/scalpel/recipe.yml`" in text
    assert "arms/donor/recipe.yml" not in text


def test_a_name_in_a_command_by_hand_runs_nothing(experiment: Experiment) -> None:
    name = "a$(touch x)`b`; c 'd"
    arms = tuple(
        arm.model_copy(update={"name": name}) if arm.role == "selected" else arm for arm in experiment.arms
    )
    merge, _ = commands(experiment.model_copy(update={"arms": arms}))
    assert shlex.split(merge) == ["sae-merge", "merge", f"$EXP/arms/{name}/recipe.yml", "out/"]
    assert merge.startswith('sae-merge merge "$EXP"/' + "'")


def test_a_card_takes_the_report_without_the_commands_on_its_files(folder: Path) -> None:
    section = experiment_section(folder, Matched("nobody knows"))
    opening = "**Not known to be of this checkpoint** (allowed): nobody knows"
    assert section.startswith(f"## What else was tried\n\n{opening}\n\n- base: ./base")
    assert "### What the numbers support" in section and "### Single layers" in section
    assert "recipe.yml" not in section and "By hand" not in section


def test_what_each_layer_carries_of_the_donor_stands_where_it_was_attributed(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "exp", [BASE, PICK])
    assert "What each layer carries" not in as_markdown(collect(folder))
    base, donor = (tiny.gemma3_text(tmp_path / f"model-{seed}", seed) for seed in (0, 1))
    made = save_attribution(tmp_path / "attribution", base, donor)
    shutil.copyfile(made / "attribution.json", folder / "attribution.json")
    text = as_markdown(collect(folder))
    assert "## What each layer carries" in text
    assert "Of the donor's gain of 1.5000 nats a token on maths.jsonl, layer 1 carries 60.0%." in text
    assert "the damage to prose.jsonl" in text
