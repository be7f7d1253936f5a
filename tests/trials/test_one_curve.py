"""One damping curve has one verdict, whoever tells it: an experiment, tune, or the trial's report."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sae_merge_method.artifacts.conclusions import DampingCurve
from sae_merge_method.artifacts.experiment_plan import GeneralText
from sae_merge_method.experiment.report.damping import ArmBesideCurve as MeasuredArm
from sae_merge_method.experiment.report.damping import damping_curve
from sae_merge_method.statistics.losses import paired_ratio
from sae_merge_method.tune.bench import MeasuredEdit
from sae_merge_method.tune.curve import beside_curve
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.exam import Panel
from trials.experiments import ANSWERS
from trials.report.arms import figures
from trials.report.read import PROSE, Nats

N_LAYERS, TEXTS, ALPHA = 2, 60, 0.05
TOKENS = (1,) * TEXTS
EDIT = "stethoscope"
ROLES = {"base": "base", EDIT: "selected"}


class Scene:
    """Losses of an edit and of a curve on problems and on prose, the same for all who judge.

    Args:
        arms: By name: weight, gain and damage.
    """

    def __init__(self, arms: dict[str, tuple[float, float, float]]) -> None:
        self.arms = arms
        ease = np.random.default_rng(0).normal(0, 1, TEXTS)
        self.nats = {}
        for number, (name, (_, gain, damage)) in enumerate(arms.items()):
            draw = np.random.default_rng(number + 1)
            answers = 10 + ease - gain + 0.2 * draw.normal(0, 1, TEXTS)
            noise = 0.05 * draw.normal(0, 1, TEXTS)
            prose = 10 + damage + noise - noise.mean()
            self.nats[name] = (tuple(answers.tolist()), tuple(prose.tolist()))

    def of_experiment(self) -> DampingCurve:
        measured = []
        for name, (weight, _, _) in self.arms.items():
            answers, prose = self.nats[name]
            arm: Any = SimpleNamespace(
                name=name,
                role=ROLES.get(name, "amount"),
                weight=weight,
                layers=(0, 1),
                overall=SimpleNamespace(score=0.0, stderr=None, n=TEXTS, delta=0.0),
            )
            text = GeneralText(name="prose", sha256="ab" * 32, nats=prose, tokens=TOKENS)
            outcomes = {("task", str(nth)): -loss for nth, loss in enumerate(answers)}
            measured.append(MeasuredArm(arm, text, outcomes))
        plan: Any = SimpleNamespace(n_layers=N_LAYERS, curve_margin=1e-6, alpha=ALPHA)
        curve = damping_curve(plan, measured, up=True, share=False)
        assert curve is not None
        self.measured = measured
        return curve

    def of_tune(self, low: float, high: float) -> Any:
        """By two points of the curve, as the choice part would have chosen them; the line goes through the
        first, so that it is the one between both."""
        edits = {
            name: Edit.of(np.array([[weight, 0.0 if name == EDIT else weight]]))
            for name, (weight, _, _) in self.arms.items()
        }

        def measure(edit: Edit, part: str) -> MeasuredEdit:
            (name,) = (name for name, one in edits.items() if one == edit)
            changes = [
                paired_ratio(b, e, TOKENS) for b, e in zip(self.nats["base"], self.nats[name], strict=True)
            ]
            target, prose = self.nats[name]
            return MeasuredEdit(edit, part, changes[0], (changes[1],), 0, target, (prose,))

        bench: Any = SimpleNamespace(
            base=edits["base"],
            every_layer=np.ones((1, N_LAYERS)),
            measure=measure,
            side=lambda part, control=None: SimpleNamespace(name="prose", tokens=TOKENS),
        )
        others = [weight for name, (weight, _, _) in self.arms.items() if name != EDIT]
        return beside_curve(Panel(bench), edits[EDIT], (low, high), low, others, ALPHA)

    def of_trial(self, curve: DampingCurve) -> Any:
        """In answer loss, with the experiment's own curve."""
        run: Any = SimpleNamespace(
            experiment=SimpleNamespace(arms=[one.arm for one in self.measured], damping_curve=curve),
            nats={
                name: {ANSWERS: Nats(answers, TOKENS), PROSE: Nats(prose, TOKENS)}
                for name, (answers, prose) in self.nats.items()
            },
        )
        return next(one for one in figures(run) if one.name == EDIT).in_loss


