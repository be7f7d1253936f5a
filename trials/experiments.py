"""The experiment of one donor: which arms, which picks, and the tasks that each arm is judged by.

Beside exact answers an arm is judged by how many nats it needs for the right answers, and for a text near the
ability. Those are tasks of lm-eval as well, so that every arm, a projection too, is judged in the same way.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.attribution import read_attribution
from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.layers import Unit, format_layers
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, write_recipe
from sae_merge_method.selection import choose_layers, parse_rule
from trials.folder import DonorName, TrialFolder
from trials.sizes import Sizes

ANSWERS, NEAR = "answers", "near"
"""What nats are told of: the right answers, and the text near the ability."""
LOGLIKELIHOOD = "perplexity"
"""lm-eval's name for what those tasks tell of a document."""
OWN_SCORE = "kl_bits"
"""The score of the diagnosis itself: its pick is the experiment's."""
WITHOUT_LAST = "without-the-last"
"""The arm of all layers but the last, in which damage often lies, at one weight of the damping curve."""
TUNED = "tuned"
"""The arm of what ``sae-merge tune`` found."""
FEW_ARMS = ("all-layers", "damped", "scalpel", "donor", "random-layers", "every-nth", "window")
FEW_PICKS = ("attributed_gain", "probe_gain")
"""Scores whose picks are arms of every donor."""
MANY_ARMS = (
    *FEW_ARMS,
    "random-spread",
    "largest-task-vector",
    "scalpel-random",
    "stethoscope-energy-matched",
)
ROUNDINGS = ("stochastic", "float32")
"""Beside nearest, which all other experiments round by."""


def pick_arm(score: str) -> str:
    """Name of the arm of a score's pick."""
    return f"pick-{score}"


def nats_task(ability: str, what: str) -> str:
    """Name of a task that tells nats."""
    return f"trial_{ability}_{what}"


def write_tasks(folder: TrialFolder, sizes: Sizes) -> None:
    """Write the tasks that tell nats beside every ability's task of exact answers, unless they stand.

    All of them before any experiment: one that is interrupted goes on only beside the tasks it began with.
    """
    for ability in folder.abilities():
        if not (folder.root / folder.tasks / f"{nats_task(ability, NEAR)}.yaml").is_file():
            _write_tasks_of(folder, ability, sizes)


def _write_tasks_of(folder: TrialFolder, ability: str, sizes: Sizes) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder.root / folder.base)

    def row(prompt: str, answer: str) -> dict[str, Any]:
        before = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        whole = len(tokenizer(prompt + answer, add_special_tokens=False)["input_ids"])
        return {"prompt": prompt, "completion": answer, "tokens": max(1, whole - before)}

    problems = read_corpus(str(folder.root / folder.target(ability)), max_documents=sizes.answers).problems
    assert problems is not None, "problems have a prompt and a completion"
    near = read_corpus(str(folder.root / folder.near(ability)), max_documents=sizes.near_passages).documents
    rows = {
        ANSWERS: [row(*problem) for problem in problems],
        NEAR: [row("", text[: sizes.near_characters]) for text in near],
    }
    for what, documents in rows.items():
        data = folder.root / folder.tasks / "nats" / f"{ability}-{what}.jsonl"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text("".join(json.dumps(one) + "\n" for one in documents), encoding="utf-8")
        task = {
            "task": nats_task(ability, what),
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data.resolve())}},
            "test_split": "test",
            "output_type": "loglikelihood",
            "doc_to_text": "{{prompt}}",
            "doc_to_target": "{{completion}}",
            "target_delimiter": "",
            # lm-eval's name for a document's log-likelihood. Its mean has an error of its own; a perplexity's
            # would be bootstrapped for every arm, for longer than the arm takes.
            "metric_list": [{"metric": LOGLIKELIHOOD, "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": 1.0},
        }
        (folder.root / folder.tasks / f"{task['task']}.yaml").write_text(dump_yaml(task), encoding="utf-8")


