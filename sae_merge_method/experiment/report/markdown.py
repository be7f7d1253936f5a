"""``experiment.md``: the report for a repository or a terminal."""

import shlex

from sae_merge_method.artifacts.experiment import BY_HAND, Arm, Experiment
from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER, RECIPE_FILE
from sae_merge_method.experiment.report.claims import how_to_read
from sae_merge_method.experiment.report.tables import (
    Grid,
    arm_grid,
    layer_grid,
    projection_grid,
    subject_grid,
)
from sae_merge_method.experiment.report.words import (
    HOW_TO_READ_SUBJECTS,
    facts,
    how_to_read_arms,
    layer_words,
    notes,
    standing,
    title,
)
from sae_merge_method.reports.markdown import bullets, code, plain, section, table

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


def as_markdown(experiment: Experiment) -> str:
    """The whole report: same experiment, same text."""
    layers = layer_grid(experiment)
    found = experiment.projection
    parts = [
        f"# {plain(title(experiment))}",
        bullets([f"{name}: {plain(value)}" for name, value in facts(experiment)]),
        section(
            "What the numbers support",
            bullets(
                [
                    f"{plain(one.claim)}: **{one.answer}**, {plain(one.words)}"
                    for one in experiment.conclusions
                ]
            ),
            bullets([f"Note: {plain(note)}" for note in notes(experiment)]),
            plain(how_to_read(experiment)),
        ),
        section(
            "Arms",
            _table(arm_grid(experiment)),
            plain(" ".join([how_to_read_arms(experiment), *standing(experiment)])),
            bullets(
                [f"{code(arm.name)}: {plain(arm.says)}" for arm in experiment.arms if arm.role != "layer"]
            ),
        ),
        section("Subjects", _table(subject_grid(experiment)), HOW_TO_READ_SUBJECTS),
        "" if found is None else section("Projection", _table(projection_grid(found))),
        "" if layers is None else section("Single layers", _table(layers), plain(layer_words(experiment))),
        _by_hand(experiment),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _by_hand(experiment: Experiment) -> str:
    merged = [arm for arm in experiment.arms if arm.method is not None]
    return section(
        BY_HAND,
        "In the working folder of the experiment, with its folder in `EXP`:",
        "```sh\n" + "\n".join(commands(experiment)) + "\n```",
        bullets([f"{code(arm.name)}: {code(recipe_path(arm))}" for arm in merged]),
    )


def _table(grid: Grid) -> str:
    rows = []
    for place, row in enumerate(grid.rows):
        cells = [f"**{plain(cell.text)}**" if cell.strong else plain(cell.text) for cell in row]
        if place in grid.marked:
            cells[0] = f"**{cells[0]}**"
        rows.append(cells)
    return table([plain(heading) for heading in grid.header], rows, [plain(name) for name in grid.text])
