"""The search: every family's shapes, each as large as the damage allows, measured on the search part
alone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.tune.attribution import Attribution, attribute
from sae_merge_method.tune.bench import Bench, MeasuredEdit
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Panel
from sae_merge_method.tune.families import FAMILIES, Family, Known, NamedShape, sizes_of
from sae_merge_method.tune.scaling import Scaled, largest_within, up_to_damage
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.splits import CHOICE, SEARCH

POINT_WEIGHTS = (1.0, 0.75, 0.55, 0.4, 0.3, 0.2, 0.1)
"""Weights of all layers at which a guard is asked what they cost."""
_LEAST = 0.001
"""Nats a token that are allowed at the least, where all that the guard allows does no damage to text."""


class TuneError(SaeMergeError):
    """No edit is worth writing, and the reason why."""


class Candidate(NamedTuple):
    """An edit that was measured on the search part."""

    family: str
    shape: NamedShape
    factor: float
    measured: MeasuredEdit

    @property
    def edit(self) -> Edit:
        """Its weights."""
        return self.measured.edit


class Searched(NamedTuple):
    """All that the search part says."""

    candidates: tuple[Candidate, ...]
    """In the order in which they were tried."""
    donors: tuple[MeasuredEdit, ...]
    """Each donor's own layers, all of them at weight 1."""
    attribution: Attribution
    """Of all layers at the weight that does the damage allowed."""
    start: Edit
    """That edit."""


def whole(bench: Bench, donor: int) -> Edit:
    """All layers of one donor at weight 1."""
    array = bench.base.array
    array[donor] = 1.0
    return Edit.of(array)


class Allowed(NamedTuple):
    """How much damage an edit may do."""

    nats: float
    """Nats a token of control text."""
    weight: float | None
    """Of all layers, whose damage that is, where it was not set; None where it was."""


def allowed_damage(panel: Panel, nats: float | None, tell: Callable[[str], None]) -> Allowed:
    """The budget in nats; where it was set in points alone, the damage of all layers at the largest weight
    that keeps to them on the choice part.

    Args:
        panel: To measure by.
        nats: As it was set; None for points alone.
        tell: Takes a line on what came of it.

    Raises:
        TuneError: No weight keeps to the points.
    """
    if nats is not None:
        return Allowed(nats, None)
    bench, guard = panel.bench, panel.guard
    assert guard is not None and panel.points is not None
    everything = bench.every_layer
    for weight in POINT_WEIGHTS:
        edit = Edit.of(weight * everything)
        if panel.keeps(edit, CHOICE):
            damage = max(_LEAST, bench.measure(edit, SEARCH).damage)
            tell(
                f"{panel.points:g} points of {guard.name}: kept by all layers at weight {weight:g}, whose "
                f"damage of {damage:.4g} nats a token is the budget of the search"
            )
            return Allowed(damage, weight)
    raise TuneError(
        f"no edit meets the budget of {panel.points:g} points of {guard.name}: all layers at weight "
        f"{POINT_WEIGHTS[-1]:g} lose {panel.lost(edit, CHOICE):.3g} on the choice part"
    )