def write_picks(folder: TrialFolder, donor: DonorName, sizes: Sizes, few: bool) -> dict[str, str]:
    """Write a recipe for every score's pick, each set of layers once.

    Args:
        folder: The trial's.
        donor: Whose task vector is injected.
        sizes: How many layers a score picks.
        few: Only the picks that every donor has.

    Returns:
        Recipe by name of the arm, relative to the trial's folder.
    """
    diagnosis = read_diagnosis(folder.root / folder.diagnosis(donor.ability))
    attribution = read_attribution(folder.root / folder.attribution(donor))
    rule = parse_rule(f"top_k={sizes.pick}")
    arms: dict[str, str] = {}
    taken: set[tuple[Unit, ...]] = {choose_layers(rule, diagnosis.scores(), diagnosis.q_values())}
    asked: list[tuple[str, RecipeSettings]] = []

    def ask(score: str, scores: Mapping[Any, float], at: str, by: str | None, select: str) -> None:
        layers = choose_layers(parse_rule(select), scores)
        if layers in taken:
            return
        taken.add(layers)
        told = select if by else f"layers={format_layers(layers)}"
        settings = RecipeSettings(
            diagnosis=at, base=folder.base, donor=folder.donor(donor), select=told, score=by
        )
        asked.append((pick_arm(score), settings))

    for one in attribution.scores:
        if few and one.name not in FEW_PICKS:
            continue
        ask(one.name, attribution.scores_by(one.name), folder.attribution(donor), one.name, str(rule))
    best = "attributed_gain_per_damage"
    if best in {one.name for one in attribution.scores}:
        spread = f"spread={sizes.pick}"
        ask(f"{best}-spread", attribution.scores_by(best), folder.attribution(donor), best, spread)
    if not few:
        but_last = f"layers=0-{diagnosis.model.n_layers - 2}"
        all_but_one = RecipeSettings(
            diagnosis=folder.diagnosis(donor.ability), base=folder.base, donor=folder.donor(donor),
            select=but_last, weight=sizes.without_last,
        )  # fmt: skip
        asked.append((WITHOUT_LAST, all_but_one))
        for other in diagnosis.others:
            if other.kind == "score":
                ask(other.name, other.scores, folder.diagnosis(donor.ability), None, str(rule))
    for arm, settings in asked:
        at = folder.recipe(donor, arm)
        arms[arm] = at
        _write_recipe(folder, settings, at)
    return arms


def _write_recipe(folder: TrialFolder, settings: RecipeSettings, at: str) -> None:
    import os

    here = Path.cwd()
    (folder.root / at).parent.mkdir(parents=True, exist_ok=True)
    os.chdir(folder.root)  # a recipe names its models as the folder's commands do
    try:
        write_recipe(settings, at, overwrite=True)
    finally:
        os.chdir(here)


def experiment_text(
    folder: TrialFolder, donor: DonorName, sizes: Sizes, own: dict[str, str], few: bool, device: str
) -> str:
    """The experiment's file."""
    arms: list[str | dict[str, str]] = list(FEW_ARMS if few else MANY_ARMS)
    arms += [{name: recipe} for name, recipe in own.items()]
    common = _common(folder, donor, sizes, [ANSWERS, NEAR], device)
    return dump_yaml({**common, **_controls(sizes), "arms": arms})


def rounding_text(folder: TrialFolder, donor: DonorName, sizes: Sizes, rounding: str, device: str) -> str:
    """The file of the experiment of all layers at every weight, written in another way."""
    written = {"out_dtype": "float32"} if rounding == "float32" else {"rounding": rounding}
    common = _common(folder, donor, sizes, [ANSWERS], device)
    return dump_yaml({**common, **_controls(sizes), **written, "arms": ["all-layers", "damped"]})


def _common(
    folder: TrialFolder, donor: DonorName, sizes: Sizes, nats: list[str], device: str
) -> dict[str, Any]:
    ability = donor.ability
    return {
        "base": folder.base,
        "donor": folder.donor(donor),
        "diagnosis": folder.diagnosis(ability),
        "select": f"top_k={sizes.pick}",
        "evaluation": {
            "model": "hf",
            "model_args": {"dtype": "float32"},
            "tasks": [folder.task(ability), *(nats_task(ability, what) for what in nats)],
            "include_path": folder.tasks,
            "num_fewshot": 0,
            "limit": sizes.problems,
            "batch_size": sizes.together,
            "device": device,
        },
        "general_loss": {
            "corpus": folder.passages(folder.prose),
            "max_documents": sizes.passages,
        },
    }


def _controls(sizes: Sizes) -> dict[str, Any]:
    return {
        "damping": list(sizes.damping),
        "random_layers": sizes.random_sets,
        "random_spread": sizes.random_sets,
        "rank": sizes.rank,
    }
