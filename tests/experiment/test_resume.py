"""What an earlier run left stands while it is made from the same things, part by part."""

import json
import os
import shutil
from pathlib import Path

from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.experiment.plan import read_planned
from sae_merge_method.experiment.resume import jobs_of
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.experiment.stamps import changed
from tests.experiment.ground import ARMS, SETTINGS, write_settings

EXP = Path("exp")
GATED = """\
merge_method: sae_stethoscope
base_model: ./base
models: [{model: ./donor}]
parameters: {diagnosis: scores, select: top_k=1}
dtype: float32
"""


def depends_on():
    """What the numbers of each arm depend on, by its name."""
    jobs = jobs_of(read_settings(ExperimentSettings, SETTINGS), read_planned(EXP), None)
    return {job.arm.name: job.depends_on for job in jobs}


def test_an_own_recipe_s_arm_depends_on_the_donors_that_it_names(copied):
    before = depends_on()
    for weights in (copied / "donor").glob("*.safetensors"):
        os.utime(weights, (0, 0))
    after = depends_on()  # of the plan that stands, which has the experiment's own donor as it was
    assert {name: changed(before[name], after[name]) for name in ARMS if before[name] != after[name]} == {
        "mine": ["recipe's donors"]
    }


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
            layer["score"] = 1000.0 * (layer["layer"] == best)
        file.write_text(json.dumps(diagnosis))
        result = sae_merge_experiment("plan")
        assert result.exit_code == 0, result.output
        assert read_plan(EXP).arms[-1].name == "gated" and read_plan(EXP).arms[-1].layers == (best,)
