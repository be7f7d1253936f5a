"""A base that is the checkpoint itself: told apart from another model, and found in the journal of its edit.

Such a base agrees with the checkpoint however that was changed, by whatever name, path or link it comes. An
edit in place has no other base, but its journal keeps the bytes that were overwritten.
"""

import os
from collections.abc import Collection
from dataclasses import replace

from sae_merge_method.artifacts.edit_journal import JOURNAL_FILE, ORIGINALS, JournalRecord, Original
from sae_merge_method.artifacts.schema import read_record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.regular import open_regular
from sae_merge_method.layers import Unit, unit_of_tensor
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, Checkpoint
from sae_merge_method.models.headers import FileStamp, TensorEntry


def is_itself(merged: Checkpoint, other: Checkpoint, layers: Collection[Unit]) -> bool:
    """Whether a model's selected layers are the checkpoint's own: the same folder, or the same files.

    A merge may share the other files with its base (``--link``).
    """
    if other.folder.samefile(merged.folder):
        return True
    own, others = (_files_of(model, layers) for model in (merged, other))
    return not own.isdisjoint(others)


def _files_of(model: Checkpoint, layers: Collection[Unit]) -> set[tuple[int, int]]:
    """Device and inode of the files that hold these layers, or parts of them."""
    files = {entry.file for name, entry in model.tensors.items() if unit_of_tensor(layers, name) is not None}
    return {model.stamps[file][:2] for file in files}


def journaled_base(merged: Checkpoint) -> Checkpoint | None:
    """The base of an edit in place, its overwritten tensors where the journal keeps them.

    All others are the checkpoint's own: see :func:`is_journaled`.

    Returns:
        The base, or None where the folder holds no journal of a complete edit, or one whose originals did not
        come along, as from the Hub.

    Raises:
        ArtifactError: The journal is damaged, or is not of this checkpoint.
    """
    folder = merged.folder / JOURNAL_FOLDER
    if not (folder / JOURNAL_FILE).exists():
        return None
    record = read_record(folder / JOURNAL_FILE, JournalRecord, "a journal of sae-merge merge --in-place")
    if record.state != "edited":
        return None
    try:
        handle = open_regular(folder / ORIGINALS)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"cannot read {folder / ORIGINALS}: {error.strerror}") from error
    try:
        stamp = FileStamp.of(os.fstat(handle))
    finally:
        os.close(handle)
    overwritten = {one.tensor.name: _original(merged, one, stamp.size) for one in record.originals()}
    return replace(
        merged,
        tensors={**merged.tensors, **overwritten},
        stamps={**merged.stamps, folder / ORIGINALS: stamp},
    )


def is_journaled(base: Checkpoint, name: str) -> bool:
    """Whether a tensor of :func:`journaled_base` is kept apart from the checkpoint's own bytes."""
    return base.tensors[name].file.name == ORIGINALS


def _original(merged: Checkpoint, one: Original, size: int) -> TensorEntry:
    tensor, entry = one.tensor, merged.tensors.get(one.tensor.name)
    file = merged.folder / JOURNAL_FOLDER / ORIGINALS
    if entry is None or (entry.file.name, entry.start, entry.nbytes) != (
        tensor.file,
        tensor.start,
        tensor.nbytes,
    ):
        raise ArtifactError(f"the journal of {merged.folder} places {tensor.name} where it does not lie")
    if one.at + tensor.nbytes > size:
        raise ArtifactError(f"{file} was cut short: expected {tensor.name} at byte {one.at}")
    return replace(entry, file=file, start=one.at, end=one.at + tensor.nbytes)
