"""The journal of an edit in place, kept: a folder inside the checkpoint, begun before the first byte changes.

Its record, whose form is :mod:`sae_merge_method.artifacts.edit_journal`'s, has every state on the disk before
what it announces begins. The way back, and what holds it to be true, is :mod:`sae_merge_method.merge.undo`'s.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import accumulate

from sae_merge_method.artifacts.edit_journal import (
    JOURNAL_FILE,
    KEPT,
    ORIGINALS,
    SMALL_FILES,
    JournalRecord,
    Overwritten,
    Replaced,
)
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.schema import read_record
from sae_merge_method.errors import ArtifactError, MergeError
from sae_merge_method.files.copying import copy_span
from sae_merge_method.files.descriptors import sync
from sae_merge_method.files.hashing import span_xxh3
from sae_merge_method.files.inside import Inside
from sae_merge_method.files.parallel import run_all
from sae_merge_method.files.writing import canonical_json
from sae_merge_method.models.checkpoint import CONFIG_FILE, JOURNAL_FOLDER
from sae_merge_method.models.headers import TensorEntry


class Journal:
    """A journal that is held open, with the checkpoint it belongs to."""

    def __init__(self, checkpoint: Inside, folder: Inside, kept: Inside) -> None:
        self.checkpoint = checkpoint
        self.folder = folder
        self.kept = kept

    def read(self) -> JournalRecord:
        """What it records.

        Raises:
            ArtifactError: Damaged.
            MergeError: A link.
        """
        with self.folder.open(JOURNAL_FILE):
            pass
        what = "a journal of sae-merge merge --in-place"
        return read_record(self.folder.path / JOURNAL_FILE, JournalRecord, what)

    def write(self, record: JournalRecord) -> None:
        """Have a record on the disk in the place of the one before."""
        self.folder.write(JOURNAL_FILE, canonical_json(record.model_dump(mode="json")).encode())

    def announce(self, texts: Mapping[str, str]) -> None:
        """Record what will be written into small files, so that others' writing is told from the edit's."""
        record = self.read()
        hashes = {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}
        replaced = tuple(
            each.model_copy(update={"written_sha256": hashes.get(each.name)}) for each in record.replaced
        )
        self.write(record.model_copy(update={"replaced": replaced}))

    def finish(self, report: EditReport) -> None:
        """Record that the edit is complete, and let the checkpoint be loaded again."""
        hashes = {tensor.name: tensor.xxh3 for tensor in report.edited()}
        record = self.read()
        tensors = tuple(
            tensor.model_copy(update={"edited_xxh3": hashes[tensor.name]}) for tensor in record.tensors
        )
        self.write(record.model_copy(update={"state": "edited", "tensors": tensors}))
        self.show_config()

    def hide_config(self) -> None:
        """Take config.json away from the checkpoint: nothing can load it."""
        if self.checkpoint.holds(CONFIG_FILE):
            if self.folder.holds(CONFIG_FILE):
                self.checkpoint.set_aside(CONFIG_FILE)  # somebody wrote one meanwhile
            else:
                self.checkpoint.move(CONFIG_FILE, self.folder, CONFIG_FILE)

    def show_config(self) -> None:
        """Give config.json back."""
        if self.folder.holds(CONFIG_FILE):
            if self.checkpoint.holds(CONFIG_FILE):
                self.checkpoint.set_aside(CONFIG_FILE)
            self.folder.move(CONFIG_FILE, self.checkpoint, CONFIG_FILE)

    def remove(self) -> None:
        """Remove it, its record first: without that the rest is but litter."""
        if self.folder.holds(JOURNAL_FILE):
            self.folder.remove(JOURNAL_FILE)
        shutil.rmtree(self.folder.path, ignore_errors=True)


@contextmanager
def open_journal(checkpoint: Inside) -> Iterator[Journal]:
    """The journal inside a checkpoint's folder.

    Raises:
        ArtifactError: There is none.
        MergeError: It is a link, or holds one where a folder should be.
    """
    nothing = f"nothing to undo in {checkpoint.path}: it holds no journal of sae-merge merge --in-place"
    if not checkpoint.holds(JOURNAL_FOLDER):
        raise ArtifactError(nothing)
    with checkpoint.folder(JOURNAL_FOLDER) as folder:
        if not folder.holds(JOURNAL_FILE):
            raise ArtifactError(nothing)
        with folder.folder(KEPT) as kept:
            yield Journal(checkpoint, folder, kept)


@contextmanager
def begin_journal(
    checkpoint: Inside, entries: Sequence[TensorEntry], threads: int | None = None
) -> Iterator[Journal]:
    """Put away all that an edit will overwrite.

    Args:
        checkpoint: The folder.
        entries: Tensors that will be overwritten.
        threads: How many are copied at a time; None for one a core.

    Raises:
        MergeError: A small file is no regular file.
    """
    (checkpoint.path / JOURNAL_FOLDER / KEPT).mkdir(parents=True)
    with checkpoint.folder(JOURNAL_FOLDER) as folder, folder.folder(KEPT) as kept:
        journal = Journal(checkpoint, folder, kept)
        try:
            tensors = _put_away(folder, entries, threads)
            replaced = tuple(_keep(checkpoint, kept, folder, name) for name in SMALL_FILES)
            checkpoint.sync()
            journal.write(JournalRecord(state="editing", tensors=tensors, replaced=replaced))
        except BaseException:
            journal.remove()
            raise
        yield journal


def make_room(checkpoint: Inside) -> None:
    """Remove a journal that holds nothing any more: never complete, or undone.

    Raises:
        MergeError: It is needed to take an edit back.
    """
    if not checkpoint.holds(JOURNAL_FOLDER):
        return
    with checkpoint.folder(JOURNAL_FOLDER) as folder:
        journal = Journal(checkpoint, folder, folder)  # what holds nothing may have lost its kept files
        state = journal.read().state if folder.holds(JOURNAL_FILE) else "undone"
        if state == "edited":
            raise MergeError(
                f"{checkpoint.path} was edited in place before: run 'sae-merge undo {checkpoint.path}' first"
            )
        if state != "undone" or not checkpoint.holds(CONFIG_FILE):
            raise MergeError(f"{checkpoint.path} was left half-edited: run 'sae-merge undo' first")
        journal.remove()


def _put_away(folder: Inside, entries: Sequence[TensorEntry], threads: int | None) -> tuple[Overwritten, ...]:
    folder.write(ORIGINALS, b"")
    begins = [0, *accumulate(entry.nbytes for entry in entries)]
    with folder.open(ORIGINALS, writing=True) as into:
        calls = [partial(_copy, entry, into, at) for entry, at in zip(entries, begins, strict=False)]
        tensors = run_all(calls, threads)
        sync(into)
    return tuple(tensors)


def _copy(entry: TensorEntry, into: int, at: int) -> Overwritten:
    """Copy one tensor, and hash what has come of it: XXH3, for against a forger no journal is proof."""
    with entry.file.open("rb") as stream:
        copy_exactly(stream.fileno(), entry.start, into, at, entry.nbytes)
    return Overwritten(
        name=entry.name,
        file=entry.file.name,
        start=entry.start,
        nbytes=entry.nbytes,
        xxh3=span_xxh3(into, at, entry.nbytes),
    )


def _keep(checkpoint: Inside, kept: Inside, via: Inside, name: str) -> Replaced:
    if checkpoint.holds(name):
        with checkpoint.open(name) as handle:
            kept.put(name, handle, via)
    return Replaced(name=name, original_sha256=kept.sha256(name))


def copy_exactly(reading: int, first: int, writing: int, at: int, nbytes: int) -> None:
    """Copy a span of one open file into another.

    Raises:
        MergeError: The first file ends inside the span.
    """
    try:
        copy_span(reading, first, writing, at, nbytes)
    except EOFError:
        raise MergeError("a file ended early while a journal was being written or undone") from None
