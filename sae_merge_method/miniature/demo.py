"""The demo: a miniature from the cache or trained now, the five stages on it, one table.

Its folder is self-contained: models, SAEs, corpora and data set are copied in, so that every
command it logs can be typed again there.
"""

import logging
import shutil
from functools import partial
from pathlib import Path
from time import monotonic

from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files import canonical_json, new_folder, write_text
from sae_merge_method.miniature.arms import ARMS, BASE, DONOR, Arm
from sae_merge_method.miniature.build import Miniature, build, evaluation_entry
from sae_merge_method.miniature.cache import SEAL, cache_root, cached_folder, is_sealed
from sae_merge_method.miniature.checkpoints import injected_energy
from sae_merge_method.miniature.commands import Commands
from sae_merge_method.miniature.evaluation import difference, read_accuracy
from sae_merge_method.miniature.experiment import Edited, run_stages
from sae_merge_method.miniature.loss import general_loss
from sae_merge_method.miniature.report import Report, Row, as_json, as_markdown
from sae_merge_method.miniature.settings import Settings
from sae_merge_method.miniature.texts import GENERAL_FILE

logger = logging.getLogger(__name__)

MARK_FILE = "miniature.json"
"""In a demo's folder: the settings it was made with."""
JSON_FILE = "demo.json"
MARKDOWN_FILE = "demo.md"

_UNEDITED = (BASE, DONOR)
"""Arms that depend on the miniature alone: their evaluations are kept in the cache with it."""


def run_demo(
    settings: Settings, out: Path, *, overwrite: bool = False, arms: tuple[Arm, ...] = ARMS
) -> Report:
    """Run the whole road and write the table into ``out``.

    Args:
        settings: Of the miniature.
        out: Folder of the demo; one that stands with the same settings is gone on with.
        overwrite: Whether to start a standing demo from the beginning.
        arms: The first is the base.

    Raises:
        UsageError: ``out`` holds something else.
        CommandError: One of the commands failed.
    """
    _check_place(settings, out, overwrite)
    start = monotonic()
    miniature = build(settings, cache_root())
    trained = monotonic() - start
    if overwrite or not (out / MARK_FILE).exists():
        _lay_out(settings, miniature, out, overwrite)
    commands = Commands(out, {"training" if miniature.made else "cache": trained})
    edited = run_stages(commands, arms, settings.seed)
    _remember_evaluations(miniature, out)
    with commands.stage("general loss"):
        rows = _rows(out, edited)
    report = Report(rows, commands.seconds, _notes(miniature))
    write_text(out / JSON_FILE, as_json(report))
    write_text(out / MARKDOWN_FILE, as_markdown(report))
    return report


def _check_place(settings: Settings, out: Path, overwrite: bool) -> None:
    """Refuse, before anything is trained, a folder that is not this demo's."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    mark = out / MARK_FILE
    if not mark.is_file():
        raise UsageError(f"expected a new folder or a demo's at {out}, found something else: name another")
    if not overwrite and mark.read_text(encoding="utf-8") != _mark(settings):
        raise UsageError(f"{out} holds a demo of other settings: name another folder or pass --overwrite")


def _lay_out(settings: Settings, miniature: Miniature, out: Path, overwrite: bool) -> None:
    with new_folder(out, overwrite=overwrite) as folder:
        _copy_entry(miniature.texts, folder)
        for name, source in (("base", miniature.base), ("donor", miniature.donor), ("saes", miniature.saes)):
            _copy_entry(source, folder / name)
        for arm in _UNEDITED:
            entry = evaluation_entry(miniature, arm.name)
            if is_sealed(entry):
                _copy_entry(entry, folder / "results" / arm.name)
        write_text(folder / MARK_FILE, _mark(settings))


def _mark(settings: Settings) -> str:
    return canonical_json(settings.as_dict())


def _remember_evaluations(miniature: Miniature, out: Path) -> None:
    for arm in _UNEDITED:
        results = out / "results" / arm.name
        if results.exists():
            cached_folder(evaluation_entry(miniature, arm.name), partial(_copy_entry, results))


def _copy_entry(source: Path, folder: Path) -> None:
    """Copy into or out of the cache, without the seal."""
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SEAL))


def _rows(out: Path, edited: list[Edited]) -> tuple[Row, ...]:
    whole = injected_energy(out / "base", out / "donor")
    if whole == 0.0:
        raise ArtifactError(f"expected a donor that differs from the base in {out}: nothing to inject")
    base = read_accuracy(out / "results" / edited[0].arm.name)
    rows = []
    for one in edited:
        accuracy = read_accuracy(out / "results" / one.arm.name)
        rows.append(
            Row(
                arm=one.arm,
                layers=one.layers,
                accuracy=accuracy,
                difference=None if one is edited[0] else difference(base, accuracy),
                general_loss=general_loss(out / one.model, out / GENERAL_FILE),
                energy=one.energy,
                energy_share=one.energy / whole,
                kept=one.kept,
            )
        )
    return tuple(rows)


def _notes(miniature: Miniature) -> tuple[str, ...]:
    if miniature.made:
        return (f"Made now: {', '.join(miniature.made)}.",)
    return ("Models, SAEs and the evaluations of base and donor were taken from the cache.",)
