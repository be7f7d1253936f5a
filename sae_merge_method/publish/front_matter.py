"""The card's front matter: what the author wrote stays the YAML it is, beside what only we can know.

Results take the form that ``huggingface_hub``'s own classes give each alone. They would group several by
their data set and call all by the first one's task and source, so they see no two together here.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_results import DataSet, dataset_of
from sae_merge_method.errors import first_line
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.publish.licence import Licence
from sae_merge_method.publish.measured import FEW_PROBLEMS
from sae_merge_method.publish.model_index import (
    MEASURED_ON,
    NO_HASH,
    PROBLEMS,
    TASK_TYPE,
    Naming,
    renewed_index,
)

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

LOG = logging.getLogger(__name__)

_INDEX = "model-index"
TAGS = ("mergekit", "merge", "sae-merge")


LOADERS = frozenset({
    "arrow", "audiofolder", "cache", "conll", "csv", "eval", "fasta", "fastq", "genbank", "generator",
    "harbor", "hdf5", "iceberg", "imagefolder", "json", "lance", "meshfolder", "mmcif", "niftifolder",
    "pandas", "parquet", "pdb", "pdffolder", "spark", "sql", "text", "tsfile", "videofolder", "vortex",
    "webdataset", "xml",
})  # fmt: skip
"""Names by which ``datasets`` reads the user's own files: they are no data set's."""


def front_matter(
    existing: Mapping[str, Any],
    naming: Naming,
    models: Sequence[str],
    licence: Licence,
    comparison: Comparison | None,
    result: str | None = None,
) -> dict[str, Any]:
    """Metadata of the card; a value that does not change is the very object that stood there.

    What the Hub's own classes would refuse of it is warned of in the log.

    Args:
        existing: The front matter that stands there.
        naming: The model's name, for its results.
        models: Hub ids of base and donors.
        licence: To state.
        comparison: Results to report, or None.
        result: Hash of the checkpoint; results in ``existing`` that are of another one are left out.

    Raises:
        ArtifactError: ``existing`` has a model-index that results cannot be added to.
    """
    ours = [] if comparison is None else [*map(_as_result, eval_results(comparison, result))]
    fields: dict[str, Any] = {
        "base_model": list(models) or existing.get("base_model") or None,
        "base_model_relation": "merge" if models else existing.get("base_model_relation"),
        "library_name": existing.get("library_name") or "transformers",
        "license": licence.id,
        "license_name": licence.name,
        "license_link": licence.link,
        "tags": _tags(existing.get("tags")),
        _INDEX: renewed_index(existing.get(_INDEX), ours, naming, result) or None,
    }
    left_out = {key for key, value in fields.items() if value is None}
    renewed = {
        key: existing[key] if key in existing and existing[key] == value else value
        for key, value in {**existing, **fields}.items()
        if key not in left_out
    }
    _warn_of_refused(renewed)
    return renewed


def _tags(standing: Any) -> list[Any]:
    own = standing if isinstance(standing, list) else [standing] if standing else []
    return [*own, *(tag for tag in TAGS if tag not in own)]


def _warn_of_refused(fields: dict[str, Any]) -> None:
    from huggingface_hub import ModelCardData

    try:
        ModelCardData(**fields)
    except (TypeError, ValueError) as error:
        why = first_line(error).partition(" Pass `")[0]
        LOG.warning("README.md has a front matter that the Hub may refuse, kept as it stands: %s", why)


def _as_result(one: "EvalResult") -> dict[str, Any]:
    from huggingface_hub.repocard_data import eval_results_to_model_index

    result: dict[str, Any] = eval_results_to_model_index("", [one])[0]["results"][0]
    return result


def eval_results(comparison: Comparison, result: str | None = None) -> "Iterator[EvalResult]":
    """The edited model's scores, one a subject, in the Hub's schema.

    Args:
        comparison: Of the base and the edited model.
        result: Hash of the checkpoint that was measured; None where it has none.
    """
    from huggingface_hub import EvalResult

    metric = comparison.metric.partition(",")[0]
    for subject in comparison.subjects:
        data = subject.dataset or _dataset(subject.task)
        n = subject.n if subject.n_edited is None else subject.n_edited  # the score is the edited model's
        few = n is not None and n < FEW_PROBLEMS
        yield EvalResult(
            task_type=TASK_TYPE,
            task_name=subject.task,
            # A file or folder of this machine means nothing to others.
            dataset_type=data.path if data and not _is_at_home(data.path) else subject.task,
            # So that a score of few problems is not shown on the Hub without their number.
            dataset_name=f"{subject.task}, {n} problems" if few else subject.task,
            dataset_config=data.name if data else None,
            dataset_split=data.split if data else None,
            dataset_revision=data.arguments.get("revision") if data else None,
            # So that a part of the data set, or another one of the same name, does not pass for the whole.
            dataset_args={PROBLEMS: n} if n else None,
            metric_type=metric,
            metric_name=comparison.metric,
            metric_args={MEASURED_ON: result or NO_HASH},
            metric_value=round(subject.edited, 4),
        )


class _PlainLoader(yaml.SafeLoader):
    """safe_load that passes over lm-eval's ``!function`` tags."""


_PlainLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def _is_at_home(path: str) -> bool:
    return path in LOADERS or path.startswith(("/", ".", "~")) or "\\" in path


def _dataset(task: str) -> DataSet | None:
    """Data set of a task of ours, for comparisons that do not name it; None for others."""
    files = [path for path in sorted(tasks_path().rglob("*.yaml")) if path.stem == task]
    return dataset_of(_read_task(files[0])) if files else None


def _read_task(path: Path) -> dict[str, str]:
    task = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    included = _read_task(path.parent / task["include"]) if "include" in task else {}
    return included | {key: value for key, value in task.items() if isinstance(value, str)}
