"""What a row of the table of arms says, and what its arms are made from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.controls.layer_sets import Layers

if TYPE_CHECKING:
    from sae_merge_method.controls.energies import LayerEnergies


class NoArmError(Exception):
    """A row has no arm for this recipe; the message says why. Never leaves this package."""


@dataclass(frozen=True)
class Ground:
    """What the arms are made from: a recipe with its energies, and a diagnosis."""

    selected: Layers
    """The recipe's layers."""
    n_layers: int
    energies: "LayerEnergies"
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

    @property
    def energy(self) -> float:
        """Squared norm of what the recipe itself injects."""
        return self.energies.of(self.selected)


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
            )
            for number, layers in enumerate(self.layers(ground))
            for weight in weights
        ]

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
