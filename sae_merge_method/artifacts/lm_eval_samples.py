"""What one model answered to each problem of a task: lm-eval's samples files, or those inside a dump.

A dump of ``simple_evaluate`` holds its samples inside; lm-eval 0.4.2 and 0.4.3 write lists, later ones
lines.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from sae_merge_method.artifacts.lm_eval_files import SamplesFile, find_samples
from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import open_regular

# What lm-eval's regular-expression filters return where they find nothing.
_NOTHING_EXTRACTED = "[invalid]"


class Sample(NamedTuple):
    """One problem and its answer."""

    doc_hash: str
    """Hash of the problem."""
    prompt_hash: str | None
    """Hash of the whole prompt; None where lm-eval wrote neither a hash nor the prompt."""
    target_hash: str | None
    """Hash of the target; None where lm-eval wrote none."""
    score: float
    """By the metric that was asked for."""
    text: str | None
    """The generation; None for tasks that generate nothing."""
    extracted: bool | None
    """Whether the task's filter found an answer in it; None where nothing was looked for."""
    offset: int
    """Where in the file its line begins, in bytes; its number in a list."""


class Samples(NamedTuple):
    """The answers of one task under one filter, or why there are none to work with."""

    path: Path
    """The samples file, there or not."""
    rows: tuple[Sample, ...]
    """In the file's order."""
    reason: str | None = None
    """Why there are no answers to work with; None where there are."""
    listed: tuple[dict[str, Any], ...] = ()
    """All that was logged, where it is a list and no lines of a file."""


def read_samples(run: EvalRun, task: str, metric: str) -> Samples:
    """Read the answers of the run's own samples file for ``task``.

    Args:
        run: The evaluation; its date names the file, or its arguments do.
        task: Name of the task.
        metric: lm-eval's key: metric, comma, filter.

    Raises:
        ArtifactError: A line is not what lm_eval writes.
    """
    listed = _inside(run, task)
    file = SamplesFile(run.path) if listed is not None else find_samples(run.path, task, run.model_args_text)
    path = file.path
    if file.reason is not None or not path.exists():
        return Samples(path, (), file.reason or "no samples were logged")
    if listed is None and path.is_file():
        listed = _list(path)
    name, _, filter_name = metric.partition(",")
    lines = _lines(path) if listed is None else enumerate(listed)
    rows: list[Sample] = []
    seen: set[Any] = set()
    for offset, raw in lines:
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
    return Samples(path, tuple(rows), listed=listed or ())


def read_sample(samples: Samples, sample: Sample) -> dict[str, Any]:
    """All that lm-eval logged about one problem, as it stands in the file."""
    if samples.listed:
        return samples.listed[sample.offset]
    with os.fdopen(open_regular(samples.path), "rb") as stream:
        stream.seek(sample.offset)
        raw: dict[str, Any] = from_json(stream.readline())
    return raw


def _inside(run: EvalRun, task: str) -> tuple[dict[str, Any], ...] | None:
    """The samples that the results file itself holds, as a dump does."""
    inside = run.raw.get("samples")
    if isinstance(inside, Mapping) and isinstance(inside.get(task), list):
        return _objects(run.path, inside[task])
    return None


def _list(path: Path) -> tuple[dict[str, Any], ...] | None:
    """The samples of a file that holds one list; None for lines.

    Raises:
        ArtifactError: Neither a list nor lines.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            if stream.read(1) != b"[":
                return None
            return _objects(path, from_json(b"[" + stream.read()))
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(f"expected a list of samples (JSON) at {path}: {error}") from error


def _objects(path: Path, rows: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    made = tuple(rows)
    for number, raw in enumerate(made, 1):
        if not isinstance(raw, dict):
            raise ArtifactError(f"{path} sample {number}: expected an object, got {raw!r:.80}")
    return made


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    offset = 0
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
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
    doc_hash = _doc_hash(raw)
    if not isinstance(score, (int, float)) or score != score or doc_hash is None:
        return None
    text, extracted = (_first(raw.get(key)) for key in ("resps", "filtered_resps"))
    return Sample(
        doc_hash=doc_hash,
        prompt_hash=_prompt_hash(raw),
        target_hash=raw.get("target_hash"),
        score=float(score),
        text=text if isinstance(text, str) else None,
        extracted=extracted != _NOTHING_EXTRACTED if "filtered_resps" in raw else None,
        offset=offset,
    )


def _doc_hash(raw: Mapping[str, Any]) -> str | None:
    """lm-eval's hash of the problem; made as lm-eval makes it where an older version wrote none."""
    if isinstance(raw.get("doc_hash"), str):
        return str(raw["doc_hash"])
    if "doc_hash" in raw or "doc" not in raw:
        return None
    return hashlib.sha256(json.dumps(raw["doc"], indent=2, ensure_ascii=False).encode()).hexdigest()


def _prompt_hash(raw: Mapping[str, Any]) -> str | None:
    """lm-eval's hash of the prompt; made as lm-eval makes it, of the first request's first argument, where an
    older version wrote none."""
    if isinstance(raw.get("prompt_hash"), str):
        return str(raw["prompt_hash"])
    asked = raw.get("arguments")
    # Files name requests and their arguments; dumps, and files of older versions, list them.
    for name in ("gen_args_0", "arg_0"):
        asked = asked.get(name) if isinstance(asked, Mapping) else asked
    prompt = _first(asked)
    return hashlib.sha256(prompt.encode()).hexdigest() if isinstance(prompt, str) else None


def _first(value: Any) -> Any:
    """The first entry of a list, of its first entry, and so on: lm-eval nests what is asked and answered."""
    while isinstance(value, list) and value:
        value = value[0]
    return value
