"""Scores of layers against what each layer gains and damages alone, and how alike abilities are by them.

A layer's own gain and damage are measured: the layer is injected alone. Layers are a curve, so ranks are
tested against shifted and mirrored profiles, and given depth: see
:mod:`sae_merge_method.statistics.curves`.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from sae_merge_method.artifacts.attribution import AttributedText
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.numbers import signed
from sae_merge_method.statistics.curves import CurveCorrelation, curve_correlation, depth_terms
from trials.report.read import DonorRun, Findings

ALPHA = 0.05
Profile = tuple[float, ...]
"""A number for every layer, ascending."""


class Ranked(NamedTuple):
    """How one score ranks with what layers do, for one donor."""

    plain: CurveCorrelation | None
    given_depth: CurveCorrelation | None

    @property
    def is_shown(self) -> bool:
        """Whether it ranks beyond what depth tells, by the smooth null."""
        given = self.given_depth
        return given is not None and given.p is not None and given.p < ALPHA

    @property
    def rho(self) -> float | None:
        """The plain rank correlation."""
        return self.plain.rho if self.plain else None


def own_gain(run: DonorRun) -> Profile | None:
    """What the target gains by each layer alone; None where layers were not probed."""
    return None if run.attribution is None else _probed(run.attribution.target, 1.0)


def own_damage(run: DonorRun) -> Profile | None:
    """What prose loses by each layer alone; None where layers were not probed."""
    return None if run.attribution is None else _probed(run.attribution.controls[0], -1.0)


def _probed(text: AttributedText, sign: float) -> Profile | None:
    probes = [entry.probe for entry in text.layers]
    if any(probe is None for probe in probes):
        return None
    return tuple(sign * probe.gain for probe in probes if probe is not None)


def of_ability(findings: Findings, ability: str) -> dict[str, Profile]:
    """Scores that have not seen a donor: of every formula, and of the diagnosis' own with no SAE."""
    diagnosis = findings.diagnoses.get(ability)
    if diagnosis is None:
        return {}
    known = {diagnosis.score: diagnosis.scores()}
    known |= {other.name: other.scores for other in diagnosis.others if other.kind == "score"}
    ordered = {name: known[name] for name in SCORES if name in known}
    for dictionary in diagnosis.dictionaries:
        if diagnosis.score in dictionary.scores:
            ordered[f"{diagnosis.score}, {dictionary.description}"] = dictionary.scores[diagnosis.score]
    return {name: tuple(scores[layer] for layer in sorted(scores)) for name, scores in ordered.items()}


def of_donor(run: DonorRun) -> dict[str, Profile]:
    """Scores that know the donor."""
    if run.attribution is None:
        return {}
    return {one.name: tuple(entry.score for entry in one.layers) for one in run.attribution.scores}


def of_damage(run: DonorRun) -> dict[str, Profile]:
    """What tells damage alone."""
    if run.attribution is None:
        return {}
    layers = run.attribution.controls[0].layers
    damages = {"first_order_damage": tuple(-entry.first_order.gain for entry in layers)}
    if all(entry.path for entry in layers):
        damages["attributed_damage"] = tuple(-entry.path.gain for entry in layers if entry.path)
    return damages


def of_shape(findings: Findings, run: DonorRun) -> dict[str, Profile]:
    """What is known without any text: depth, and how far fine-tuning moved a layer."""
    n = findings.n_layers
    rivals = {
        "depth": tuple(float(layer) for layer in range(n)),
        "nearness to the middle": tuple(-abs(layer - (n - 1) / 2) for layer in range(n)),
    }
    if len(run.energies) == n:
        rivals["task vector's norm"] = tuple(run.energies[layer] ** 0.5 for layer in range(n))
    return rivals


