"""The tables of arms, donors, roundings and tuned edits: figures as cells, nothing judged."""

from collections.abc import Sequence

from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.numbers import (
    change,
    interval,
    nats,
    percent,
    score,
    score_interval,
    signed_decimal,
)
from sae_merge_method.statistics.losses import RatioChange
from trials.experiments import ANSWERS
from trials.report.arms import ArmFigures, KindFigures, exact_interval, figures
from trials.report.layers import mean, spread
from trials.report.read import LEVEL, DonorRun
from trials.report.tuned import TunedPair

NEAREST = "nearest"


def donors_grid(runs: Sequence[DonorRun]) -> Grid:
    """What each donor learned: exact answers, answer loss, and how much of that is the answer's form."""
    header = (
        "donor", "problems", "base: exact", "interval", "donor: exact", "interval ", "base: answer loss",
        "donor: answer loss", "gain of form", "damage to prose", "interval  ",
    )  # fmt: skip
    rows = []
    for run in runs:
        experiment = run.experiment
        if experiment is None:
            continue
        # Donors are trained in their layers alone: all of these at weight 1 are the donor.
        base, donor = experiment.arms[0], experiment.arm("donor") or experiment.arm("all-layers")
        if donor is None:
            continue
        of_arm = {one.name: one for one in figures(run)}[donor.name]
        cells = [Cell(str(run.donor), str(run.donor)), Cell(str(base.overall.n), base.overall.n)]
        for arm in (base, donor):
            ends = exact_interval(arm)
            cells.append(Cell(score(arm.overall.score, True), arm.overall.score))
            cells.append(Cell(score_interval(*ends, share=True) if ends else ""))
        for arm in (base, donor):
            known = run.nats[arm.name].get(ANSWERS)
            cells.append(Cell(f"{known.loss:.3f}", known.loss) if known else Cell(""))
        form = run.record.form_share
        cells.append(Cell("" if form is None else f"{form:.0%}", form))
        cells += _change_cells(of_arm.damage)
        rows.append(tuple(cells))
    return Grid(header, tuple(rows), frozenset(("donor",)))


def _change_cells(change_of: RatioChange | None) -> list[Cell]:
    if change_of is None:
        return [Cell(""), Cell("")]
    ends = change_of.interval(LEVEL)
    reach = f"{nats(ends.low)} to {nats(ends.high)}" if ends else ""
    return [Cell(nats(change_of.delta), change_of.delta), Cell(reach)]


def kinds_grid(kinds: Sequence[KindFigures]) -> Grid:
    """Every kind of arm over all donors, beside the damping curve."""
    header = (
        "arm", "donors", "layers", "gain, points", "damage", "near damage", "answer loss gained",
        "above the curve, points", "lowest", "highest", "above/on/below/not shown", "above in loss",
        "above/below",
    )  # fmt: skip
    rows = []
    for one in kinds:
        excess, in_loss = one.excess, one.excess_nats
        counts = "/".join(str(one.stands.get(side, 0)) for side in ("above", "on", "below", "not shown"))
        rows.append(
            (
                Cell(one.kind, one.kind),
                Cell(str(one.donors), one.donors),
                Cell(f"{one.layers:.0f}", one.layers),
                Cell(change(one.gain, True), one.gain),
                Cell(nats(one.damage) if one.damage is not None else "", one.damage),
                Cell(nats(one.near) if one.near is not None else "", one.near),
                Cell(signed_decimal(one.nats_gained, 3), one.nats_gained),
                *(Cell(change(value, True), value) for value in spread(excess)),
                Cell(counts if one.stands else ""),
                Cell(signed_decimal(mean(in_loss), 3) if in_loss else "", mean(in_loss) if in_loss else None),
                Cell(
                    "/".join(str(one.stands_in_loss.get(side, 0)) for side in ("above", "below"))
                    if one.stands_in_loss
                    else ""
                ),
            )
        )
    return Grid(header, tuple(rows), frozenset(("arm",)))


def arms_grid(run: DonorRun) -> Grid:
    """All arms of one donor."""
    header = (
        "arm", "layers", "exact", "interval", "answer loss gained", "interval ", "damage", "interval  ",
        "near damage", "beside the curve, points", "interval   ", "stands", "in loss",
    )  # fmt: skip
    rows = [_arm_row(one) for one in figures(run)]
    return Grid(header, tuple(rows), frozenset(("arm", "stands")), title=str(run.donor))


