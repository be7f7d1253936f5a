"""The card's front matter, through ``huggingface_hub``'s own classes, which also validate it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from typing_extensions import override

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_results import DataSet, dataset_of
from sae_merge_method.artifacts.strict_yaml import Dumper, dump_yaml
from sae_merge_method.errors import ArtifactError
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.publish.licence import Licence
from sae_merge_method.publish.measured import FEW_PROBLEMS

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_MEASURED_ON = "result_sha256"
"""Argument of a metric that says which checkpoint was measured."""
TAGS = ("mergekit", "merge", "sae-merge")


def front_matter(
    existing: dict[str, Any],
    name: str,
    models: Sequence[str],
    licence: Licence,
    comparison: Comparison | None,
    result: str | None = None,
) -> "ModelCardData":
    """Metadata of the card; what the user had written stays, beside what only we can know.

    Args:
        existing: The front matter that stands there.
        name: The model's name, for its results.
        models: Hub ids of base and donors.
        licence: To state.
        comparison: Results to report, or None.
        result: Hash of the checkpoint; results in ``existing`` that are of another one are left out.

    Raises:
        ArtifactError: ``existing`` holds what the Hub's classes refuse.
    """
    from huggingface_hub import ModelCardData

    kept = {key: value for key, value in existing.items() if key not in ("model-index", "model_name")}
    tags = [tag for tag in kept.pop("tags", None) or () if isinstance(tag, str)]
    fields: dict[str, Any] = {
        **kept,
        "base_model": list(models) or kept.get("base_model") or None,
        "base_model_relation": "merge" if models else kept.get("base_model_relation"),
        "library_name": kept.get("library_name") or "transformers",
        "license": licence.id,
        "license_name": licence.name,
        "license_link": licence.link,
        "tags": list(dict.fromkeys((*tags, *TAGS))),
    }
    new = [] if comparison is None else list(eval_results(comparison, result))
    named = {(one.task_name, one.metric_name) for one in new}
    old = [one for one in _results_in(existing, result) if (one.task_name, one.metric_name) not in named]
    if old or new:
        fields |= {"model_name": name, "eval_results": [*old, *new]}
    try:
        return ModelCardData(**fields)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"README.md has a front matter that the Hub would refuse: {error}") from error


def _results_in(existing: dict[str, Any], result: str | None) -> "list[EvalResult]":
    """The results of a front matter: the author's own, and ours where they are of this checkpoint."""
    from huggingface_hub.repocard_data import model_index_to_eval_results

    if not existing.get("model-index"):
        return []
    try:
        _, results = model_index_to_eval_results(existing["model-index"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"README.md has a model-index that the Hub would refuse: {error}") from error
    return [
        one
        for one in results
        if not isinstance(one.metric_args, dict) or one.metric_args.get(_MEASURED_ON, result) == result
    ]


def eval_results(comparison: Comparison, result: str | None = None) -> "Iterable[EvalResult]":
    """The edited model's scores, one a subject, in the Hub's schema.

    Args:
        comparison: Of the base and the edited model.
        result: Hash of the checkpoint that was measured; None where it has none.
    """
    from huggingface_hub import EvalResult

    metric = comparison.metric.partition(",")[0]
    for subject in comparison.subjects:
        data = subject.dataset or _dataset(subject.task)
        few = subject.n is not None and subject.n < FEW_PROBLEMS
        yield EvalResult(
            task_type="text-generation",
            task_name=subject.task,
            # A folder of this machine means nothing to others.
            dataset_type=data.path if data and not _is_folder(data.path) else subject.task,
            # So that a score of few problems is not shown on the Hub without their number.
            dataset_name=f"{subject.task}, {subject.n} problems" if few else subject.task,
            dataset_config=data.name if data else None,
            dataset_split=data.split if data else None,
            dataset_revision=data.arguments.get("revision") if data else None,
            # So that a part of the data set, or another one of the same name, does not pass for the whole.
            dataset_args={"problems": subject.n} if subject.n else None,
            metric_type=metric,
            metric_name=comparison.metric,
            metric_args={_MEASURED_ON: result} if result is not None else None,
            metric_value=round(subject.edited, 4),
        )


_SHORT = 160
"""Characters that a mapping or a list may have to stand on one line."""


class _ShortDumper(Dumper):
    """A result takes four lines, not seventeen: whoever opens the card as a file wants to see its text."""

    @override
    def serialize(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = False  # the whole is edited by hand, key by key
        super().serialize(node)

    @override
    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = _length(node) <= _SHORT and all(map(_is_plain, node.value))
        return node

    @override
    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _length(node) <= _SHORT and all(_is_plain(value) for _, value in node.value)
        return node


def _is_plain(node: yaml.Node) -> bool:
    return not isinstance(node, yaml.CollectionNode) or bool(node.flow_style)


def _length(node: yaml.Node) -> int:
    if isinstance(node, yaml.SequenceNode):
        return sum(_length(value) + 2 for value in node.value)
    if isinstance(node, yaml.MappingNode):
        return sum(_length(key) + _length(value) + 4 for key, value in node.value)
    return len(node.value)


def front_matter_text(data: "ModelCardData") -> str:
    """The metadata as YAML, short mappings and lists on one line each."""
    return dump_yaml(data.to_dict(), _ShortDumper).strip()  # type: ignore[no-untyped-call]


class _PlainLoader(yaml.SafeLoader):
    """safe_load that passes over lm-eval's ``!function`` tags."""


_PlainLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def _is_folder(path: str) -> bool:
    return path.startswith(("/", ".", "~")) or "\\" in path


def _dataset(task: str) -> DataSet | None:
    """Data set of a task of ours, for comparisons that do not name it; None for others."""
    files = [path for path in sorted(tasks_path().rglob("*.yaml")) if path.stem == task]
    return dataset_of(_read_task(files[0])) if files else None


def _read_task(path: Path) -> dict[str, str]:
    task = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    included = _read_task(path.parent / task["include"]) if "include" in task else {}
    return included | {key: value for key, value in task.items() if isinstance(value, str)}
