"""The commands that do one arm again without the experiment: merge its recipe, evaluate the result."""

import shlex

from sae_merge_method.artifacts.experiment import Arm, Experiment
from sae_merge_method.artifacts.experiment_arm import RECIPE_FILE
from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER

_MODEL_ARGS = "model_args"


def recipe_path(arm: Arm) -> str:
    """Where an arm's recipe lies in the experiment's folder."""
    return f"{ARMS_FOLDER}/{arm.name}/{RECIPE_FILE}"


def commands(experiment: Experiment) -> list[str]:
    """For the pick, or the first arm that is merged; ``$EXP`` stands for the experiment's folder."""
    merged = [arm for arm in experiment.arms if arm.method is not None]
    first = next((arm for arm in merged if arm.role == "pick"), merged[0] if merged else None)
    merge = [] if first is None else [f'sae-merge merge "$EXP/{recipe_path(first)}" out/']
    return [*merge, evaluate(experiment, "out/" if merge else experiment.base)]


def evaluate(experiment: Experiment, model: str) -> str:
    """lm-eval's command as the experiment called it."""
    asked = dict(experiment.evaluation)
    words = ["lm_eval", "run", "--model", str(asked.pop("model", "hf"))]
    given = asked.pop(_MODEL_ARGS, None)
    words += [f"--{_MODEL_ARGS}", f"pretrained={model}" + (f",{given}" if given else "")]
    for name, value in asked.items():
        if value is None:
            continue
        words.append(f"--{name}")
        if value is not True:
            words.append(str(value))
    return shlex.join([*words, "--output_path", "results/", "--log_samples"])
