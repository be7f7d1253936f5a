"""Tasks are found, or refused, before anything is loaded: the user's own, and those that run what models write."""

import sysconfig
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.evaluation.tasks import directions, find_tasks, folders_asked
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.miniature.build import Miniature

LM_EVAL = Path(sysconfig.get_path("purelib")) / "lm_eval" / "tasks"

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: general.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
generation_kwargs: {{max_gen_toks: 2, until: ["."]}}
process_results: !function ran.process_results
metric_list: [{{metric: ran, aggregation: mean, higher_is_better: true}}]
"""
CODE = """\
import os

def process_results(doc, results):
    return {"ran": int(os.environ.get("HF_ALLOW_CODE_EVAL") == "1")}
"""


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an experiment's file lies, and the working folder: tasks of the user's are in ``tasks``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "ran.py").write_text(CODE)
    add(tmp_path, "polite")
    add(tmp_path, "programs", "unsafe_code: true\ntag: [exercises]\n")
    (tmp_path / "tasks" / "all.yaml").write_text(
        "group: everything\ntask: [polite, {group: in, task: [programs]}]\n"
    )
    return tmp_path


def add(folder: Path, name: str, more: str = "") -> None:
    (folder / "tasks" / f"{name}.yaml").write_text(TASK.format(name=name) + more)


def evaluation(*tasks: str, **more: Any) -> EvaluationSettings:
    return EvaluationSettings(tasks=tasks, include_path="tasks", device="cpu", limit=1, **more)


def test_a_task_beside_the_experiment_is_found_from_the_working_folder_alone(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_tasks(evaluation("polite")).names == ("polite",)
    (beside / "elsewhere").mkdir()
    monkeypatch.chdir(beside / "elsewhere")
    words = r"include_path: expected a folder, got tasks \(paths are relative to the working folder, .*elsewhere\)"
    with pytest.raises(UsageError, match=words):
        find_tasks(evaluation("polite"))


@pytest.mark.parametrize("named", ["programs", "exercises", "everything", "prog*"])
def test_a_task_that_runs_what_a_model_writes_has_to_be_allowed_however_it_is_named(
    beside: Path, named: str
) -> None:
    with pytest.raises(
        UsageError, match=r"programs runs the code .*line `confirm_run_unsafe_code: true` under `evaluation:`"
    ):
        find_tasks(evaluation(named))
    assert named.strip("*") in find_tasks(evaluation(named, confirm_run_unsafe_code=True)).names[0]


@pytest.mark.parametrize("task", ["humaneval", "humaneval_plus", "mbpp", "mbpp_plus_instruct"])
def test_lm_evals_own_tasks_of_code_are_among_them(task: str) -> None:
    own = EvaluationSettings(tasks=(task,), include_path=str(LM_EVAL / task.partition("_")[0]))
    with pytest.raises(UsageError, match=f"{task} runs the code that a model writes"):
        find_tasks(own)


def test_code_that_was_allowed_is_run_with_what_its_metric_asks_for(
    beside: Path, tiny_miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(beside / "cache"))
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    (beside / "general.jsonl").write_text('{"text": "once"}\n')
    base = str(tiny_miniature.base)
    harness = Harness(evaluation("programs", confirm_run_unsafe_code=True), base)
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")  # as the harness has set it: taken back after the test
    harness.score(harness.load(base), base, beside / "out")
    (file,) = (beside / "out").rglob("results_*.json")
    assert '"ran,none": 1.0' in file.read_text()


@pytest.mark.parametrize(
    "yaml, told",
    [
        ("group: all\ntask: [refusal_sae]", {"refusal_sae_harmful": True, "refusal_sae_benign": False}),
        ("group: all\ntask: [polite, {group: in, task: [exercises]}]", {"polite": True, "programs": True}),
        (
            "group: all\ntask: [programs, {task: polite, metric_list: FALLS}]",
            {"programs": True, "polite": False},
        ),
        ("group: all\nmetric_list: FALLS\ntask: [exercises, polite]", {"programs": False, "polite": False}),
        ("group: all\ntask: [programs, {task: polite, metric_list: OTHER}]", {"programs": True}),
        ("group: all\ntask: [programs, {task: polite, filter_list: [{name: last}]}]", {"programs": True}),
        ("include: ../tasks/polite.yaml\ntask: all\nmetric_list: FALLS", {"all": False}),
    ],
)
def test_which_way_a_metric_runs_is_told_by_task_as_the_groups_around_it_have_it(
    beside: Path, yaml: str, told: dict[str, bool]
) -> None:
    falls, other = "[{metric: ran, higher_is_better: false}]", "[{metric: acc}]"
    (beside / "tasks" / "more.yaml").write_text(yaml.replace("FALLS", falls).replace("OTHER", other))
    found = find_tasks(evaluation("all", confirm_run_unsafe_code=True))
    metric = "refused" if "refusal_sae" in yaml else "ran"
    assert directions(found, f"{metric},none") == told
    assert directions(found, metric) == (told if "filter_list" not in yaml else {**told, "polite": True})


@pytest.mark.parametrize(
    "yaml, asked, ours",
    [
        (None, "gsm8k", []),  # lm-eval's own
        (None, "minerva_math_sae", ["minerva_math_sae"]),
        (None, "minerva_math_sae_chat_alg*", ["minerva_math_sae_chat"]),
        ("group: both\ntask: [polite, {group: in, task: [refusal_sae_benign]}]", "both", ["refusal_sae"]),
        ("include: {ours}/refusal_sae/refusal_sae_harmful.yaml\ntask: chat", "chat", ["refusal_sae"]),
        ("include: {ours}/refusal_sae/refusal_sae_harmful.yaml\ntask: chat", "polite", []),
        (
            "task: code\ndoc_to_text: !function sae_merge_method.lm_eval_tasks.refusal_sae.utils.x",
            "code",
            ["refusal_sae"],
        ),
    ],
)
def test_of_our_folders_those_count_that_an_asked_task_comes_from_and_of_the_user_s_the_whole(
    beside: Path, yaml: str | None, asked: str, ours: list[str]
) -> None:
    folders = [tasks_path() / folder for folder in ours]
    if yaml is None:
        assert folders_asked(EvaluationSettings(tasks=(asked,))) == folders
    else:
        (beside / "tasks" / "more.yaml").write_text(yaml.replace("{ours}", str(tasks_path())))
        assert folders_asked(evaluation(asked)) == [*folders, Path("tasks")]