def search(
    bench: Bench,
    settings: TuneSettings,
    budget: float,
    tell: Callable[[str], None],
    attributed: Attribution | None = None,
) -> Searched:
    """Try every family's shapes.

    Args:
        bench: To measure on.
        settings: What to search.
        budget: Damage that is allowed, in nats a token.
        tell: Takes a line on how far it is.
        attributed: What layers carry, where it is known; else it is told by slopes.

    Raises:
        TuneError: No edit does as little damage as is allowed.
    """
    whole_donors = [whole(bench, donor) for donor in range(bench.n_donors)]
    everything = bench.every_layer
    bench.measure(bench.base, SEARCH)
    bench.ahead(
        [
            lambda: list(up_to_damage(bench, everything, SEARCH, budget, most=1.0)),
            *(partial(bench.measure, one, SEARCH) for one in whole_donors),
        ]
    )
    donors = tuple(bench.measure(one, SEARCH) for one in whole_donors)
    damped = list(up_to_damage(bench, everything, SEARCH, budget, most=1.0))
    allowed = largest_within(damped, budget)
    if allowed is None:
        least = min(damped, key=lambda one: one.measured.damage)
        raise TuneError(
            f"no edit meets the budget of {budget:g} nats a token: all layers at weight "
            f"{least.factor:.3g} do {least.measured.damage:.4g} on the search part"
        )
    attribution = attributed or attribute(bench, allowed.measured.edit)
    known = Known(
        bench,
        allowed.measured.edit,
        attribution,
        budget,
        tuple(size for size in settings.sizes or sizes_of(bench.n_layers) if size <= bench.n_layers),
        settings.steps,
    )

    def tries_of(shape: NamedShape) -> list[Scaled]:
        guess = shape.guess or _guess(shape, allowed)
        return list(up_to_damage(bench, shape.shape, SEARCH, budget, guess=guess))

    bench.ahead(_independent(settings.families, known, tries_of))
    candidates: dict[Edit, Candidate] = {}
    for name in settings.families:
        shapes = list(FAMILIES[name].shapes(known))
        if not shapes:
            tell(f"{name}: no such edit of this model")
        for shape in shapes:
            tries = tries_of(shape)
            for one in tries:
                candidates.setdefault(one.measured.edit, Candidate(name, shape, one.factor, one.measured))
            tell(_told(name, shape, tries, budget))
    return Searched(tuple(candidates.values()), donors, attribution, allowed.measured.edit)


def _independent(
    families: Sequence[str], known: Known, tries_of: Callable[[NamedShape], object]
) -> list[Callable[[], object]]:
    """Calls that try every shape, none of which waits for another: the longest ones first."""

    def whole_family(family: Family) -> None:
        for shape in family.shapes(known):
            tries_of(shape)

    rows = [FAMILIES[name] for name in families]
    made = [shape for family in rows if not family.is_measured for shape in family.shapes(known)]
    return [
        *(partial(whole_family, family) for family in rows if family.is_measured),
        *(partial(tries_of, shape) for shape in made),
    ]


def _guess(shape: NamedShape, allowed: Scaled) -> float:
    """The factor at which a shape would have the energy of all layers damped, if all task vectors were
    alike."""
    energy = float((shape.shape**2).sum())
    return float(allowed.factor * (shape.shape.size / energy) ** 0.5)


def _told(name: str, shape: NamedShape, tries: Sequence[Scaled], budget: float) -> str:
    within = [one for one in tries if one.measured.damage <= budget]
    if not within:
        return f"{name}, {shape.name}: no weight within the budget"
    best = max(within, key=lambda one: one.measured.gain)
    return f"{name}, {shape.name}: gain {best.measured.gain:.4g}, damage {best.measured.damage:.4g}"


def finalists(candidates: Sequence[Candidate], budget: float, count: int) -> list[Candidate]:
    """The edits to choose among: the best of each family, then the next best of any.

    Args:
        candidates: All of them.
        budget: Damage that is allowed, in nats a token.
        count: How many to take.

    Raises:
        TuneError: None gains anything within the budget.
    """
    within = [one for one in candidates if one.measured.damage <= budget and one.measured.gain > 0]
    if not candidates:
        raise TuneError("none of the families has an edit of this model: name others, or other sizes")
    if not within:
        best = max(candidates, key=lambda one: one.measured.gain)
        raise TuneError(
            f"no edit helps within the budget of {budget:g} nats a token: the most that any gains on the "
            f"search part is {best.measured.gain:.4g} nats a token, at a damage of "
            f"{best.measured.damage:.4g} ({best.family})"
        )
    ranked = sorted(within, key=lambda one: -one.measured.gain)
    firsts = {one.family: one for one in reversed(ranked)}
    of_families = [one for one in ranked if firsts[one.family] is one]
    taken = {one.edit for one in of_families}
    return [*of_families, *(one for one in ranked if one.edit not in taken)][:count]
