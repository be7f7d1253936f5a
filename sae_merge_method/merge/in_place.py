"""Edit a checkpoint in its own files, with a journal beside them that takes the edit back.

The journal holds the bytes that will be overwritten, and is on the disk before the first of
them is. While the edit, or its undoing, goes on, the folder has no config.json: a run killed
half-way leaves a folder that nothing can load, and that ``sae-merge undo`` makes the base again.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_report import (
    REPORT_FILE,
    EditReport,
    TensorReport,
    read_edit_report,
    report_text,
)
from sae_merge_method.artifacts.recipe import AnyRecipe, RecipeText
from sae_merge_method.errors import ArtifactError, MergeError, UsageError
from sae_merge_method.files.hashing import Hashes
from sae_merge_method.files.inside import Inside
from sae_merge_method.files.lock import locked
from sae_merge_method.files.parallel import bytes_bar
from sae_merge_method.merge.beside_weights import card_texts
from sae_merge_method.merge.direct import (
    TensorWriters,
    edit_tensors,
    edited_reports,
    kept_reports,
    why_not_direct,
)
from sae_merge_method.merge.job import Job, open_job
from sae_merge_method.merge.journal import begin_journal, make_room
from sae_merge_method.merge.report import report_of
from sae_merge_method.merge.tensor_edit import TensorTask, tensor_tasks
from sae_merge_method.merge.undo import roll_back
from sae_merge_method.models.beside_weights import side_file_hashes
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.resolved import read_recipe

LOG = logging.getLogger(__name__)


def edit_in_place(
    recipe: AnyRecipe,
    folder: str | Path | None = None,
    *,
    hash_all: bool = False,
    options: Mapping[str, Any] | None = None,
    allow_mismatch: Collection[str] = (),
) -> EditReport:
    """Edit the recipe's base itself. Whatever goes wrong, it becomes what it was.

    Of the base only what changes is read, and written twice: into the journal, and edited.

    Args:
        recipe: A file, or what it holds.
        folder: The base's folder, where the user wrote it out to be sure.
        hash_all: Read and hash every tensor for the report, not the edited ones alone.
        options: Fields of ``mergekit.options.MergeOptions``.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        UsageError: ``folder`` is not the base's.
        InUseError: Another process is at work in it.
        MergeError: The base's files are shared with other folders, it was edited in place
            before, or the edit itself cannot be done.
    """
    given = dict(options or {})
    text = read_recipe(recipe)
    target = _base_folder(text, None if folder is None else Path(folder), given)
    # Held before it is read: no other edit comes between what is read and what is written.
    with locked(target), Inside.hold(target) as checkpoint:
        make_room(checkpoint)
        with open_job(text, target.absolute(), given, allow_mismatch) as job:
            reason = why_not_direct(job)
            if reason is not None:
                raise MergeError(f"--in-place needs the direct engine, but {reason}")
            _require_own_files(job)
            return _edit_held(_read_as_the_base(job), checkpoint, hash_all)


def _read_as_the_base(job: Job) -> Job:
    """The same edit; what donors have of the base's own files is read there as the base's own.

    A donor may be the base with an adapter, and has the base's other tensors. Nobody else writes these files:
    they are held. And nothing is read after it is overwritten: no other folder has the file, so what a donor
    has there is the very tensor that the edit changes, and each piece is read on both sides before it is
    written.
    """
    own = {(stamp.device, stamp.inode): file for file, stamp in job.base.stamps.items()}
    donors = {}
    for name, donor in job.donors.items():
        shared = {
            file: own[stamp.device, stamp.inode]
            for file, stamp in donor.stamps.items()
            if (stamp.device, stamp.inode) in own
        }
        donors[name] = replace(
            donor,
            tensors={
                key: replace(entry, file=shared.get(entry.file, entry.file))
                for key, entry in donor.tensors.items()
            },
            stamps={file: stamp for file, stamp in donor.stamps.items() if file not in shared},
        )
    return replace(job, donors=donors)


def _base_folder(recipe: RecipeText, named: Path | None, options: Mapping[str, Any]) -> Path:
    model = parse_model_id(parse_recipe(*recipe).base_model)
    target = local_folder(model, options.get("transformers_cache"))
    if named is not None and named.resolve() != target.resolve():
        raise UsageError(f"--in-place edits the base, {target}: expected that folder or none, got {named}")
    return target


def _edit_held(job: Job, checkpoint: Inside, hash_all: bool) -> EditReport:
    tasks = tensor_tasks(job.plan, job.base, job.donors, job.precision)
    job.base.require_unchanged()
    with begin_journal(checkpoint, [task.base for task in tasks], job.threads) as journal:
        try:
            journal.hide_config()
            report = _edit(job, tasks, hash_all)
            texts = card_texts(job, checkpoint.path.resolve().name) | {REPORT_FILE: report_text(report)}
            journal.announce(texts)
            for name, text in texts.items():
                checkpoint.write(name, text.encode(), via=journal.folder)
            journal.finish(report)
        except BaseException:
            _take_back(checkpoint)
            raise
    return report


def _take_back(checkpoint: Inside) -> None:
    try:
        roll_back(checkpoint)
    except BaseException:
        LOG.warning("%s is half-edited: 'sae-merge undo' makes it the base again", checkpoint.path)
        raise
    LOG.warning("%s is as it was", checkpoint.path)


def _edit(job: Job, tasks: tuple[TensorTask, ...], hash_all: bool) -> EditReport:
    read = job.base.tensors.values() if hash_all else [task.base for task in tasks]
    with (
        bytes_bar(sum(entry.nbytes for entry in read), "editing", quiet=job.quiet) as advance,
        WeightFiles(job.checkpoints) as files,
        TensorWriters(job.base.folder) as writers,
    ):
        edited = edit_tensors(job, tasks, files, advance, writers.into)
        files.require_unchanged(job.donors.values())
        if hash_all:
            kept = kept_reports(job, tasks, job.base, files, advance, with_sha256=True)
        else:
            kept = _left_unread(job, tasks)
        writers.sync()
    return report_of(job, side_file_hashes(job.base.folder), [*edited_reports(edited), *kept])


def _left_unread(job: Job, tasks: tuple[TensorTask, ...]) -> list[TensorReport]:
    """The tensors that stay, with the hashes that the base's own report has of them."""
    known: dict[tuple[str, str, tuple[int, ...]], Hashes] = {}
    if (job.base.folder / REPORT_FILE).exists():
        try:
            before = read_edit_report(job.base.folder)
        except ArtifactError as error:
            LOG.warning("the hashes of the base's own report are not taken over: %s", error)
        else:
            known = {
                (one.name, one.dtype, one.shape): Hashes(one.xxh3, one.sha256)
                for one in before.tensors
                if one.xxh3 is not None
            }
    edited = {task.base.name for task in tasks}
    return [
        TensorReport.of(entry, known.get((name, entry.dtype, entry.shape)), "base")
        for name, entry in job.base.tensors.items()
        if name not in edited
    ]


def _require_own_files(job: Job) -> None:
    """A file with other names would change under all of them: the Hub's cache, or a hard link."""
    for file in job.base.files:
        if file.is_symlink():
            raise MergeError(
                f"--in-place would change {file.resolve()}, to which {file} only leads: copy it first"
            )
        if file.stat().st_nlink > 1:
            raise MergeError(f"--in-place would change {file} under its other hard links too: copy it first")
