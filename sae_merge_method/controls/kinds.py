"""What a row of the table of arms says, and the arms that it gives a recipe."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from sae_merge_method.artifacts.arm import OTHER_LAYERS, ArmIdentity
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.controls.energies import RAW
from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.matching import Match, match
from sae_merge_method.controls.unit_sets import Units, opens_parts


@dataclass(frozen=True)
class ArmKind:
    """One row: an arm, or several that differ in their layers alone."""

    name: str
    role: str
    """One of the roles that artifacts know."""
    description: str
    """What it controls for."""
    layers: Callable[[Ground], Iterable[Units]]
    """Its layers: one set, or those of the numbered arms. Raises NoArmError where there is none."""
    numbered: bool = False
    """Whether it may have several arms: called name-0, name-1 and so on in the order of their sets of layers,
    or by their weight."""
    weights: Callable[[Ground], Iterable[float]] | None = None
    """Of the task vector, an arm each, whatever the recipe's is; None for the recipe's, times ``factor``."""
    energy: Callable[[Ground, Units], float] = lambda ground, layers: ground.energies.of(layers)
    """Squared norm of what an arm with these layers injects, before rounding, unless it is scaled by ``like``
    alone."""
    factor: Callable[[Ground], float] = lambda ground: 1.0
    """Times the recipe's weights."""
    method: str = "sae_stethoscope"
    """Merge method."""
    parameters: Callable[[Ground], Mapping[str, Any]] = lambda ground: {}
    """Of the merge method, beside layers and weight."""
    mode: str = RAW
    """What of the task vector is added: a scalpel's mode, or raw."""
    like: str | None = None
    """Arm whose energy it is to have, in what acts of it; None where its weights are its own. See
    :meth:`is_like`."""
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

    def is_like(self, ground: Ground) -> str | None:
        """The arm whose energy it is to have, or None.

        Attention and MLP differ in size as whole layers do not: where a recipe opens parts of layers, arms
        with others in their place have its energy.
        """
        if self.like is None and self._is_scaled(ground):
            return "stethoscope"
        return self.like

    def _is_scaled(self, ground: Ground) -> bool:
        return self.role in OTHER_LAYERS and opens_parts(ground.selected)

    def times(self, ground: Ground, arm: str, layers: Units) -> float:
        """By how much one of its arms has the recipe's weights multiplied.

        Args:
            ground: What it is made from.
            arm: Its name.
            layers: Its layers.
        """
        if self._is_scaled(ground):
            own = ground.energies.of(layers)
            return ground.factor(arm, own, ground.energy) if own else 1.0
        return self.factor(ground)

    def named_sets(self, ground: Ground) -> list[tuple[str, Units]]:
        """Its arms' names and their layers, where its weights are not its own.

        Raises:
            NoArmError: There is none.
        """
        return [(self._name(number, None), layers) for number, layers in enumerate(self.layers(ground))]

    def arms(self, ground: Ground) -> list[ArmIdentity]:
        """Its arms for a recipe.

        Raises:
            NoArmError: There is none.
        """
        weights = (None,) if self.weights is None else tuple(self.weights(ground))
        return [
            self._arm(ground, self._name(number, weight), layers, weight)
            for number, layers in enumerate(self.layers(ground))
            for weight in weights
        ]

    def _arm(self, ground: Ground, name: str, layers: Units, weight: float | None) -> ArmIdentity:
        if weight is not None:
            energy = weight**2 * ground.energies.moved(layers)
        elif self._is_scaled(ground):
            energy = self.times(ground, name, layers) ** 2 * ground.energies.of(layers)
        else:
            energy = self.energy(ground, layers)
        return ArmIdentity(
            name=name,
            role=self.role,
            description=self.description,
            method=self.method,
            layers=layers,
            weight=self._weight(ground, name, layers) if weight is None else weight,
            planned_energy=energy,
            planned_realised=self._realised(ground, name, layers, weight),
            matched=self._matched(ground, name),
        )

    def _realised(self, ground: Ground, name: str, layers: Units, weight: float | None) -> Realised | None:
        """What is expected to be stored; None where nothing was sampled."""
        if not ground.energies.samples:
            return None
        wide, match = self._matched(ground, name) == "float32", ground.matches.get(name)
        factor = self.times(ground, name, layers) if match is None else match.factor
        sums = ground.realised(self.mode, layers, factor, weight, wide=wide)
        return Realised(**Realised.figures(sums))

    def _matched(self, ground: Ground, name: str) -> Literal["realised", "intended", "float32"] | None:
        match = ground.matches.get(name)
        if match is None:
            return None
        if match.as_float32:
            return "float32"
        return "intended" if ground.precision.rounding.unbiased else "realised"

    def _name(self, number: int, weight: float | None) -> str:
        if not self.numbered:
            return self.name
        return f"{self.name}-{number}" if weight is None else f"{self.name}-{weight:g}"

    def _weight(self, ground: Ground, name: str, layers: Units) -> float | None:
        """Of the raw task vector, in all layers of its arms; None where less than that is added, or
        unevenly."""
        if ground.weight is None or self.method != "sae_stethoscope" or self.measures:
            return None
        return ground.weight * self.times(ground, name, layers)


def matches_of(kinds: Iterable[ArmKind], rows: Mapping[str, ArmKind], ground: Ground) -> dict[str, Match]:
    """How each arm that is to have another's energy gets it.

    Args:
        kinds: The arms that are made.
        rows: All there are, by name.
        ground: What they are made from.
    """
    matches = {}
    for kind in kinds:
        name = kind.is_like(ground)
        if name is None:
            continue
        like = rows[name]
        (others,) = like.layers(ground)
        target = ground.realised(like.mode, others)
        with suppress(NoArmError):  # said when its arms are made
            for arm, layers in kind.named_sets(ground):
                own = ground.realised(kind.mode, layers)
                if not own.intended or not target.intended:
                    continue
                if ground.precision.rounding.unbiased:
                    # What was to be added is there on average. The energy of what is stored is not of it
                    # alone: the noise beside it grows with the weight, not with its square.
                    matches[arm] = Match((target.intended / own.intended) ** 0.5, as_float32=False)
                    continue
                start = ((target.realised or target.intended) / own.intended) ** 0.5

                def stored(factor: float, mode: str = kind.mode, layers: Units = layers) -> float:
                    return ground.realised(mode, layers, factor).realised

                matches[arm] = match(stored, target.realised, start)
    return matches
