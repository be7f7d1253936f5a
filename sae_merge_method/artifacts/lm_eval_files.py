"""Where lm-eval's results lie: a folder of runs, a file by its name, or under the name that lm-eval stamped.
Where the samples beside them do.

What is in a file is for ``lm_eval_results`` and ``lm_eval_samples``.
"""

import glob
import json
import logging
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import read_regular_text

logger = logging.getLogger(__name__)

# lm-eval stamps results and samples of one run with the same local time, colons replaced.
_DATE = re.compile(r"_(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(?:\.\d+)?)$")
# What a folder is searched for; a file is of the first kind that its name fits: lm-eval's own; what 0.4.2
# and dumps of simple_evaluate are called; a file of any name that lm-eval stamped (--output_path FILE.json).
_KINDS = ("results_*.json", "results.json", "*_????-??-??T??-??-??*.json")


def find_results(path: Path) -> Path:
    """The results file, given it, the name that lm-eval was given, its output folder or one model's in it.

    Of several runs of one model the newest is taken, by the date in the name, with a warning.

    Raises:
        ArtifactError: Nothing there, or results of several models, names or kinds.
    """
    if path.is_file():
        return path
    if not path.exists():
        return _stamped(path)
    files = _in_folder(path)
    if not files:
        raise ArtifactError(
            f"expected results_*.json in {path} or below, as lm_eval --output_path writes, or results.json"
        )
    folders = sorted({str(file.parent) for file in files})
    if len(folders) > 1:
        raise ArtifactError(f"{path} holds results in several folders, name one: {', '.join(folders)}")
    names = sorted({_DATE.sub("", file.stem) for file in files})
    if len(names) > 1:
        shown = ", ".join(f"{path / name}.json" for name in names)
        raise ArtifactError(f"{path} holds results of several names, name one: {shown}")
    newest = _newest(files)
    if len(files) > 1:
        logger.warning("%s holds %d runs: taking the newest, %s", folders[0], len(files), newest.name)
    return newest


def run_date(file: Path) -> str | None:
    """The date in a results or samples file's name."""
    match = _DATE.search(file.stem)
    return match.group(1) if match else None


def _newest(files: Iterable[Path]) -> Path:
    return max(files, key=lambda file: run_date(file) or "")


def _in_folder(folder: Path) -> list[Path]:
    """Results in a folder, or else below it; under another name only what holds results.

    Raises:
        ArtifactError: Results of several kinds.
    """
    kinds = [files for kind in _KINDS if (files := _of_kind(folder, kind))]
    if len(kinds) > 1:
        # results.json is a name that others give to other things.
        holding = [files for files in kinds if any(map(_holds_results, files))]
        if len(holding) > 1:
            shown = ", ".join(str(_newest(files)) for files in holding)
            raise ArtifactError(f"{folder} holds results of several kinds, name one: {shown}")
        kinds = holding or kinds
    if kinds:
        return kinds[0]
    return [file for file in sorted(folder.glob("*.json")) if _holds_results(file)]


def _of_kind(folder: Path, kind: str) -> list[Path]:
    """The files of a kind and of none before it, in a folder, or else below it."""

    def own(files: Iterable[Path]) -> list[Path]:
        return sorted(file for file in files if _kind(file.name) == kind and not _are_samples(file))

    return own(folder.glob(kind)) or own(folder.rglob(kind))


def _kind(name: str) -> str:
    return next((kind for kind in _KINDS if fnmatchcase(name, kind)), "")


def _are_samples(file: Path) -> bool:
    """Whether these are the samples that 0.4.3 stamped as it did results."""
    return file.name.startswith("samples_") and not _holds_results(file)


def _holds_results(file: Path) -> bool:
    try:
        raw = json.loads(read_regular_text(file))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and isinstance(raw.get("results"), dict) and bool(raw["results"])


def _stamped(path: Path) -> Path:
    """What lm-eval made of ``--output_path FILE.json``: FILE, the time of writing, .json.

    Raises:
        ArtifactError: Nothing of that name.
    """
    beside = sorted(path.parent.glob(f"{glob.escape(path.stem)}_*.json")) if path.suffix == ".json" else []
    files = [file for file in beside if _DATE.sub("", file.stem) == path.stem and run_date(file)]
    if not files:
        raise ArtifactError(f"expected an lm_eval output folder or results file at {path}: nothing there")
    newest = _newest(files)
    several = f", the newest of {len(files)} runs" if len(files) > 1 else ""
    logger.warning("%s: lm_eval stamped it, taking %s%s", path, newest.name, several)
    return newest


class SamplesFile(NamedTuple):
    """Where one task's samples are."""

    path: Path
    """There or not."""
    reason: str | None = None
    """Why none of several files was taken; None where one was, or there is none."""


def find_samples(results: Path, task: str, arguments: str | None) -> SamplesFile:
    """The samples of one task, beside the results of the same run.

    Args:
        results: The results file.
        task: Name of the task.
        arguments: model_args as they stand in it; None where they are no text.
    """
    folder, date = results.parent, run_date(results)
    lines = folder / f"samples_{task}_{date}.jsonl"
    # 0.4.3 called the list .json.
    for file in (lines, lines.with_suffix(".json")):
        if file.is_file():
            return SamplesFile(file)
    if date is not None:
        return SamplesFile(lines)
    # 0.4.2, without dates, put the model's arguments before the task's name.
    fitting = {file.stem: file for file in sorted(folder.glob("*.jsonl")) if file.stem.endswith(f"_{task}")}
    named = [f"{re.sub(signs, '__', arguments or '')}_{task}" for signs in ("/|=", "/")]
    own = [fitting[name] for name in named if name in fitting]
    if not own and len(fitting) > 1:
        several = "samples of several models lie there, and none is named as this one's"
        return SamplesFile(min(fitting.values()), several)
    return SamplesFile((own or [*fitting.values(), lines])[0])
