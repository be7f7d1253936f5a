"""``arms/<name>/``: what an experiment keeps of one arm once it is done.

Beside this record lie lm-eval's own files (``results/``) and, where a general corpus was given,
the log-likelihood of each of its documents. The record is written last: an arm without one is not done.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.schema import Record, read_record, write_record

ARM_FILE = "arm.json"
RECIPE_FILE = "recipe.yml"
RESULTS_FOLDER = "results"

Role = Literal["base", "donor", "pick", "layers", "dose", "scalpel", "layer", "own"]
"""What an arm is there for: the two ends; the recipe under test; other layers than its own; the same
task vector in another amount; the rejected side and its twins; one layer alone; the user's own recipe."""


class GeneralText(Record):
    """Log-likelihood of every document of the general corpus."""

    name: str
    """The corpus, as the user wrote it."""
    sha256: str
    """Of the corpus, as a diagnosis takes it."""
    nats: tuple[float, ...]
    """Sum of -log p over a document's tokens."""
    tokens: tuple[int, ...]
    """How many tokens that sum is over."""

    @property
    def loss(self) -> float:
        """Mean next-token cross-entropy in nats a token."""
        return sum(self.nats) / sum(self.tokens)


class ArmRecord(Record):
    """One arm, done."""

    schema_version: Literal[1] = 1
    name: str
    role: Role
    says: str
    """What it controls for, or what it is."""
    key: str
    """sha256 over all its numbers depend on: recipe, models, evaluation, versions."""
    depends_on: dict[str, str]
    """The same by part: sha256 or plain value, to say which of them changed."""
    method: str | None
    """Merge method; None where a model was evaluated as it is."""
    layers: tuple[int, ...]
    """Layers that differ from the base's."""
    energy: float = Field(ge=0)
    """Squared norm of what was injected, rounding to the stored dtype included."""
    result_sha256: str | None
    """Hash of the merged checkpoint, as its edit report has it; None where nothing was merged."""
    general: GeneralText | None


def read_arm(folder: Path) -> ArmRecord:
    """Read the record of an arm that is done.

    Raises:
        ArtifactError: Missing or not such a record.
    """
    return read_record(folder / ARM_FILE, ArmRecord, "an experiment's arm")


def write_arm(folder: Path, record: ArmRecord) -> None:
    """Write the record that says an arm is done."""
    write_record(folder / ARM_FILE, record)
