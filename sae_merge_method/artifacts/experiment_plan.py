"""``plan.json`` and ``arms/<name>/``: what an experiment is going to do, and what it keeps of what is done.

The report is made of these, so it can be written at any moment, from a folder alone. Beside an
arm's record lie lm-eval's own files; the record is written last: an arm without one is not done.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.schema import OneOf, Record, read_record, write_record
from sae_merge_method.artifacts.subject import Test
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.models.rounding import ROUNDINGS

PLAN_FILE = "plan.json"
ARMS_FOLDER = "arms"
ARM_FILE = "arm.json"
RECIPE_FILE = "recipe.yml"
RESULTS_FOLDER = "results"


class GeneralText(Record):
    """Log-likelihood of every document of the general corpus under one arm."""

    name: str
    """The corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus, as a diagnosis takes it."""
    nats: tuple[float, ...]
    """For each document, the sum of -log p over its tokens."""
    tokens: tuple[int, ...]
    """For each document, how many tokens its sum of -log p is over."""

    @property
    def loss(self) -> float:
        """Mean next-token cross-entropy in nats a token."""
        return sum(self.nats) / sum(self.tokens)


class ArmRecord(ArmIdentity):
    """One arm, done."""

    schema_version: Literal[4] = 4
    """Version of this file's format."""
    key: str
    """sha256 over all that the arm's numbers depend on: recipe, models, evaluation, versions."""
    depends_on: dict[str, str]
    """What the arm's numbers depend on, part by part, as a sha256 or a plain value: it says what changed."""
    energy: float = Field(ge=0)
    """Squared norm of what was injected, rounding to the stored dtype included."""
    realised: Realised | None
    """What was to be injected, and what rounding to the stored dtype left of it; null where nothing was
    merged."""
    rounding: Annotated[str, OneOf(ROUNDINGS)] | None
    """How edited values were rounded; null where nothing was merged."""
    result_sha256: str | None
    """Hash of the merged checkpoint, as its edit report has it; null where nothing was merged."""
    cut_off: float | None
    """Share of the generated answers that are as long as the task's token limit, so probably cut off; null
    where the tasks generate none."""
    general: GeneralText | None
    """Losses on the general corpus; null where the experiment has none."""


def read_arm(folder: Path) -> ArmRecord:
    """Read the record of an arm that is done.

    Raises:
        ArtifactError: Missing or not such a record.
    """
    return read_record(folder / ARM_FILE, ArmRecord, "an experiment's arm")


def write_arm(folder: Path, record: ArmRecord) -> None:
    """Write the record that says an arm is done."""
    write_record(folder / ARM_FILE, record)


class ExperimentPlan(Record):
    """All arms, and what they have in common."""

    schema_version: Literal[4] = 4
    """Version of this file's format."""
    depends_on: dict[str, str]
    """What the plan was made from, part by part, as a sha256 or a plain value: it stands while this stays
    the same."""
    base: str
    """Base model, as the user wrote it."""
    donor: str
    """Donor model, as the user wrote it."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the base."""
    score: str
    """Score that layers are chosen by: a specificity, or one that knows the donor."""
    scores: dict[UnitField, float]
    """By that score, every layer that has one, or every part of a layer, such as "11.attn"."""
    select: str
    """Rule that selects the layers."""
    layers: tuple[UnitField, ...]
    """The selected layers, or parts of them: the pick."""
    among: tuple[int, ...] | None = None
    """Layers that random sets are drawn from and runs are counted among: those in which the donor changes
    something of the kinds that are selected; null for all."""
    weight: float
    """Factor of the task vector, alpha."""
    metric: str
    """lm-eval's metric, as the user wrote it."""
    test: Test
    """Statistical test that arms are held against each other by; "auto" takes the one that fits."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests in the report."""
    curve_margin: float = Field(gt=0)
    """Distance from the damping curve that does not matter: points of a share, else the metric's own unit."""
    harm_margin: float = Field(gt=0)
    """Change of the loss on general text, in nats a token, that is as good as none."""
    evaluation: dict[str, str | int | float | bool | None]
    """How lm-eval is called, the model's own arguments aside."""
    task_vector_energy: float = Field(gt=0)
    """Squared norm of donor minus base, over the decoder layers."""
    projection: Energy | None
    """What the scalpel's span keeps of the task vector in the selected layers; null without a scalpel arm,
    and where parts of layers are selected."""
    arms: tuple[ArmIdentity, ...] = Field(min_length=2)
    """All arms to run: the base first, the recipe under test second."""
    recipes: dict[str, str] = Field(default_factory=dict)
    """sha256 of the recipe of each arm that is merged, by the arm's name: where another stands there, or
    none, the plan is made anew, as is one that was written without them."""


def read_plan(folder: Path) -> ExperimentPlan:
    """Read an experiment's plan from its folder.

    Raises:
        ArtifactError: Missing or not a plan.
    """
    return read_record(folder / PLAN_FILE, ExperimentPlan, "an experiment's plan")


def write_plan(folder: Path, plan: ExperimentPlan) -> None:
    """Write the plan into an experiment's folder."""
    write_record(folder / PLAN_FILE, plan)
