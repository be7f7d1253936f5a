"""lm-eval's results file: the numbers and settings of one evaluation, as lm-eval 0.4.2 to 0.4.13 write it.

The file is lm-eval's, so unknown keys are welcome and missing ones are None. What the numbers
mean is for others; per-problem answers are in ``lm_eval_samples``, where files lie in ``lm_eval_files``.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from sae_merge_method.artifacts.lm_eval_files import find_results, run_date
from sae_merge_method.artifacts.lm_eval_groups import leaves, members_of_groups
from sae_merge_method.artifacts.lm_eval_metrics import is_higher_better
from sae_merge_method.artifacts.lm_eval_model import model_name, parse_arguments, usual_token_limit
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import read_regular_text

# Under which of these a version of lm-eval counts the problems behind a task's scores.
_COUNT_KEYS = ("sample_len", "sample_len,none", "samples")


@dataclass(frozen=True)
class Score:
    """One metric of one task."""

    value: float
    """Mean over the problems, or lm-eval's aggregate of a group."""
    stderr: float | None
    """lm-eval's own standard error; None where it wrote "N/A" (one problem, or none asked for)."""
    higher_is_better: bool
    """Whether a higher value is a better one; true where neither the file nor lm-eval's own list says."""


class DataSet(Record):
    """Where a task's problems come from, as lm-eval hands it to ``datasets.load_dataset``."""

    path: str
    """Id on the Hub, folder, or name of a loader."""
    name: str | None
    """Configuration of the data set; null where the task names none."""
    split: str | None
    """Split whose problems are asked; null where the task names none."""
    arguments: Mapping[str, Any]
    """All other arguments, a revision among them."""

    def __str__(self) -> str:
        parts = [self.path, *(part for part in (self.name, self.split and f"split {self.split}") if part)]
        return ", ".join([*parts, *(f"{key} {value}" for key, value in sorted(self.arguments.items()))])


@dataclass(frozen=True)
class TaskRun:
    """One task, or one group of tasks, in one evaluation."""

    name: str
    """Name of the task or group, as lm-eval has it."""
    scores: Mapping[str, Score]
    """By lm-eval's key: metric, comma, filter."""
    n: int | None
    """Problems evaluated; None where the file does not say."""
    n_original: int | None
    """Problems there are, more than ``n`` under --limit; None where the file does not say."""
    version: str | None
    """Version of the task; None where the file does not say."""
    n_shot: int | None
    """Few-shot examples in a prompt; None where the file does not say."""
    task_hash: str | None
    """Over every problem, prompt and target; None without --log_samples."""
    generation: Mapping[str, Any] | None
    """Arguments of generation; None for tasks that generate nothing, and where the file does not say."""
    dataset: DataSet | None = None
    """Where the problems come from; None where the file does not name it."""
    members: tuple[str, ...] = ()
    """Names of the tasks in a group; empty for a task."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Scores that are no finite number, as the file writes them, by lm-eval's key."""
    token_limit: int | None = 256
    """Tokens an answer may have where ``generation`` does not say: the backend's; None where unknown."""


@dataclass(frozen=True)
class EvalRun:
    """One evaluation of one model."""

    path: Path
    """The results file."""
    model: str
    """Name of the model, as lm-eval wrote it; that of the file's folder where it wrote none."""
    date: str | None
    """The stamp in the file's name, shared by the run's samples files; None without one."""
    lm_eval_version: str | None
    """Version of lm-eval; None where the file does not say."""
    multiturn: bool
    """Few-shot examples as turns of a chat; of no effect without a chat template."""
    tasks: Mapping[str, TaskRun]
    """Every task by its name, in lm-eval's order."""
    groups: Mapping[str, TaskRun]
    """Every group of tasks by its name."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole file, model_args and gen_kwargs as mappings in every version; model_args null where the model
    was handed over as an object."""
    usual_metric: str = "exact_match,none"
    """Score that is compared where none is named."""
    model_args_text: str | None = None
    """model_args as the file writes them, where it writes text: lm-eval 0.4.2 names samples after it."""

    @property
    def short_name(self) -> str:
        """The model's name without its owner or folder."""
        return self.model.rstrip("/").rpartition("/")[2] or self.model

    def leaves(self, group: str) -> tuple[str, ...]:
        """The tasks in a group, and in the groups in it."""
        return leaves({name: run.members for name, run in self.groups.items()}, group)