def scene(edit: tuple[float, float], damages: tuple[float, ...], whole: float, gain: float) -> Scene:
    """The curve gains so much at the whole weight."""
    weights, gains = (0.0, 0.25, 0.5, whole), (0.0, 0.4 * gain, 0.6 * gain, gain)
    names = ("base", "damped-0.25", "damped-0.5", "all-layers")
    curve = dict(zip(names, zip(weights, gains, damages, strict=True), strict=True))
    return Scene({**curve, EDIT: (1.0, *edit)})


RISING, FALLING, LEVEL = (0.0, 0.2, 0.6, 2.0), (0.0, 0.2, 2.0, 0.6), (0.0, 0.01, 0.02, 2.0)


@pytest.mark.parametrize(
    ("edit", "damages", "whole", "gain", "stands", "reason"),
    [
        ((0.9, 0.4), RISING, 1.0, 0.8, "above", None),
        ((0.4, 0.4), RISING, 1.0, 0.8, "not shown", None),
        ((0.1, 0.4), RISING, 1.0, 0.8, "below", None),
        ((0.7, 1.2), FALLING, 1.0, 0.8, "not tested", "nothing to trade"),
        ((0.7, 0.015), LEVEL, 1.0, 0.8, "not tested", "not told apart"),
        ((1.4, 1.2), FALLING, 1.0, 0.8, "above", None),
        ((1.4, 1.2), FALLING, 0.9, 0.8, "not tested", "nothing to trade"),
        ((0.6, 5.0), RISING, 1.0, 0.8, "below", None),
        ((1.4, 5.0), RISING, 0.9, 0.8, "not tested", "more damage than the curve reaches"),
        ((0.6, 1.2), FALLING, 1.0, -0.8, "above", None),  # no weight is as good as none: the base is nearest
    ],
)
def test_one_curve_gives_one_verdict(
    edit: tuple[float, float],
    damages: tuple[float, ...],
    whole: float,
    gain: float,
    stands: str,
    reason: str | None,
) -> None:
    one = scene(edit, damages, whole, gain)
    curve = one.of_experiment()
    (standing,) = curve.standings
    assert standing.stands == stands and (reason or "") in (standing.reason or "")
    by_weight = sorted(range(4), key=lambda nth: damages[nth])
    above = next((at for at, nth in enumerate(by_weight) if damages[nth] > edit[1]), 3)
    weights = [weight for weight, _, _ in one.arms.values()]
    low, high = (weights[by_weight[at]] for at in (max(0, above - 1), max(1, above)))
    tuned, in_loss = one.of_tune(low, high), one.of_trial(curve)
    assert tuned.stands == stands and (reason or "") in (tuned.reason or "")
    assert (one.arms[standing.low][0], one.arms[standing.high][0]) == (tuned.low.weight, tuned.high.weight)
    if stands == "not tested":
        assert in_loss is None and standing.delta is None and tuned.difference is None
        return
    assert in_loss is not None and standing.p == pytest.approx(tuned.p) == pytest.approx(in_loss.p)
    assert standing.delta == pytest.approx(tuned.difference.delta) == pytest.approx(in_loss.delta)
    assert (standing.low == "base") == (stands == "above" and gain < 0)
    assert standing.interval == pytest.approx(tuned.difference.interval)


def test_a_winner_that_left_the_points_chosen_for_it_is_held_against_dearer_ones() -> None:
    """On the choice part its damage lay between those of .25 and .5; on the report part it does more."""
    one = scene((0.7, 1.3), RISING, 1.0, 0.8)
    found, expected = one.of_tune(0.25, 0.5), one.of_tune(0.5, 1.0)
    assert (found.low.weight, found.high.weight) == (0.5, 1.0)
    assert found.share == pytest.approx(0.5) and found.through is None
    assert found.p == pytest.approx(expected.p) and found.difference is not None
    assert found.difference.delta == pytest.approx(expected.difference.delta)
