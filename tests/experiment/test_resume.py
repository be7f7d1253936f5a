"""What an earlier run left stands while it is made from the same things, part by part."""

import json
import os
import shutil
from pathlib import Path

import pytest

from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.experiment.plan import read_planned
from sae_merge_method.experiment.resume import jobs_of
from sae_merge_method.experiment.run import run_experiment
from sae_merge_method.experiment.settings import ExperimentSettings, RunSettings
from sae_merge_method.experiment.stamps import changed
from tests.experiment.ground import ARMS, SETTINGS, stamps, write_settings

EXP = Path("exp")
NOWHERE = RunSettings(overwrite=True, ray="127.0.0.1:1")
"""Run again what was made from other things, on a cluster that is not there: it ends before its first arm."""
GATED = """\
merge_method: sae_stethoscope
base_model: ./base
models: [{model: ./donor}]
parameters: {diagnosis: scores, select: top_k=1}
dtype: float32
"""


def depends_on(**other):
    """What the numbers of each arm depend on, by its name, under other settings than SETTINGS where told."""
    jobs = jobs_of(read_settings(ExperimentSettings, SETTINGS | other), read_planned(EXP), None, EXP)
    return {job.arm.name: job.depends_on for job in jobs}


def test_an_own_recipe_s_arm_depends_on_the_donors_that_it_names(copied):
    before = depends_on()
    for weights in (copied / "donor").glob("*.safetensors"):
        os.utime(weights, (0, 0))
    after = depends_on()  # of the plan that stands, which has the experiment's own donor as it was
    assert {name: changed(before[name], after[name]) for name in ARMS if before[name] != after[name]} == {
        "mine": ["recipe's donors"]
    }


@pytest.mark.parametrize("model, others", [("base", {*ARMS} - {"donor"}), ("donor", {"donor"})])
def test_every_arm_depends_on_the_tokenizer_and_the_chat_template_that_it_is_asked_with(
    copied, model, others
):
    before = depends_on()
    Path(model, "chat_template.jinja").write_text("{{ messages }}")
    after = depends_on()
    assert {name: changed(before[name], after[name]) for name in ARMS if before[name] != after[name]} == {
        name: ["files beside the weights"] for name in others
    }


def test_arms_of_an_older_version_stand_which_did_not_tell_of_tokenizers(copied):
    for file in EXP.glob("arms/*/arm.json"):
        record = json.loads(file.read_text())
        del record["depends_on"]["files beside the weights"]
        file.write_text(json.dumps(record | {"key": "of fewer parts"}))
    before = stamps(EXP / "arms" / "base")
    run_experiment("experiment.yml", EXP, RunSettings(workers=0))
    assert stamps(EXP / "arms" / "base") == before


def test_an_experiment_in_its_own_folder_of_tasks_is_none_of_them(copied):
    evaluation = SETTINGS["evaluation"] | {"include_path": "."}
    before = depends_on(evaluation=evaluation)
    (EXP / "logs" / "more.log").write_text("a line")
    assert depends_on(evaluation=evaluation) == before
    Path("tasks", "more.yaml").write_text("task: more")
    after = depends_on(evaluation=evaluation)
    assert all(changed(before[name], after[name]) == ["tasks"] for name in ARMS)


def test_arms_on_lm_eval_s_own_tasks_depend_on_no_folder_and_what_older_versions_told_of_one_stands(copied):
    evaluation = SETTINGS["evaluation"] | {"tasks": ["gsm8k"], "include_path": None}
    now = depends_on(evaluation=evaluation)["base"]
    assert "tasks" not in now
    assert changed(now | {"tasks": "of all our folders"}, now) == []


def test_a_page_for_people_in_a_folder_of_tasks_is_none_of_them(copied):
    before = depends_on()
    Path("tasks", "README.md").write_text("For people.")
    assert depends_on() == before


def test_a_plan_is_made_anew_where_the_scores_are_others_that_an_own_recipe_chooses_by(
    copied, sae_merge_experiment
):
    shutil.copytree(EXP / "diagnosis", "scores")
    Path("gated.yml").write_text(GATED)
    write_settings(copied, arms=[*SETTINGS["arms"], {"gated": "gated.yml"}])
    for best in (0, 2):
        file = Path("scores", "diagnosis.json")
        diagnosis = json.loads(file.read_text())
        for layer in diagnosis["layers"]:
            layer["null"]["corrected"] = 1000.0 * (layer["layer"] == best)
        file.write_text(json.dumps(diagnosis))
        result = sae_merge_experiment("plan")
        assert result.exit_code == 0, result.output
        assert read_plan(EXP).arms[-1].name == "gated" and read_plan(EXP).arms[-1].layers == (best,)


def test_an_arm_whose_folder_was_deleted_is_planned_and_run_again_and_no_other(copied, finished):
    arm = EXP / "arms" / "all-layers"
    shutil.rmtree(arm)
    others = {name: stamps(EXP / "arms" / name / "results") for name in ARMS if name != arm.name}
    run_experiment("experiment.yml", EXP, RunSettings(workers=0))
    assert (arm / "recipe.yml").read_bytes() == (finished.out / "arms" / arm.name / "recipe.yml").read_bytes()
    assert tuple(one.name for one in read_experiment(EXP).arms) == ARMS
    assert {name: stamps(EXP / "arms" / name / "results") for name in others} == others


@pytest.mark.parametrize("arm", ["all-layers", "mine"])
def test_a_recipe_that_was_changed_in_the_experiment_is_written_as_it_was_planned(
    copied, finished, sae_merge_experiment, arm
):
    recipe = Path("arms", arm, "recipe.yml")
    with (EXP / recipe).open("a") as file:
        file.write("# changed\n")
    result = sae_merge_experiment("plan")
    assert result.exit_code == 0, result.output
    assert (EXP / recipe).read_bytes() == (finished.out / recipe).read_bytes()
    assert read_plan(EXP) == read_plan(finished.out)


def test_a_plan_of_an_older_version_without_its_recipes_hashes_is_made_anew(
    copied, finished, sae_merge_experiment
):
    plan = json.loads((EXP / "plan.json").read_text())
    del plan["recipes"]
    (EXP / "plan.json").write_text(json.dumps(plan))
    result = sae_merge_experiment("plan")
    assert result.exit_code == 0, result.output
    assert (EXP / "plan.json").read_bytes() == (finished.out / "plan.json").read_bytes()


@pytest.mark.parametrize("damage", ["{", '{"schema_version": 3}'])
def test_an_arm_whose_record_cannot_be_read_is_done_again_only_where_told(copied, damage):
    (EXP / "arms" / "scalpel" / "arm.json").write_text(damage)
    before = stamps(EXP)
    with pytest.raises(ArtifactError, match=r"scalpel.arm\.json"):
        run_experiment("experiment.yml", EXP, RunSettings(workers=0))
    assert stamps(EXP) == before
    with pytest.raises(UsageError, match="no cluster to join"):
        run_experiment("experiment.yml", EXP, NOWHERE)
    assert {record.parent.name for record in EXP.glob("arms/*/arm.json")} == {*ARMS} - {"scalpel"}
