"""``experiment.md``: the report for a repository or a terminal."""

import shlex

from sae_merge_method.artifacts.experiment import BY_HAND, Experiment, MeasuredArm
from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER, RECIPE_FILE
from sae_merge_method.experiment.report.claims import how_to_read
from sae_merge_method.experiment.report.shown import SHOWN, Shown
from sae_merge_method.experiment.report.words import facts, notes, standing, title
from sae_merge_method.reports.grid import as_markdown as as_markdown_table
from sae_merge_method.reports.markdown import bullets, code, fence, plain, section

_MODEL_ARGS = "model_args"


def recipe_path(arm: MeasuredArm) -> str:
    """Where an arm's recipe lies in the experiment's folder."""
    return f"{ARMS_FOLDER}/{arm.name}/{RECIPE_FILE}"


def commands(experiment: Experiment) -> list[str]:
    """For the pick, or the first arm that is merged; ``$EXP`` stands for the experiment's folder."""
    merged = [arm for arm in experiment.arms if arm.method is not None]
    first = experiment.pick or next(iter(merged), None)
    merge = [] if first is None else [f'sae-merge merge "$EXP"/{shlex.quote(recipe_path(first))} out/']
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


def as_markdown(experiment: Experiment) -> str:
    """The whole report: same experiment, same text."""
    parts = [
        f"# {plain(title(experiment))}",
        bullets([f"{name}: {plain(value)}" for name, value in facts(experiment)]),
        section(
            "What the numbers support",
            bullets(
                [
                    f"{plain(one.claim)}: **{one.answer}**, {plain(one.evidence)}"
                    for one in experiment.conclusions
                ]
            ),
            bullets([f"Note: {plain(note)}" for note in notes(experiment)]),
            plain(how_to_read(experiment)),
        ),
        *(_table(shown, experiment) for shown in SHOWN),
        _by_hand(experiment),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(shown: Shown, experiment: Experiment) -> str:
    grid = shown.grid(experiment)
    if grid is None:
        return ""
    words, after = [shown.words(experiment)], ""
    if shown.is_of_arms:  # where the pick stands among them, and what each is for
        words += standing(experiment)
        after = bullets(
            [f"{code(arm.name)}: {plain(arm.description)}" for arm in experiment.arms if arm.role != "layer"]
        )
    return section(shown.heading, as_markdown_table(grid), plain(" ".join(words)), after)


def _by_hand(experiment: Experiment) -> str:
    merged = [arm for arm in experiment.arms if arm.method is not None]
    return section(
        BY_HAND,
        "In the working folder of the experiment, with its folder in `EXP`:",
        fence("\n".join(commands(experiment)), "sh"),
        bullets([f"{code(arm.name)}: {code(recipe_path(arm))}" for arm in merged]),
    )
