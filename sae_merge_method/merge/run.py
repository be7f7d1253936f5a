"""Run one recipe: checked first, by the engine that fits, then whole or not at all."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_report import EditReport, write_edit_report
from sae_merge_method.artifacts.recipe import AnyRecipe
from sae_merge_method.errors import MergeError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.merge.apart import require_apart
from sae_merge_method.merge.beside_weights import (
    complete_side_files,
    copy_side_files,
    restate_dtypes,
    write_card,
)
from sae_merge_method.merge.direct import run_direct, why_not_direct
from sae_merge_method.merge.job import Job, open_job
from sae_merge_method.merge.report import report_read_back
from sae_merge_method.merge.settings import MergeSettings
from sae_merge_method.models.checkpoint import open_checkpoint

LOG = logging.getLogger(__name__)


def merge(
    recipe: AnyRecipe,
    out: str | Path,
    settings: MergeSettings | None = None,
    *,
    overwrite: bool = False,
    options: Mapping[str, Any] | None = None,
    allow_mismatch: Collection[str] = (),
) -> EditReport:
    """Merge as a recipe says: checked first, by the engine that fits, then whole or not at all.

    Donors are read in the selected layers only, whatever form the recipe has: what a donor holds,
    or lacks, elsewhere does not matter. Paths resolve against the working folder, as mergekit's do.

    Args:
        recipe: A file, or what it holds; its text is kept as ``mergekit_config.yml``.
        out: Folder to write; appears only when the merge is complete and checked.
        settings: How; None for the defaults.
        overwrite: Replace an existing ``out`` after success.
        options: Fields of ``mergekit.options.MergeOptions``.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        SaeMergeError: See the modules this one calls; nothing is written then.
    """
    target, how = Path(out), settings or MergeSettings()
    try:
        with (
            new_folder(target, overwrite=overwrite, sync=how.sync) as folder,
            open_job(recipe, target, options, allow_mismatch) as job,
        ):
            require_apart(job, recipe, target)
            if _takes_direct(job, how):
                copy_side_files(job, folder)
                report = run_direct(job, folder, link=how.link, hash_all=how.hash_all)
            else:
                report = _through_mergekit(job, folder, hash_all=how.hash_all)
            write_card(job, folder, target.name)
            write_edit_report(folder, report)
        return report
    except OSError as error:
        raise MergeError(
            f"{error.strerror or error}{f': {error.filename}' if error.filename else ''} ({_state(target)})"
        ) from error


def _takes_direct(job: Job, how: MergeSettings) -> bool:
    if how.engine != "direct":
        return False
    reason = why_not_direct(job)
    if reason is not None:
        LOG.warning("the direct engine hands over to mergekit: %s", reason)
    return reason is None


def _through_mergekit(job: Job, folder: Path, *, hash_all: bool) -> EditReport:
    from sae_merge_method.merge.mergekit_engine import run_mergekit

    run_mergekit(job, folder)
    restate_dtypes(job, folder)
    complete_side_files(job, folder)
    merged = open_checkpoint(folder)
    return report_read_back(job, merged, hash_all=hash_all)


def _state(out: Path) -> str:
    return f"{out} is as it was" if out.exists() else f"{out} was not written"