def read_results(path: Path) -> EvalRun:
    """Read one evaluation from its results file, or from the folder it is in.

    Raises:
        ArtifactError: Missing, or not what lm_eval writes.
    """
    file = find_results(path)
    try:
        raw = json.loads(read_regular_text(file))
    except OSError as error:
        raise ArtifactError(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(f"expected an lm_eval results file (JSON) at {file}: {error}") from error
    if not isinstance(raw, dict) or not _mapping(raw, "results"):
        raise ArtifactError(f'{file} is no lm_eval results file: expected an object with "results"')
    text = _mapping(raw, "config").get("model_args")
    raw = {**raw, "config": _with_arguments(_mapping(raw, "config"))}
    members = members_of_groups(_mapping(raw, "group_subtasks"), _mapping(raw, "groups"), file)
    runs = {name: _task(raw, name, members.get(name, ())) for name in {**raw["results"], **members}}
    return EvalRun(
        path=file,
        model=model_name(raw, _mapping(raw, "config", "model_args"), file.parent.name),
        date=run_date(file),
        lm_eval_version=raw.get("lm_eval_version"),
        multiturn=bool(raw.get("chat_template_sha") and raw.get("fewshot_as_multiturn")),
        tasks={name: run for name, run in runs.items() if name not in members},
        groups={name: run for name, run in runs.items() if name in members},
        raw=raw,
        model_args_text=text if isinstance(text, str) else None,
    )


def _with_arguments(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run's settings, their arguments as mappings."""
    named = {key: config[key] for key in ("model_args", "gen_kwargs") if key in config}
    # A model that was handed over as an object has null: not all defaults, but nothing written of it.
    if named.get("model_args", {}) is None:
        del named["model_args"]
    return {**config, **{key: parse_arguments(value) for key, value in named.items()}}


def _task(raw: dict[str, Any], name: str, members: tuple[str, ...]) -> TaskRun:
    # Groups have their scores in both places, or, by version, in "groups" alone.
    row = {**_mapping(raw, "groups", name), **_mapping(raw, "results", name)}
    counts = _mapping(raw, "n-samples", name)
    n = next((row[key] for key in _COUNT_KEYS if _is_count(row.get(key))), counts.get("effective"))
    config = _mapping(raw, "configs", name)
    version, n_shot = (_mapping(raw, key).get(name) for key in ("versions", "n-shot"))
    return TaskRun(
        name=name,
        scores=dict(_scores(row, _mapping(raw, "higher_is_better", name), config)),
        n=n if _is_count(n) else None,
        n_original=counts.get("original"),
        version=None if version is None else str(version),
        n_shot=n_shot if _is_count(n_shot) else None,
        task_hash=_mapping(raw, "task_hashes").get(name),
        generation=config.get("generation_kwargs"),
        dataset=dataset_of(config),
        members=members,
        unusable={key: str(value) for key, value in _values(row) if not _is_number(value)},
        token_limit=usual_token_limit(_mapping(raw, "config", "model_args")),
    )


def dataset_of(config: Mapping[str, Any]) -> DataSet | None:
    """The data set that a task's configuration names, if it does."""
    # lm-eval leaves out what is not set.
    path = config.get("dataset_path")
    if not isinstance(path, str):
        return None
    # lm-eval drops this argument by the version of datasets, and it chooses no problems.
    arguments = {k: v for k, v in _mapping(config, "dataset_kwargs").items() if k != "trust_remote_code"}
    name, split = config.get("dataset_name"), config.get("test_split") or config.get("validation_split")
    return DataSet(
        path=path,
        name=None if name is None else str(name),
        split=None if split is None else str(split),
        arguments=arguments,
    )


def _values(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Scores by lm-eval's key, numbers or not."""
    for key, value in row.items():
        metric, comma, _ = key.partition(",")
        if comma and not metric.endswith("_stderr") and key not in _COUNT_KEYS:
            yield key, value


def _scores(
    row: Mapping[str, Any], told: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[tuple[str, Score]]:
    for key, value in _values(row):
        if not _is_number(value):
            continue
        metric, _, filter_name = key.partition(",")
        stderr = row.get(f"{metric}_stderr,{filter_name}")
        known = float(stderr) if _is_number(stderr) and stderr >= 0 else None
        yield key, Score(float(value), known, is_higher_better(metric, told, config))


def _mapping(raw: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The object under ``keys``, or an empty one."""
    value: Any = raw
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
