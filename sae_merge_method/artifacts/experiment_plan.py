"""``plan.json`` and ``arms/<name>/``: what an experiment is going to do, and what it keeps of what is done.

The report is made of these, so it can be written at any moment, from a folder alone. Beside an
arm's record lie lm-eval's own files; the record is written last: an arm without one is not done.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.energy_report import Energy
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


PLAN_FILE = "plan.json"
ARMS_FOLDER = "arms"


class PlannedArm(Record):
    """One arm to run."""

    name: str
    role: Role
    says: str
    """What it controls for, or what it is."""
    method: str | None
    """Merge method; None where a model is evaluated as it is."""
    layers: tuple[int, ...]
    energy: float | None = Field(ge=0)
    """Squared norm of what it will inject, before rounding; None for the user's own recipes."""


class ExperimentPlan(Record):
    """All arms, and what they have in common."""

    schema_version: Literal[1] = 1
    depends_on: dict[str, str]
    """What it was made from, by part: sha256 or plain value. A plan stands while this stays the same."""
    base: str
    donor: str
    n_layers: int = Field(ge=1)
    score: str
    """Of the diagnosis."""
    scores: dict[int, float]
    """Of every layer diagnosed."""
    select: str
    """Rule of the pick."""
    layers: tuple[int, ...]
    """The pick."""
    weight: float
    metric: str
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests in the report."""
    evaluation: dict[str, str | int | float | bool | None]
    """How lm-eval is called, the model's own arguments aside."""
    task_vector_energy: float = Field(gt=0)
    """Squared norm of donor minus base, over the decoder layers."""
    projection: Energy | None
    """What the scalpel's span keeps in the pick's layers; None where there is no scalpel arm."""
    arms: tuple[PlannedArm, ...] = Field(min_length=2)
    """The base first, the pick second."""


def read_plan(folder: Path) -> ExperimentPlan:
    """Read an experiment's plan from its folder.

    Raises:
        ArtifactError: Missing or not a plan.
    """
    return read_record(folder / PLAN_FILE, ExperimentPlan, "an experiment's plan")


def write_plan(folder: Path, plan: ExperimentPlan) -> None:
    """Write the plan into an experiment's folder."""
    write_record(folder / PLAN_FILE, plan)