def _arm_row(one: ArmFigures) -> tuple[Cell, ...]:
    standing, gained = one.standing, one.nats_gained
    ends = gained.interval(LEVEL) if gained else None
    reach = interval(*standing.interval, True) if standing is not None and standing.interval else ""
    delta = standing.delta if standing is not None else None
    in_loss = one.in_loss.delta if one.in_loss else None
    return (
        Cell(one.name, one.name),
        Cell(str(len(one.arm.layers)), len(one.arm.layers)),
        Cell(score(one.arm.overall.score, True), one.arm.overall.score),
        Cell(score_interval(*one.right, share=True) if one.right else ""),
        Cell(signed_decimal(-gained.delta, 3) if gained else "", -gained.delta if gained else None),
        Cell(f"{-ends.high:+.3f} to {-ends.low:+.3f}" if ends else ""),
        *_change_cells(one.damage),
        Cell(nats(one.near.delta) if one.near else "", one.near.delta if one.near else None),
        Cell(change(delta, True), delta),
        Cell(reach),
        Cell(
            standing.stands if standing else "",
            strong=bool(standing and standing.stands in ("above", "below")),
        ),
        Cell(signed_decimal(in_loss, 3), in_loss),
    )


def rounding_grid(run: DonorRun) -> Grid:
    """All layers of one donor at every weight, rounded in three ways."""
    header = ("weight", "rounding", "exact", "gain, points", "damage", "realised energy", "cosine", "changed")
    rows = []
    for name, experiment in {NEAREST: run.experiment, **run.rounded}.items():
        if experiment is None:
            continue
        base = experiment.arms[0].overall.score
        for arm in experiment.arms:
            if arm.weight is None or arm.realised is None or len(arm.layers) != experiment.n_layers:
                continue
            damage = arm.general.delta if arm.general else None
            realised = arm.realised
            rows.append(
                (
                    Cell(f"{arm.weight:g}", arm.weight),
                    Cell(name, name),
                    Cell(score(arm.overall.score, True), arm.overall.score),
                    Cell(change(arm.overall.score - base, True), arm.overall.score - base),
                    Cell(nats(damage) if damage is not None else "", damage),
                    Cell(percent(realised.share), realised.share),
                    Cell(signed_decimal(realised.cosine, 3), realised.cosine),
                    Cell(percent(realised.changed), realised.changed),
                )
            )
    rows.sort(key=lambda row: (float(row[0].value or 0.0), str(row[1].value)))
    return Grid(header, tuple(rows), frozenset(("rounding",)), title=str(run.donor))


def tuned_grid(pairs: Sequence[TunedPair]) -> Grid:
    """What ``tune`` found for each donor, on the part that nothing was chosen on."""
    header = (
        "donor", "budget", "winner", "gain", "interval", "damage", "interval ", "above the curve",
        "interval  ", "stands", "curve's damage at equal gain", "damage beside it", "interval   ",
        "share of it", "interval    ", "damages",
        "exact", "stands in exact answers",
    )  # fmt: skip
    rows = []
    for one in pairs:
        winner, curve, equal = one.tune.winner, one.tune.beside_curve, one.tune.equal_gain
        gain, damage = winner.report.gain, winner.report.damage
        difference = curve.difference
        rows.append(
            (
                Cell(str(one.donor), str(one.donor)),
                Cell(f"{one.tune.budget:g}", one.tune.budget),
                Cell(f"{winner.family}, {winner.shape}"),
                Cell(signed_decimal(gain.delta, 3), gain.delta),
                Cell(_reach(gain.interval)),
                Cell(nats(damage.delta), damage.delta),
                Cell(_reach(damage.interval)),
                Cell(
                    signed_decimal(difference.delta, 3) if difference else "",
                    difference.delta if difference else None,
                ),
                Cell(_reach(difference.interval) if difference else ""),
                Cell(curve.stands, strong=curve.stands == "above"),
                Cell(one.told_damage, equal.damage),
                Cell(
                    "" if one.beside is None else nats(one.beside), one.beside, strong=equal.damages == "less"
                ),
                Cell(_reach(equal.difference.interval) if equal.difference else ""),
                Cell("" if equal.ratio is None else f"{equal.ratio:.0%}", equal.ratio, strong=one.is_half),
                Cell("" if equal.interval is None else "{:.0%} to {:.0%}".format(*equal.interval)),
                Cell("" if equal.damages == "not tested" else equal.damages),
                Cell(score(one.exact, True), one.exact),
                Cell(one.stands_exact or ""),
            )
        )
    words = ("donor", "winner", "stands", "damages", "stands in exact answers")
    return Grid(header, tuple(rows), frozenset(words))


def _reach(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:+.4f} to {ends[1]:+.4f}" if ends else ""
