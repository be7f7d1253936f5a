"""Edit a checkpoint in its own files, with a journal beside them that takes the edit back.

The journal holds the bytes that will be overwritten, and is on the disk before the first of
them is. While the edit, or its undoing, goes on, the folder has no config.json: a run killed
half-way leaves a folder that nothing can load, and that ``sae-merge undo`` makes the base again.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, write_edit_report
from sae_merge_method.errors import MergeError, UsageError
from sae_merge_method.files.parallel import bytes_bar, run_all
from sae_merge_method.merge.beside_weights import CARD_FILES, write_card
from sae_merge_method.merge.direct import direct_report, why_not_direct, writer
from sae_merge_method.merge.job import Job, prepared
from sae_merge_method.merge.journal import begin_journal, undo
from sae_merge_method.merge.tensor_edit import (
    EditedTensor,
    TensorTask,
    edit_tensor,
    tensor_tasks,
)
from sae_merge_method.models.reading import WeightFiles

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EditedInPlace:
    """A checkpoint that was edited in its own files."""

    folder: Path
    report: EditReport


def edit_in_place(
    source: str, where: str, folder: Path | None = None, *, options: Mapping[str, Any] | None = None
) -> EditedInPlace:
    """Edit the recipe's base itself. Whatever goes wrong, it becomes what it was.

    Args:
        source: The recipe's YAML text.
        where: How messages name the recipe.
        folder: The base's folder, if the user wrote it out.
        options: Fields of ``mergekit.options.MergeOptions``.

    Raises:
        UsageError: ``folder`` is not the base's.
        MergeError: The base's files are shared with other folders, it was edited in place
            before, or the edit itself cannot be done.
    """
    beside = (folder or Path("in-place")).absolute()
    with prepared(source, where, beside, options) as job:
        target = job.base.folder
        if folder is not None and folder.resolve() != target.resolve():
            raise UsageError(
                f"--in-place edits the base, {target}: expected that folder or none, got {folder}"
            )
        reason = why_not_direct(job)
        if reason is not None:
            raise MergeError(f"--in-place needs the direct engine, but {reason}")
        _require_own_files(job)
        tasks = tensor_tasks(job.plan, job.base, job.donors)
        journal = begin_journal(target, [task.base for task in tasks], [REPORT_FILE, *CARD_FILES])
        try:
            report = _edit(job, tasks)
            write_card(job, target, target.resolve().name)
            write_edit_report(target, report)
            journal.finish([tensor for tensor in report.tensors if tensor.status == "edited"])
        except BaseException:
            undo(target)
            LOG.warning("%s is as it was", target)
            raise
        return EditedInPlace(target, report)


def _edit(job: Job, tasks: tuple[TensorTask, ...]) -> EditReport:
    names = {task.base.name for task in tasks}
    untouched = [entry for name, entry in job.base.tensors.items() if name not in names]
    handles = {file: os.open(file, os.O_WRONLY) for file in {task.base.file for task in tasks}}
    try:
        total = sum(entry.nbytes for entry in job.base.tensors.values())
        with (
            bytes_bar(total, "editing", quiet=job.quiet) as advance,
            WeightFiles([job.base, *job.donors.values()]) as files,
            job.filtering() as change,
        ):
            write = {task.base.name: writer(handles[task.base.file], task.base) for task in tasks}
            edited: list[EditedTensor] = run_all(
                [partial(edit_tensor, task, change, files, write[task.base.name], advance) for task in tasks],
                job.threads,
            )
            for donor in job.donors.values():
                donor.require_unchanged()
            hashes = run_all(
                [partial(files.hashes, entry, with_sha256=False, advance=advance) for entry in untouched],
                job.threads,
            )
        for handle in handles.values():
            os.fsync(handle)
    finally:
        for handle in handles.values():
            os.close(handle)
    return direct_report(job, edited, zip(untouched, hashes, strict=True))


def _require_own_files(job: Job) -> None:
    """A file with other names would change under all of them: the Hub's cache, or a hard link."""
    for file in job.base.files:
        if file.is_symlink():
            raise MergeError(
                f"--in-place would change {file.resolve()}, to which {file} only leads: copy it first"
            )
        if file.stat().st_nlink > 1:
            raise MergeError(f"--in-place would change {file} under its other hard links too: copy it first")
