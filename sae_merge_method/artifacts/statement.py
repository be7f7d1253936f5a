"""An in-toto Statement v1 of what ``sae-merge verify`` proved: ready to be signed by whoever ran it.

The subject is the checkpoint's weight files, each by its sha256, so that anybody can tell whether a folder
is the one that was audited. Keys are in-toto's own where it has a word, and ours in the predicate. Who
signs it, and how, is for other tools: https://github.com/in-toto/attestation.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, Field

from sae_merge_method.artifacts.edit_report import FileReport
from sae_merge_method.artifacts.schema import Record, read_record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.files.writing import canonical_json, write_text

STATEMENT_FILES = "*.intoto.json"
"""Names by which a statement is found in a checkpoint's folder."""
PREDICATE_TYPE: Final = "https://pypi.org/project/sae-merge-method/verified-merge/v1"
"""What the predicate means: :class:`VerifiedMerge`. Another meaning has another number at its end."""


class Digest(Record):
    """Hashes of one file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hex sha256 of the file's bytes."""


class Subject(Record):
    """One file that a statement is about."""

    name: str
    """Path of the file in the checkpoint's folder."""
    digest: Digest
    """Hashes of the file."""


class HeldModel(Record):
    """One model that a checkpoint was held against."""

    role: Literal["base", "donor"]
    """What the model is to the recipe."""
    model: str
    """The model, as the recipe names it."""
    revision: str | None
    """Commit of the Hub's snapshot that was read; null where a folder was."""
    config_sha256: str
    """Hex sha256 of the model's config.json."""
    tensors: int
    """How many of the model's tensors were read."""
    tensors_sha256: str
    """One hash over the tensors that were read: sha256 over their names, dtypes, shapes and XXH3-128."""


class VerifiedMerge(Record):
    """What was audited, against what, and what came of it."""

    tool: str
    """Name and version of the software that ran the audit."""
    merge_method: str
    """The merge method, by the recipe's name for it."""
    layers: tuple[UnitField, ...]
    """Selected decoder layers, in the order of depth, counted from 0; of a layer that is selected in part,
    its parts, such as "11.attn"."""
    n_layers: int
    """Decoder layers of the checkpoint."""
    recipe: Subject
    """The recipe in the checkpoint's folder."""
    result_sha256: str
    """One hash over every tensor of the checkpoint, as its edit report takes it."""
    beside: tuple[FileReport, ...]
    """Every file beside the weights that decides what a loader loads and generates."""
    against: tuple[HeldModel, ...]
    """The base, then the donors, each as far as it was at hand."""
    proved: tuple[str, ...]
    """Sentences that hold of every tensor or file they speak of."""
    not_proved: tuple[str, ...]
    """What could not be checked, and what was missing for it."""


class Statement(Record):
    """An in-toto Statement v1 with :class:`VerifiedMerge` as its predicate."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        default="https://in-toto.io/Statement/v1", validation_alias="_type", serialization_alias="_type"
    )
    """What kind of document the file is, in in-toto's words."""
    subject: tuple[Subject, ...] = Field(min_length=1)
    """The checkpoint's weight files."""
    predicate_type: Literal["https://pypi.org/project/sae-merge-method/verified-merge/v1"] = Field(
        default=PREDICATE_TYPE, validation_alias="predicateType", serialization_alias="predicateType"
    )
    """What the predicate means, as a URI."""
    predicate: VerifiedMerge
    """What was proved of the subject."""


def read_statement(path: str | Path) -> Statement:
    """Read a statement.

    Raises:
        ArtifactError: Missing, or no statement of ours.
    """
    return read_record(Path(path), Statement, "a statement of sae-merge verify")


def write_statement(path: Path, statement: Statement) -> None:
    """Write a statement, as in-toto's tools read it: same audit, same bytes."""
    write_text(path, canonical_json(statement.model_dump(mode="json", by_alias=True)))