def ranked(
    findings: Findings, of: Callable[[DonorRun], Profile | None], *, damage: bool
) -> dict[str, dict[str, Ranked]]:
    """Every score against what each layer does alone: by score, then by donor."""
    table: dict[str, dict[str, Ranked]] = {}
    for run in findings.runs:
        does = of(run)
        if does is None:
            continue
        profiles = {**of_ability(findings, run.donor.ability), **of_donor(run), **of_shape(findings, run)}
        profiles |= of_damage(run) if damage else {}
        for name, profile in profiles.items():
            if len(profile) != len(does) or (name == "probe_gain" and not damage):
                continue  # it is what it would be held against
            depth = depth_terms(range(len(does)))
            table.setdefault(name, {})[str(run.donor)] = Ranked(
                curve_correlation(profile, does), curve_correlation(profile, does, depth)
            )
    return table


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def ranks_grid(table: Mapping[str, Mapping[str, Ranked]], donors: Sequence[str]) -> Grid:
    """A score a row, a donor a column; given depth in brackets."""
    header = ("score", *donors, "mean", "lowest", "highest", "shown")
    rows = []
    for name, by_donor in table.items():
        rhos = [one.rho for one in by_donor.values() if one.rho is not None]
        shown = sum(one.is_shown for one in by_donor.values())
        cells = [Cell(name, name)]
        cells += [_cell(by_donor.get(donor)) for donor in donors]
        cells += [Cell(signed(value), value) for value in spread(rhos)]
        cells.append(Cell(f"{shown} of {len(by_donor)}", shown))
        rows.append(tuple(cells))
    return Grid(header, tuple(rows), frozenset(("score",)))


def spread(values: Sequence[float]) -> list[float | None]:
    """Their mean, lowest and highest; None for each where there are none."""
    return [mean(values), min(values), max(values)] if values else [None, None, None]


def _cell(one: Ranked | None) -> Cell:
    if one is None or one.rho is None:
        return Cell("")
    given = one.given_depth.rho if one.given_depth else None
    more = "" if given is None else f" ({signed(given)})"
    return Cell(f"{signed(one.rho)}{more}", one.rho, strong=one.is_shown)


class Alike(NamedTuple):
    """How alike the profiles of one score are."""

    abilities: tuple[float, ...]
    """Rank correlations between two abilities."""
    seeds: tuple[float, ...]
    """The same between two donors of one ability; empty for scores that have not seen a donor."""


def alike(findings: Findings) -> dict[str, Alike]:
    """By score, and for what layers gain and damage alone."""
    first_seed = min((run.donor.seed for run in findings.runs), default=0)
    by_ability: dict[str, dict[str, Profile]] = {
        ability: of_ability(findings, ability) for ability in findings.diagnoses
    }
    by_donor = {run.donor: {**of_donor(run), **_does(run)} for run in findings.runs}
    names = dict.fromkeys(
        name for profiles in (*by_ability.values(), *by_donor.values()) for name in profiles
    )
    table = {}
    for name in names:
        blind = [profiles[name] for profiles in by_ability.values() if name in profiles]
        knowing = {donor: profiles[name] for donor, profiles in by_donor.items() if name in profiles}
        across = blind or [profile for donor, profile in knowing.items() if donor.seed == first_seed]
        seeds = [
            (knowing[one], knowing[other])
            for one, other in combinations(knowing, 2)
            if one.ability == other.ability
        ]
        table[name] = Alike(_rhos(list(combinations(across, 2))), _rhos(seeds))
    return {name: one for name, one in table.items() if one.abilities or one.seeds}


def _does(run: DonorRun) -> dict[str, Profile]:
    own = {"a layer's own gain": own_gain(run), "a layer's own damage": own_damage(run)}
    return {name: profile for name, profile in own.items() if profile is not None}


def _rhos(pairs: Sequence[tuple[Profile, Profile]]) -> tuple[float, ...]:
    correlations = (curve_correlation(one, other) for one, other in pairs)
    return tuple(one.rho for one in correlations if one is not None and one.rho is not None)


def alike_grid(table: Mapping[str, Alike]) -> Grid:
    """A score a row."""
    header = (
        "score",
        "other ability: mean",
        "lowest",
        "highest",
        "pairs",
        "other seed: mean",
        "pairs of seeds",
    )
    rows = []
    for name, one in table.items():
        cells = [Cell(name, name), *(Cell(signed(value), value) for value in spread(one.abilities))]
        cells.append(Cell(str(len(one.abilities)), len(one.abilities)))
        of_seeds = mean(one.seeds) if one.seeds else None
        cells += [Cell(signed(of_seeds), of_seeds), Cell(str(len(one.seeds)), len(one.seeds))]
        rows.append(tuple(cells))
    marked = frozenset(nth for nth, name in enumerate(table) if name.startswith("a layer's own"))
    return Grid(header, tuple(rows), frozenset(("score",)), marked=marked)
