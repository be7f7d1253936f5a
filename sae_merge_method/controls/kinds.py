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
    random_layers: int
    """How many sets of layers to draw."""

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
    """Whether its arms are called name-0, name-1 and so on, in the order of their sets of layers."""
    energy: Callable[[Ground, Layers], float] = lambda ground, layers: ground.energies.of(layers)
    """Squared norm of what an arm with these layers injects, before rounding."""
    factor: Callable[[Ground], float] = lambda ground: 1.0
    """Times the recipe's weights."""
    whole_donor: bool = False
    """At weight 1, whatever the recipe's is."""
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
        return [
            ArmIdentity(
                name=f"{self.name}-{number}" if self.numbered else self.name,
                role=self.role,
                description=self.description,
                method=self.method,
                layers=layers,
                planned_energy=self.energy(ground, layers),
            )
            for number, layers in enumerate(self.layers(ground))
        ]
