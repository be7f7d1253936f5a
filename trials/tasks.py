"""The trial's own lm-eval tasks: generated answers, matched exactly, with the problems beside them.

The prompt stands in the task whole, with instruction and worked example, so that no switch of ``lm_eval``
(chat template, few-shot) is needed or wanted.
"""

from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import write_text
from sae_merge_method.miniature.dataset import write_jsonl
from trials.abilities import Ability, ability_named, problems
from trials.settings import TrialSettings

ANSWER_TOKENS = 16
"""Most tokens that are generated: twice the longest right answer."""
VERSION = 1.0
"""Raised whenever a task would give another number for the same model."""


def task_name(ability: str) -> str:
    """What lm-eval calls an ability's task."""
    return f"trial_{ability}"


def make_tasks(settings: TrialSettings, folder: Path) -> None:
    """Write a task for every ability into ``folder``, for ``lm_eval --include_path``, unless they stand.

    A task names its problems by where ``folder`` is: lm-eval looks for them from wherever it is run.
    """
    if all((folder / f"{task_name(name)}.yaml").is_file() for name in settings.abilities):
        return
    with new_folder(folder) as new:
        for name in settings.abilities:
            ability, file = ability_named(name), f"problems/{name}.jsonl"
            drawn = problems(ability, "task", settings.task_problems)
            write_jsonl(new / file, [{"prompt": one.prompt, "answer": one.answer} for one in drawn])
            write_text(
                new / f"{task_name(name)}.yaml", dump_yaml(task_config(ability, folder.resolve() / file))
            )


def task_config(ability: Ability, problems_file: Path) -> dict[str, Any]:
    """The task as lm-eval reads it."""
    return {
        "task": task_name(ability.name),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(problems_file)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": " ",
        "num_fewshot": 0,
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": ANSWER_TOKENS},
        # The space between the prompt and its answer is no part of the answer.
        "filter_list": [
            {"name": "none", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": VERSION},
    }
