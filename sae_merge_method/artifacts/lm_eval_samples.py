"""lm-eval's samples files (--log_samples): what one model answered to each problem of a task."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.errors import ArtifactError

# What lm-eval's regular-expression filters return where they find nothing.
_NOTHING_EXTRACTED = "[invalid]"


class Sample(NamedTuple):
    """One problem and its answer."""

    doc_hash: str
    """Hash of the problem."""
    prompt_hash: str | None
    """Hash of the whole prompt; None where lm-eval wrote none."""
    target_hash: str | None
    """Hash of the target; None where lm-eval wrote none."""
    score: float
    """By the metric that was asked for."""
    text: str | None
    """The generation; None for tasks that generate nothing."""
    extracted: bool
    """Whether the task's filter found an answer in it."""
    offset: int
    """Where in the file its line begins, in bytes."""


class Samples(NamedTuple):
    """The answers of one task under one filter, or why there are none to work with."""

    path: Path
    """The samples file, there or not."""
    rows: tuple[Sample, ...]
    """In the file's order."""
    reason: str | None = None
    """Why there are no answers to work with; None where there are."""


def read_samples(run: EvalRun, task: str, metric: str) -> Samples:
    """Read the answers of the run's own samples file for ``task``.

    Args:
        run: The evaluation; its date names the file.
        task: Name of the task.
        metric: lm-eval's key: metric, comma, filter.

    Raises:
        ArtifactError: A line is not what lm_eval writes.
    """
    path = run.path.parent / f"samples_{task}_{run.date}.jsonl"
    if not path.exists():
        return Samples(path, (), "no samples were logged")
    name, _, filter_name = metric.partition(",")
    rows: list[Sample] = []
    seen: set[Any] = set()
    for offset, raw in _lines(path):
        if raw.get("filter", filter_name) != filter_name:
            continue
        if raw.get("doc_id") in seen:
            # Versions that do not write the filter repeat the problem for each of them.
            return Samples(path, (), "problems are repeated, and their filters are not named")
        seen.add(raw.get("doc_id"))
        sample = _sample(raw, name, offset)
        if sample is None:
            return Samples(
                path, (), f"the samples hold no single number for {name}, or no hash of the problem"
            )
        rows.append(sample)
    value = run.tasks[task].scores[metric].value
    if not rows or abs(sum(row.score for row in rows) / len(rows) - value) > 1e-9 * max(1.0, abs(value)):
        return Samples(path, (), f"the samples do not average to the reported {name}")
    return Samples(path, tuple(rows))


def read_sample(samples: Samples, sample: Sample) -> dict[str, Any]:
    """All that lm-eval logged about one problem, as it stands in the file."""
    with samples.path.open("rb") as stream:
        stream.seek(sample.offset)
        raw: dict[str, Any] = from_json(stream.readline())
    return raw


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    offset = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                # pydantic's parser: these lines are long, and json takes three times as long.
                try:
                    raw = from_json(line)
                except ValueError as error:
                    raise ArtifactError(f"{path} line {number} is not JSON: {error}") from error
                if not isinstance(raw, dict):
                    raise ArtifactError(f"{path} line {number}: expected an object, got {raw!r:.80}")
                yield offset, raw
                offset += len(line)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error


def _sample(raw: dict[str, Any], metric: str, offset: int) -> Sample | None:
    score = raw.get(metric)
    if not isinstance(score, (int, float)) or score != score or not isinstance(raw.get("doc_hash"), str):
        return None
    text, extracted = (_first(raw.get(key)) for key in ("resps", "filtered_resps"))
    return Sample(
        doc_hash=raw["doc_hash"],
        prompt_hash=raw.get("prompt_hash"),
        target_hash=raw.get("target_hash"),
        score=float(score),
        text=text if isinstance(text, str) else None,
        extracted=extracted != _NOTHING_EXTRACTED,
        offset=offset,
    )


def _first(value: Any) -> Any:
    """The first entry of a list, of its first entry, and so on: lm-eval nests requests and repeats."""
    while isinstance(value, list) and value:
        value = value[0]
    return value
