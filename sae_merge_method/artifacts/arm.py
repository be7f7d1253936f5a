"""Who an arm of an experiment is: one identity, which the plan, the arm's record and the report share."""

from typing import Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.schema import OneOf, Record
from sae_merge_method.artifacts.unit import UnitField

ROLES = {
    "base": "base",
    "selected": "the pick",
    "layers": "other layers, chosen",
    "amount": "all layers, or another amount",
    "scalpel": "scalpel and its twins",
    "layer": "one layer alone",
    "own": "own recipe",
    "donor": "donor",
    "random": "layers drawn at random",
}
"""What an arm is there for: by role, the words of a picture's legend, in its order."""

OTHER_LAYERS = frozenset(("layers", "random"))
"""Roles of arms that are the recipe under test with other layers in place of the selected ones."""


class ArmIdentity(Record):
    """One arm: a way to edit the base, or a model that is evaluated as it is."""

    name: str
    """Name of the arm, its own within an experiment."""
    role: Annotated[str, OneOf(ROLES)]
    """What the arm is there for: base and donor, the two ends; selected, the recipe under test; layers and
    random, other layers in the place of its own; amount, the same task vector in another amount; scalpel,
    its projection and that one's twins; layer, one layer alone; own, a recipe of the user's."""
    description: str
    """What the arm controls for, or what it is."""
    method: str | None
    """Merge method of the arm; null where a model is evaluated as it is."""
    layers: tuple[UnitField, ...]
    """Decoder layers of the arm that differ from the base's, in the order of depth; of one that differs in
    part alone, its parts, such as "11.attn"."""
    weight: float | None
    """Factor of the raw task vector in the arm's layers, 0 for the base; null where there is no single one,
    where a method adds less than the raw task vector, and for a recipe of the user's."""
    planned_energy: float | None = Field(ge=0)
    """Squared norm of what the arm is to inject, before rounding to the stored dtype; null for a recipe of
    the user's, which is not measured beforehand."""
    planned_realised: Realised | None
    """What rounding to the stored dtype is expected to leave of that, from up to 32,768 values of each
    tensor; null as for planned_energy."""
    matched: Literal["realised", "intended", "float32"] | None
    """How an arm that is to have another's energy gets it: realised, scaled until what is stored of both has
    the same energy; intended, under stochastic rounding, whose noise counts in what is stored, until what is
    to be added has it; float32, written as float32 because no factor would do; null for arms with weights of
    their own."""
