"""The journal of an edit in place: what stood where, and the way back.

A folder inside the checkpoint: ``originals.bin`` (the overwritten bytes, one after the other),
copies of the small files that were replaced, and ``journal.json``. Its state says how far the
edit came; each step is on the disk before the next begins.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.edit_report import TensorReport
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.errors import ArtifactError, MergeError
from sae_merge_method.files.copying import copy_span
from sae_merge_method.files.hashing import span_sha256
from sae_merge_method.files.writing import sync_file
from sae_merge_method.models.checkpoint import CONFIG_FILE, JOURNAL_FOLDER
from sae_merge_method.models.headers import TensorEntry

_JOURNAL_FILE, _ORIGINALS, _KEPT = "journal.json", "originals.bin", "kept"


class Overwritten(Record):
    """One tensor that was overwritten, and what it was before."""

    name: str
    """The tensor's name in the checkpoint."""
    file: str = Field(pattern=r"^[^/\\.][^/\\]*\.safetensors$")
    """Name of the weight file that holds it."""
    start: int = Field(ge=0)
    """First byte of the tensor in that file."""
    nbytes: int = Field(ge=0)
    """Length of the tensor's bytes."""
    sha256: str
    """Hex sha256 of the original bytes."""
    edited_sha256: str | None = None
    """Hex sha256 of the bytes that the edit wrote; null while it goes on."""


