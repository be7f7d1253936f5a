"""What a row of the table of arms says, and what its arms are made from."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.controls.energies import RAW, LayerEnergies
from sae_merge_method.controls.layer_sets import Layers
from sae_merge_method.controls.matching import Match, match
from sae_merge_method.controls.samples import sums_over
from sae_merge_method.geometry.realised import EditSums
from sae_merge_method.recipe.precision import AS_STORED, Precision


class NoArmError(Exception):
    """A row has no arm for this recipe; the message says why. Never leaves this package."""


@dataclass(frozen=True)
class Ground:
    """What the arms are made from: a recipe with its energies, and a diagnosis."""

    selected: Layers
    """The recipe's layers."""
    n_layers: int
    energies: LayerEnergies
    scores: Mapping[int, float]
    """Specificity of every layer diagnosed."""
    scalpel: Mapping[str, Any]
    """Parameters of the scalpel arms but ``mode``."""
    weight: float | None = None
    """The recipe's weight; None where parts of a layer have different ones."""
    random_layers: int = 0
    """How many sets of layers to draw."""
    random_spread: int = 0
    """How many sets of layers without neighbours to draw."""
    damping: tuple[float, ...] = ()
    """Weights at which all layers, or all but the last, are injected."""
    all_but_the_last: int = 0
    """How many of the last layers to leave out."""
    every_nth: int = 0
    """One layer of so many; 0 for no such arm."""
    windows: int = 0
    """Blocks into which the depth is cut."""
    matches: Mapping[str, Match] = field(default_factory=dict)
    """By arm that is to have another's energy: how it gets that."""
    alpha: Callable[[str], float] = lambda name: 1.0
    """The recipe's weight by a tensor's name."""
    precision: Precision = AS_STORED
    """In which types the recipe's edits are computed and written."""

    @property
    def energy(self) -> float:
        """Squared norm of what the recipe itself injects."""
        return self.energies.of(self.selected)

    def factor(self, arm: str, own: float, others: float) -> float:
        """Times the weights of an arm that is to have another's energy.

        Args:
            arm: Its name.
            own: What it is to inject unscaled.
            others: What the other is to inject.
        """
        match = self.matches.get(arm)
        return math.sqrt(others / own) if match is None else match.factor

    def realised(
        self,
        mode: str,
        layers: Layers,
        factor: float = 1.0,
        weight: float | None = None,
        *,
        wide: bool = False,
    ) -> EditSums:
        """What is stored of an arm, by samples.

        Args:
            mode: Of a scalpel, or raw.
            layers: The arm's.
            factor: Times the recipe's weights.
            weight: In place of them, where it is given.
            wide: Whether the arm is written as float32.
        """
        precision = replace(self.precision, written="float32") if wide else self.precision
        samples = [one for one in self.energies.samples.get(mode, ()) if one.layer in layers]
        return sums_over(
            samples, lambda name: self.alpha(name) * factor if weight is None else weight, precision
        )


@dataclass(frozen=True)
class ArmKind:
    """One row: an arm, or several that differ in their layers alone."""

    name: str
    role: str
    """One of the roles that artifacts know."""
    description: str
    """What it controls for."""
    layers: Callable[[Ground], Iterable[Layers]]
    """Its layers: one set, or those of the numbered arms. Raises NoArmError where there is none."""
    numbered: bool = False
    """Whether it may have several arms: called name-0, name-1 and so on in the order of their sets of layers,
    or by their weight."""
    weights: Callable[[Ground], Iterable[float]] | None = None
    """Of the task vector, an arm each, whatever the recipe's is; None for the recipe's, times ``factor``."""
    energy: Callable[[Ground, Layers], float] = lambda ground, layers: ground.energies.of(layers)
    """Squared norm of what an arm with these layers injects, before rounding."""
    factor: Callable[[Ground], float] = lambda ground: 1.0
    """Times the recipe's weights."""
    method: str = "sae_stethoscope"
    """Merge method."""
    parameters: Callable[[Ground], Mapping[str, Any]] = lambda ground: {}
    """Of the merge method, beside layers and weight."""
    mode: str = RAW
    """What of the task vector is added: a scalpel's mode, or raw."""
    like: str | None = None
    """Arm whose energy it is to have, in what is stored; None where its weights are its own."""
    measures: tuple[str, ...] = ()
    """Scalpel modes of which it has to be known what they keep of the task vector: it takes the SAEs."""
    as_it_is: str | None = None
    """What it is in an experiment, which evaluates that model itself; None where its recipe is merged."""
    always: bool = False
    """Whether every experiment has it."""
    asked_by: str | None = None
    """Setting that has to ask for it; None where it is among ``all``."""

    def owns(self, arm: str) -> bool:
        """Whether an arm of that name would be one of this row."""
        return arm.startswith(f"{self.name}-") if self.numbered else arm == self.name

    def arms(self, ground: Ground) -> list[ArmIdentity]:
        """Its arms for a recipe.

        Raises:
            NoArmError: There is none.
        """
        weights = (None,) if self.weights is None else tuple(self.weights(ground))
        return [
            ArmIdentity(
                name=self._name(number, weight),
                role=self.role,
                description=self.description,
                method=self.method,
                layers=layers,
                weight=self._weight(ground) if weight is None else weight,
                planned_energy=self.energy(ground, layers)
                if weight is None
                else weight**2 * sum(ground.energies.task_vector[layer] for layer in layers),
                planned_realised=self._realised(ground, layers, weight),
                matched=self._matched(ground),
            )
            for number, layers in enumerate(self.layers(ground))
            for weight in weights
        ]

    def _realised(self, ground: Ground, layers: Layers, weight: float | None) -> Realised | None:
        """What is expected to be stored; None where nothing was sampled."""
        if not ground.energies.samples:
            return None
        wide = self._matched(ground) == "float32"
        factor = ground.matches[self.name].factor if self.name in ground.matches else self.factor(ground)
        sums = ground.realised(self.mode, layers, factor, weight, wide=wide)
        return Realised(**Realised.figures(sums))

    def _matched(self, ground: Ground) -> Literal["realised", "float32"] | None:
        match = ground.matches.get(self.name)
        if match is None:
            return None
        return "float32" if match.as_float32 else "realised"

    def _name(self, number: int, weight: float | None) -> str:
        if not self.numbered:
            return self.name
        return f"{self.name}-{number}" if weight is None else f"{self.name}-{weight:g}"

    def _weight(self, ground: Ground) -> float | None:
        """Of the raw task vector, in all layers of its arms; None where less than that is added, or
        unevenly."""
        if ground.weight is None or self.method != "sae_stethoscope" or self.measures:
            return None
        return ground.weight * self.factor(ground)


def matches_of(kinds: Iterable[ArmKind], rows: Mapping[str, ArmKind], ground: Ground) -> dict[str, Match]:
    """How each arm that is to have another's energy gets it.

    Args:
        kinds: The arms that are made.
        rows: All there are, by name.
        ground: What they are made from.
    """
    matches = {}
    for kind in kinds:
        if kind.like is None:
            continue
        like, (layers,) = rows[kind.like], kind.layers(ground)
        (others,) = like.layers(ground)
        target, own = ground.realised(like.mode, others), ground.realised(kind.mode, layers)
        if not own.intended or not target.intended:
            continue
        start = ((target.realised or target.intended) / own.intended) ** 0.5

        def stored(factor: float, mode: str = kind.mode, layers: Layers = layers) -> float:
            return ground.realised(mode, layers, factor).realised

        matches[kind.name] = match(stored, target.realised, start)
    return matches
