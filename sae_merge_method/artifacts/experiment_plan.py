"""``plan.json``: what an experiment is going to do, decided before its first arm runs.

The report is made of this and of the arms that are done (``experiment_arm``), so it can be written at
any moment, from a folder alone.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment_arm import Role
from sae_merge_method.artifacts.schema import Record, read_record, write_record

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
