"""The way back from an edit in place, complete or cut short: the base's bytes, and what others added.

Every step is on the disk before the next begins, and every step may be done twice: an undo that was
killed anywhere goes on where it is called again. Nothing is changed before all that it would write
was held against the journal and the shards' own headers.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from sae_merge_method.artifacts.edit_journal import ORIGINALS, JournalRecord, Overwritten, Replaced
from sae_merge_method.errors import ArtifactError, MergeError
from sae_merge_method.files.descriptors import sync
from sae_merge_method.files.hashing import span_xxh3
from sae_merge_method.files.inside import Inside
from sae_merge_method.files.lock import locked
from sae_merge_method.merge.journal import Journal, copy_exactly, open_journal
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.headers import FileStamp, read_stamped_header

LOG = logging.getLogger(__name__)


def undo(folder: str | Path) -> int:
    """Bring back the base's bytes; may itself be interrupted and run again.

    A README.md, recipe or report that somebody wrote after the edit is set aside under another name,
    with a log line; a weight file with several hard links is copied first, so that the others stay.

    Args:
        folder: The checkpoint that was edited in place.

    Returns:
        How many tensors were restored.

    Raises:
        ArtifactError: There is no journal, or a damaged one.
        MergeError: Somebody changed the tensors after the edit, the journal's bytes are damaged, or
            it leads out of the folder or of its tensors; nothing is changed then.
        InUseError: Another process is at work in the folder.
    """
    with locked(Path(folder)), Inside.hold(Path(folder)) as checkpoint:
        return roll_back(checkpoint)


def roll_back(checkpoint: Inside) -> int:
    """As :func:`undo`, in a folder that is held."""
    with open_journal(checkpoint) as journal:
        record = journal.read()
        _require_config(journal)
        if record.state != "undone":
            _require_restorable(journal, record)
            record = record.model_copy(update={"state": "undoing"})
            journal.write(record)
            journal.hide_config()
            _restore_tensors(journal, record)
            for file in record.replaced:
                _restore_file(journal, file)
            journal.write(record.model_copy(update={"state": "undone"}))
        journal.show_config()
        journal.remove()
        return len(record.tensors)


def _require_config(journal: Journal) -> None:
    holders = [folder for folder in (journal.folder, journal.checkpoint) if folder.holds(CONFIG_FILE)]
    if not holders:
        raise MergeError(f"{journal.folder.path} has lost its {CONFIG_FILE}: nothing was changed")
    for folder in holders:
        with folder.open(CONFIG_FILE):
            pass


def _require_restorable(journal: Journal, record: JournalRecord) -> None:
    """Look at everything before anything is changed."""
    with journal.folder.open(ORIGINALS) as originals:
        for file, tensors in record.by_file().items():
            with journal.checkpoint.open(file) as shard:
                _require_spans(journal.checkpoint.path / file, shard, (tensor for _, tensor in tensors))
                for at, tensor in tensors:
                    if _xxh3(originals, at, tensor.nbytes) != tensor.xxh3:
                        raise MergeError(
                            f"{journal.folder.path / ORIGINALS} is damaged: {tensor.name} cannot be "
                            "restored; nothing was changed"
                        )
                    if record.state == "edited":
                        _require_untouched(journal, shard, tensor)
    for replaced in record.replaced:
        if journal.kept.sha256(replaced.name) != replaced.original_sha256:
            raise MergeError(
                f"{journal.kept.path / replaced.name} is damaged: it cannot be restored; nothing was changed"
            )
        journal.checkpoint.sha256(replaced.name)  # refuses what is no regular file


def _require_spans(file: Path, shard: int, tensors: Iterable[Overwritten]) -> None:
    header = read_stamped_header(file)
    if header.stamp != FileStamp.of(os.fstat(shard)):
        raise MergeError(f"{file} changed while it was being read; nothing was changed")
    for tensor in tensors:
        entry = header.entries.get(tensor.name)
        if entry is None or (entry.start, entry.nbytes) != (tensor.start, tensor.nbytes):
            raise ArtifactError(
                f"the journal places {tensor.name} at bytes {tensor.start} to {tensor.start + tensor.nbytes} "
                f"of {file}, "
                + (f"where it lies at {entry.start} to {entry.end}" if entry else "which has no such tensor")
                + "; nothing was changed"
            )


def _require_untouched(journal: Journal, shard: int, tensor: Overwritten) -> None:
    if _xxh3(shard, tensor.start, tensor.nbytes) not in (tensor.edited_xxh3, tensor.xxh3):
        raise MergeError(
            f"{journal.checkpoint.path / tensor.file}: {tensor.name} was changed after the edit; "
            f"nothing was undone (the base's bytes lie in {journal.folder.path / ORIGINALS})"
        )


def _restore_tensors(journal: Journal, record: JournalRecord) -> None:
    with journal.folder.open(ORIGINALS) as originals:
        for file, tensors in record.by_file().items():
            _own_alone(journal, file)
            with journal.checkpoint.open(file, writing=True) as shard:
                for at, tensor in tensors:
                    copy_exactly(originals, at, shard, tensor.start, tensor.nbytes)
                sync(shard)


def _own_alone(journal: Journal, file: str) -> None:
    """Part a file from its other hard links: they keep the bytes they have."""
    with journal.checkpoint.open(file) as shard:
        if os.fstat(shard).st_nlink == 1:
            return
        path = journal.checkpoint.path / file
        LOG.info("%s has other hard links, which stay as they are: copied first", path)
        journal.folder.receive(shard)
    journal.folder.deliver(journal.checkpoint, file)


def _restore_file(journal: Journal, file: Replaced) -> None:
    now = journal.checkpoint.sha256(file.name)
    if now == file.original_sha256:
        return
    if now is not None and now != file.written_sha256:
        aside = journal.checkpoint.set_aside(file.name)
        LOG.warning("%s was written after the edit: kept as %s", journal.checkpoint.path / file.name, aside)
        now = None
    if file.original_sha256 is not None:
        with journal.kept.open(file.name) as original:
            journal.checkpoint.put(file.name, original, via=journal.folder)
    elif now is not None:
        journal.checkpoint.remove(file.name)


def _xxh3(handle: int, first: int, nbytes: int) -> str | None:
    """Of a span; None where the file ends in it."""
    try:
        return span_xxh3(handle, first, nbytes)
    except EOFError:
        return None
