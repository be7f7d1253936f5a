"""The arms: what each control changes, what it controls for, and how much it injects."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from sae_merge_method.artifacts.experiment_plan import Role
from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.controls.layer_sets import (
    LayerEnergies,
    Layers,
    depth_matched,
    highest,
    lowest,
    random_sets,
)
from sae_merge_method.recipe.plan import Donation, EditPlan

NAMES = (
    "stethoscope", "base", "donor", "all-layers", "all-layers-damped", "random-layers", "depth-matched",
    "largest-task-vector", "lowest-specificity", "scalpel", "scalpel-random", "stethoscope-energy-matched",
)  # fmt: skip
"""Of all arms but single layers; ``random-layers`` are several, numbered from 0."""

STETHOSCOPE = "sae_stethoscope"
SCALPEL = "sae_scalpel"


@dataclass(frozen=True)
class Arm:
    """One recipe to write."""

    name: str
    role: Role
    controls_for: str
    layers: Layers
    energy: float
    """Squared norm of what it injects."""
    factor: float = 1.0
    """Times the recipe's weights."""
    method: str = STETHOSCOPE
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    whole_donor: bool = False
    """At weight 1, whatever the recipe's is."""

    def plan(self, recipe: EditPlan, donation: Donation) -> EditPlan:
        """The edit, written like the recipe's."""
        gift = Donation(donation.model, ((None, 1.0),)) if self.whole_donor else donation.scaled(self.factor)
        return EditPlan(self.method, recipe.base, dict.fromkeys(self.layers, (gift,)), None, self.parameters)


@dataclass(frozen=True)
class Given:
    """What the arms are made from."""

    selected: Layers
    n_layers: int
    energies: LayerEnergies
    scores: Mapping[int, float]
    scalpel: Mapping[str, Scalar] | None
    """Parameters of the scalpel arms; None for no such arms."""
    seeds: int
    single_layers: bool = False
    """Whether to add an arm for each layer alone."""


def make_arms(given: Given) -> list[Arm]:
    """All arms, the recipe itself first; those that need other layers only where there are some."""
    selected, energies = given.selected, given.energies
    every = tuple(range(given.n_layers))
    mine, whole = energies.of(selected), energies.of(every)
    arms = [
        Arm(
            "stethoscope",
            "pick",
            "the recipe itself: the arm that the others are held against",
            selected,
            mine,
        ),
        Arm("base", "base", "nothing injected: where every other arm starts from", selected, 0.0, factor=0.0),
        Arm(
            "donor",
            "donor",
            "the donor's own decoder layers, all of them at weight 1: the most the task vector has to give",
            every,
            sum(energies.task_vector.values()),
            whole_donor=True,
        ),
        Arm(
            "all-layers",
            "dose",
            "whether choosing layers matters at all: the same weight everywhere",
            every,
            whole,
        ),
        Arm(
            "all-layers-damped",
            "dose",
            "whether it is only the smaller dose: every layer, alpha scaled down to the stethoscope's energy",
            every,
            mine,
            factor=math.sqrt(mine / whole),
        ),
    ]
    if len(selected) < given.n_layers:
        arms += _other_layers(given)
    if given.scalpel is not None:
        arms += _scalpels(given, given.scalpel, mine)
    return arms + (_single_layers(given) if given.single_layers else [])


def _other_layers(given: Given) -> list[Arm]:
    selected, energies, size = given.selected, given.energies, len(given.selected)
    drawn = enumerate(islice(random_sets(given.n_layers, selected), given.seeds))
    sets = {
        f"random-layers-{number}": (
            layers,
            "whether these layers matter or any would do: as many layers drawn at random",
        )
        for number, layers in drawn
    }
    sets["depth-matched"] = (
        depth_matched(given.n_layers, selected),
        "depth: as many other layers with the closest mean depth",
    )
    sets["largest-task-vector"] = (
        highest(energies.task_vector, size),
        "size: the layers in which fine-tuning moved most, no SAE needed to find them",
    )
    if len(given.scores) >= size:
        sets["lowest-specificity"] = (
            lowest(given.scores, size),
            "the score: as many layers with the lowest specificity",
        )
    return [Arm(name, "layers", why, layers, energies.of(layers)) for name, (layers, why) in sets.items()]


def _single_layers(given: Given) -> list[Arm]:
    why = "what the score predicts: this layer alone, its gain beside its specificity"
    return [
        Arm(f"layer-{layer}", "layer", why, (layer,), given.energies.of((layer,)))
        for layer in range(given.n_layers)
    ]


def _scalpels(given: Given, scalpel: Mapping[str, Scalar], mine: float) -> list[Arm]:
    kept = given.energies.kept
    return [
        Arm(
            "scalpel",
            "scalpel",
            "the rejected side: only the part inside the span of the selected SAE features",
            given.selected,
            kept["project"],
            method=SCALPEL,
            parameters={**scalpel, "mode": "project"},
        ),
        Arm(
            "scalpel-random",
            "scalpel",
            "whether the features matter or only the rank: a random subspace of the same rank",
            given.selected,
            kept["random"],
            method=SCALPEL,
            parameters={**scalpel, "mode": "random"},
        ),
        Arm(
            "stethoscope-energy-matched",
            "dose",
            "whether the scalpel fails for its direction or for its size: the raw direction at its energy",
            given.selected,
            kept["project"],
            parameters={"energy": kept["project"] / mine},
        ),
    ]
