"""``journal.json`` in a checkpoint that is, or was, edited in place: what stood where, and how far it came.

Beside it lie ``originals.bin``, the overwritten bytes one after the other, and copies of the small files
that were replaced. A journal may come from elsewhere: it names no file but the checkpoint's own.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from sae_merge_method.artifacts.edit_report import REPORT_FILE
from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.models.hub import CARD_FILE

JOURNAL_FILE, ORIGINALS, KEPT = "journal.json", "originals.bin", "kept"
"""Inside the journal's folder: the record, the overwritten bytes, and the folder of replaced small files."""

SMALL_FILES = (REPORT_FILE, CARD_FILE, RECIPE_FILE)
"""All that an edit writes beside tensors."""

State = Literal["editing", "edited", "undoing", "undone"]


class Overwritten(Record):
    """One tensor that was overwritten, and what it was before."""

    name: str
    """The tensor's name in the checkpoint."""
    file: str = Field(pattern=r"^[^/\\.][^/\\]*\.safetensors$")
    """Name of the weight file that holds the tensor."""
    start: int = Field(ge=0)
    """First byte of the tensor in that file."""
    nbytes: int = Field(ge=0)
    """Length of the tensor's bytes."""
    xxh3: str
    """XXH3-128 of the original bytes, in hex."""
    edited_xxh3: str | None = None
    """XXH3-128 of the bytes that the edit wrote, in hex; null until the edit is complete."""


class Original(NamedTuple):
    """An overwritten tensor, and where its bytes lie."""

    at: int
    """First byte in ``originals.bin``."""
    tensor: Overwritten


class Replaced(Record):
    """One small file that the edit writes anew."""

    name: str
    """The file's name in the checkpoint's folder."""
    original_sha256: str | None
    """Hex sha256 of the file before the edit; null where there was none."""
    written_sha256: str | None = None
    """Hex sha256 of what the edit puts there; null where it puts nothing there, or has not come so far."""

    @field_validator("name")
    @classmethod
    def _one_of_ours(cls, name: str) -> str:
        if name not in SMALL_FILES:
            raise ValueError(f"an edit writes {', '.join(SMALL_FILES)} alone")
        return name


class JournalRecord(Record):
    """``journal.json``: how far an edit in place came, and how to take it back."""

    schema_version: Literal[3] = 3
    """Version of this file's format."""
    state: State
    """What is under way or done: "editing" and "undoing" leave the folder without its config.json,
    "edited" is a complete edit, "undone" is the base again, its journal not yet removed."""
    tensors: tuple[Overwritten, ...]
    """The overwritten tensors, in the order in which the journal holds their bytes."""
    replaced: tuple[Replaced, ...]
    """Small files of the folder that the edit may write; those that existed lie in the journal."""

    @field_validator("tensors", "replaced")
    @classmethod
    def _each_once(cls, entries: tuple[Overwritten | Replaced, ...]) -> tuple[Overwritten | Replaced, ...]:
        if len({each.name for each in entries}) < len(entries):
            raise ValueError("a name stands there twice")
        return entries

    def by_file(self) -> dict[str, list[Original]]:
        """The overwritten tensors of each weight file."""
        files: dict[str, list[Original]] = {}
        for original in self.originals():
            files.setdefault(original.tensor.file, []).append(original)
        return files

    def originals(self) -> Iterable[Original]:
        """The overwritten tensors, each with where its bytes begin in ``originals.bin``."""
        at = 0
        for tensor in self.tensors:
            yield Original(at, tensor)
            at += tensor.nbytes
