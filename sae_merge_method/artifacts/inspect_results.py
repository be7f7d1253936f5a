"""Logs of inspect_ai as one evaluation, in the form in which lm-eval's results are read.

A log is one task; a folder of them is one model's evaluation. What a sample holds is read by
``inspect_log``, what its scores come to by ``inspect_scores``.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.inspect_log import SUFFIX, Log, is_log, read_header, read_log
from sae_merge_method.artifacts.inspect_scores import ReducedScore, reduced_scores
from sae_merge_method.artifacts.lm_eval_results import DataSet, EvalRun, Score, TaskRun
from sae_merge_method.errors import ArtifactError

logger = logging.getLogger(__name__)

HARNESS = "inspect_ai"
_LIMITS = ("message_limit", "token_limit", "time_limit", "working_limit", "cost_limit")
_STAMPED = "????-??-??T*.json"
"""How inspect_ai calls a JSON log: the time, the task, an id."""
_NOTHING_EXTRACTED = "[invalid]"
"""lm-eval's own word for it."""


def find_logs(path: Path) -> tuple[Path, ...]:
    """The logs that a path names: a log, or those of a folder; none where there are none.

    Raises:
        ArtifactError: A folder that holds results of lm-eval as well.
    """
    if not path.is_dir():
        return (path,) if is_log(path) else ()
    named = {*path.rglob(f"*{SUFFIX}"), *path.rglob(_STAMPED), *path.glob("*.json")}
    logs = tuple(sorted(file for file in named if not file.name.startswith("results") and is_log(file)))
    if logs and any(path.rglob("results*.json")):
        raise ArtifactError(f"{path} holds results of lm-eval and logs of inspect_ai: name one of them")
    return logs


def read_logs(paths: Sequence[Path]) -> EvalRun:
    """Read logs of one model as one evaluation; of several logs of a task the newest counts, with a warning.

    Raises:
        ArtifactError: A log is damaged or did not come to its end, or they are of several models.
    """
    newest: dict[str, tuple[str, Path]] = {}
    headers = {path: read_header(path)["eval"] for path in paths}
    models = sorted({str(header["model"]) for header in headers.values()})
    if len(models) > 1:
        raise ArtifactError(f"{paths[0].parent} holds logs of several models, name one: {', '.join(models)}")
    for path, header in headers.items():
        task = str(header["task"])
        newest[task] = max(newest.get(task, ("", path)), (str(header.get("created", "")), path))
    if len(newest) < len(paths):
        names = ", ".join(path.name for _, path in newest.values())
        logger.warning("%s holds %d logs: taking the newest, %s", paths[0].parent, len(paths), names)
    return _run({task: read_log(path) for task, (_, path) in newest.items()})


def _run(logs: Mapping[str, Log]) -> EvalRun:
    first = next(iter(logs.values()))
    spec = first.header["eval"]
    provider, _, name = str(spec["model"]).partition("/")
    for log in logs.values():
        if (log.header["eval"].get("model_args") or {}) != (spec.get("model_args") or {}):
            raise ArtifactError(f"{first.path.parent} holds logs of different model_args, name one of them")
    scores = {task: reduced_scores(log) for task, log in logs.items()}
    keys = [score.key for reduced in scores.values() for score in reduced]
    model_args = dict(spec.get("model_args") or {})
    if spec.get("model_base_url"):
        model_args["base_url"] = spec["model_base_url"]
    return EvalRun(
        path=first.path,
        model=str(model_args.get("model_path") or name or provider),
        date=None,
        lm_eval_version=None,
        multiturn=False,
        tasks={task: _task(task, log, scores[task]) for task, log in logs.items()},
        groups={},
        raw={
            "harness": HARNESS,
            "inspect_version": (spec.get("packages") or {}).get(HARNESS),
            "model_source": provider,
            "config": {"model": provider, "model_args": model_args},
            "configs": {task: _settings(log) for task, log in logs.items()},
            "samples": {task: _rows(log, scores[task]) for task, log in logs.items()},
        },
        usual_metric=keys[0].partition(",")[0] if keys else "accuracy",
    )


def _task(task: str, log: Log, scores: Sequence[ReducedScore]) -> TaskRun:
    spec = log.header["eval"]
    problems = len({sample.id for sample in log.samples})
    scored = min((len(score.values) for score in scores), default=0)
    if scored < problems:
        failed = len({sample.id for sample in log.samples if sample.failed})
        logger.warning(
            "%s: %d of %d samples have no score, %d of them because of an error: they are left out",
            log.path, problems - scored, problems, failed,
        )  # fmt: skip
    data = spec.get("dataset") or {}
    source = data.get("name") or data.get("location")
    version = spec.get("task_version")
    return TaskRun(
        name=task,
        scores={score.key: Score(score.value, score.stderr, higher_is_better=True) for score in scores},
        n=scored,
        n_original=None,
        version=None if version is None else str(version),
        n_shot=None,
        task_hash=None,
        generation=None,
        dataset=DataSet(path=str(source), name=None, split=None, arguments={}) if source else None,
        token_limit=_generation(log).get("max_tokens"),
    )


def _generation(log: Log) -> dict[str, Any]:
    """How answers were generated: the model's settings, and the task's over them."""
    spec, plan = log.header["eval"], log.header.get("plan") or {}
    both = {**(spec.get("model_generate_config") or {}), **(plan.get("config") or {})}
    return {name: value for name, value in both.items() if value is not None}


def _settings(log: Log) -> dict[str, Any]:
    """What a task was run under, by the names that ``compare``'s table of conditions has."""
    spec, plan = log.header["eval"], log.header.get("plan") or {}
    config = spec.get("config") or {}
    steps = [(step.get("solver"), step.get("params") or {}) for step in plan.get("steps") or ()]
    return {
        "generate": _generation(log),
        "solver": [[name, params] for name, params in steps],
        "task_args": spec.get("task_args") or {},
        "scorers": [[one.get("name"), one.get("options") or {}] for one in spec.get("scorers") or ()],
        "model_roles": spec.get("model_roles") or {},
        "epochs": config.get("epochs") or 1,
        "epochs_reducer": config.get("epochs_reducer") or ["mean"],
        "limits": {name: config[name] for name in _LIMITS if config.get(name) is not None},
        "sandbox": spec.get("sandbox"),
    }


def _rows(log: Log, scores: Sequence[ReducedScore]) -> list[dict[str, Any]]:
    """The samples as lm-eval logs them: a row a problem and scorer, the scores of its epochs reduced."""
    first = {sample.id: sample for sample in reversed(log.samples)}
    one_epoch = len(first) == len(log.samples)
    rows = []
    for score in scores:
        metric, _, scorer = score.key.partition(",")
        extracts = any(sample.answers.get(score.scorer) for sample in log.samples)
        for problem, value in score.values.items():
            sample = first[problem]
            extracted = {"filtered_resps": [sample.answers.get(score.scorer) or _NOTHING_EXTRACTED]}
            rows.append(
                {
                    "doc_id": problem,
                    "doc": {"input": sample.input},
                    "doc_hash": problem,
                    "prompt_hash": sample.input_hash,
                    "target": sample.target,
                    "target_hash": sample.target_hash,
                    "filter": scorer,
                    # Of several epochs no single answer belongs to the score.
                    "resps": [[sample.text if one_epoch else None]],
                    metric: value,
                    **(extracted if extracts else {}),
                }
            )
    return rows