class JournalRecord(Record):
    """``journal.json``: how far an edit in place came, and how to take it back."""

    schema_version: Literal[1] = 1
    state: Literal["editing", "edited"]
    """Whether the edit, or its undoing, is under way, or the edit is complete."""
    tensors: tuple[Overwritten, ...]
    """The overwritten tensors, in the order in which the journal holds their bytes."""
    replaced: tuple[Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")], ...]
    """Small files of the folder that the edit may write; those that existed lie in the journal."""


class Journal:
    """A journal that was begun."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.folder = checkpoint / JOURNAL_FOLDER

    def read(self) -> JournalRecord:
        """What it records.

        Raises:
            ArtifactError: Damaged.
        """
        return read_record(
            self.folder / _JOURNAL_FILE, JournalRecord, "a journal of sae-merge merge --in-place"
        )

    def finish(self, edited: Iterable[TensorReport]) -> None:
        """Record that the edit is complete, and let the checkpoint be loaded again."""
        hashes = {tensor.name: tensor.sha256 for tensor in edited}
        record = self.read()
        tensors = tuple(
            tensor.model_copy(update={"edited_sha256": hashes[tensor.name]}) for tensor in record.tensors
        )
        done = record.model_copy(update={"state": "edited", "tensors": tensors})
        write_record(self.folder / _JOURNAL_FILE, done)
        (self.folder / CONFIG_FILE).replace(self.checkpoint / CONFIG_FILE)
        sync_file(self.checkpoint)


def journal_of(folder: Path) -> Journal:
    """The journal inside a checkpoint's folder.

    Raises:
        ArtifactError: There is none.
    """
    journal = Journal(folder)
    if not (journal.folder / _JOURNAL_FILE).exists():
        raise ArtifactError(f"nothing to undo in {folder}: it holds no journal of sae-merge merge --in-place")
    return journal


def begin_journal(folder: Path, entries: Sequence[TensorEntry], replaced: Sequence[str]) -> Journal:
    """Put away all that an edit will overwrite, then take config.json away until it is finished.

    Args:
        folder: The checkpoint.
        entries: Tensors that will be overwritten.
        replaced: Names of small files that will be written anew.

    Raises:
        MergeError: There is a journal already.
    """
    journal = Journal(folder)
    if (journal.folder / _JOURNAL_FILE).exists():
        raise MergeError(
            f"{folder} was edited in place before: run 'sae-merge undo {folder}' first, or remove "
            f"{journal.folder} to keep that edit for good"
        )
    shutil.rmtree(journal.folder, ignore_errors=True)  # one that was never complete: nothing was overwritten
    (journal.folder / _KEPT).mkdir(parents=True)
    try:
        with (journal.folder / _ORIGINALS).open("w+b") as stream:
            tensors = tuple(_put_away(entry, stream.fileno()) for entry in entries)
            os.fsync(stream.fileno())
        for name in replaced:
            if (folder / name).exists():
                shutil.copyfile(folder / name, journal.folder / _KEPT / name)
                sync_file(journal.folder / _KEPT / name)
        sync_file(journal.folder / _KEPT)
        record = JournalRecord(state="editing", tensors=tensors, replaced=tuple(replaced))
        write_record(journal.folder / _JOURNAL_FILE, record)
        sync_file(journal.folder)
    except BaseException:
        shutil.rmtree(journal.folder, ignore_errors=True)
        raise
    (folder / CONFIG_FILE).replace(journal.folder / CONFIG_FILE)
    sync_file(folder)
    return journal


def undo(folder: str | Path) -> int:
    """Bring back the base's bytes; may itself be interrupted and run again.

    Args:
        folder: The checkpoint that was edited in place.

    Returns:
        How many tensors were restored.

    Raises:
        ArtifactError: There is no journal, or a damaged one.
        MergeError: Somebody changed the tensors after the edit, or the journal's bytes are
            damaged; nothing is changed then.
    """
    folder = Path(folder)
    journal = journal_of(folder)
    record = journal.read()
    _require_restorable(journal, record)
    if (folder / CONFIG_FILE).exists():
        (folder / CONFIG_FILE).replace(journal.folder / CONFIG_FILE)
        write_record(journal.folder / _JOURNAL_FILE, record.model_copy(update={"state": "editing"}))
        sync_file(folder)
    at = 0
    with (journal.folder / _ORIGINALS).open("rb") as originals:
        for file in dict.fromkeys(tensor.file for tensor in record.tensors):
            with (folder / file).open("r+b") as stream:
                for tensor in (tensor for tensor in record.tensors if tensor.file == file):
                    _copy(originals.fileno(), at, stream.fileno(), tensor.start, tensor.nbytes)
                    at += tensor.nbytes
                os.fsync(stream.fileno())
    for name in record.replaced:
        kept = journal.folder / _KEPT / name
        if kept.exists():
            shutil.copyfile(kept, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    (journal.folder / CONFIG_FILE).replace(folder / CONFIG_FILE)
    sync_file(folder)
    (journal.folder / _JOURNAL_FILE).unlink()  # the last step first: without it the rest is but litter
    shutil.rmtree(journal.folder, ignore_errors=True)
    return len(record.tensors)


def _require_restorable(journal: Journal, record: JournalRecord) -> None:
    at = 0
    originals = journal.folder / _ORIGINALS
    for tensor in record.tensors:
        if _sha256(originals, at, tensor.nbytes) != tensor.sha256:
            raise MergeError(f"{originals} is damaged: {tensor.name} cannot be restored; nothing was changed")
        at += tensor.nbytes
        if record.state == "edited":
            now = _sha256(journal.checkpoint / tensor.file, tensor.start, tensor.nbytes)
            if now not in (tensor.edited_sha256, tensor.sha256):
                raise MergeError(
                    f"{journal.checkpoint / tensor.file}: {tensor.name} was changed after the edit; "
                    f"nothing was undone (the base's bytes lie in {originals})"
                )
    if not any((folder / CONFIG_FILE).exists() for folder in (journal.checkpoint, journal.folder)):
        raise MergeError(f"{journal.folder} has lost its {CONFIG_FILE}: nothing was changed")


def _put_away(entry: TensorEntry, into: int) -> Overwritten:
    at = os.lseek(into, 0, os.SEEK_END)
    with entry.file.open("rb") as stream:
        _copy(stream.fileno(), entry.start, into, at, entry.nbytes)
    return Overwritten(
        name=entry.name,
        file=entry.file.name,
        start=entry.start,
        nbytes=entry.nbytes,
        sha256=span_sha256(into, at, entry.nbytes),
    )


def _copy(reading: int, first: int, writing: int, at: int, nbytes: int) -> None:
    try:
        copy_span(reading, first, writing, at, nbytes)
    except EOFError:
        raise MergeError("a file ended early while a journal was being written or undone") from None


def _sha256(file: Path, first: int, nbytes: int) -> str | None:
    """Of a span; None where the file cannot give it."""
    try:
        with file.open("rb") as stream:
            return span_sha256(stream.fileno(), first, nbytes)
    except (OSError, EOFError):
        return None
