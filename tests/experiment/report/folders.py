"""Experiment folders laid out by hand: arms with lm-eval's own files at chosen counts and losses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.conclusions import Conclusion
from sae_merge_method.artifacts.energy_report import Energy, OtherFeatures, RandomSubspace
from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.artifacts.experiment_plan import (
    ArmRecord,
    ExperimentPlan,
    GeneralText,
    write_arm,
    write_plan,
)
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.controls.layer_sets import random_sets
from sae_merge_method.experiment.prospect import Prospect, TaskAhead
from sae_merge_method.experiment.report.collect import collect
from sae_merge_method.layers import Unit
from tests.evaluations import DATE, answers, results

ALGEBRA, GEOMETRY = "maths_algebra", "maths_geometry"
PROBLEMS = {ALGEBRA: 100, GEOMETRY: 50}
PICKED = (2, 3)
_OTHERS = OtherFeatures(draws=20, mean=0.031, low=0.028, high=0.034, level=0.99, t=0.0, p=1.0)
KEPT = Energy(
    energy=4.0, relative_norm=0.1, kept=0.03, chance=0.031, ratio=0.03 / 0.031, stored=None, stored_part=None, others=_OTHERS,
    random=RandomSubspace(mean=0.031, sd=0.001, low=0.028, high=0.034, level=0.99, p=0.3),
)  # fmt: skip


def keeping(kept: float, t: float, p: float) -> Energy:
    """A projection that keeps so much, and how that stands to other features of the same SAE."""
    return KEPT.model_copy(update={"kept": kept, "others": _OTHERS.model_copy(update={"t": t, "p": p})})


@dataclass(frozen=True)
class Laid:
    """One arm as a test wants it."""

    name: str
    right: tuple[int, int]
    """Problems right in algebra, of 100, and geometry, of 50."""
    layers: tuple[Unit, ...] = PICKED
    nats: Sequence[float] | None = None
    tokens: Sequence[int] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of lm-eval's results file."""
    done: bool = True
    logged: bool = False
    """Whether its samples are logged: of each task the first problems are right, so that arms share them."""
    cut_off: float | None = None
    weight: float | None = None
    """Where all its layers have the same; the pick has 1 without."""

    @property
    def role(self) -> str:
        return next(row.role for row in ARMS.values() if row.owns(self.name))


BASE = Laid("base", (20, 10), ())
PICK = Laid("stethoscope", (45, 15))


def general(nats: Sequence[float], tokens: Sequence[int] | None = None) -> GeneralText:
    counts = tuple(tokens or [10] * len(nats))
    return GeneralText(name="prose.jsonl", sha256="ab" * 32, nats=tuple(nats), tokens=counts)


def lay_out(folder: Path, arms: Sequence[Laid], **changes: Any) -> Path:
    """Write a folder as an experiment leaves it; ``changes`` are the plan's."""
    planned = [
        ArmIdentity(
            name=arm.name,
            role=arm.role,
            description=f"what {arm.name} is for",
            method=None if arm.role in ("base", "donor") else "sae_stethoscope",
            layers=arm.layers,
            weight=arm.weight,
            planned_energy=float(len(arm.layers)),
            planned_realised=None,
            matched=None,
        )
        for arm in arms
    ]
    plan = ExperimentPlan(
        depends_on={},
        base="./base",
        donor="./donor",
        n_layers=8,
        score="kl_bits",
        scores={layer: layer / 10 for layer in range(8)},
        select="top_k=2",
        layers=PICKED,
        weight=1.0,
        metric="exact_match",
        test="auto",
        alpha=0.05,
        curve_margin=2.0,
        harm_margin=0.01,
        evaluation={"model": "hf", "tasks": "maths", "model_args": "dtype=float32"},
        task_vector_energy=8.0,
        projection=KEPT,
        arms=tuple(planned),
    )
    write_plan(folder, plan.model_copy(update=changes))
    for arm, about in zip(arms, planned, strict=True):
        if arm.done:
            _finish(folder / "arms" / arm.name, arm, about)
    return folder


def _finish(place: Path, arm: Laid, about: ArmIdentity) -> None:
    scored = place / "results" / "a__model"
    scored.mkdir(parents=True)
    counts = {task: (right, PROBLEMS[task]) for task, right in zip(PROBLEMS, arm.right, strict=True)}
    (scored / f"results_{DATE}.json").write_text(json.dumps(results(counts, **arm.changes)))
    for task, (right, n) in counts.items() if arm.logged else ():
        rows = [
            {**row, "doc_hash": f"{task} {i}"}
            for i, row in enumerate(answers([1] * right + [0] * (n - right)))
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (scored / f"samples_{task}_{DATE}.jsonl").write_text(text)
    record = ArmRecord(
        **dict(about),
        key="0" * 64,
        depends_on={},
        energy=float(len(arm.layers)),
        realised=None,
        rounding=None,
        result_sha256=None,
        cut_off=arm.cut_off,
        general=None if arm.nats is None else general(arm.nats, arm.tokens),
    )
    write_arm(place, record)


NATS = (20.0, 30.0, 25.0, 40.0) * 10
"""Losses of the base on forty documents of general text, of ten tokens each."""


def harmed(arm: Laid, by: float) -> Laid:
    """The same arm with losses on general text that lie so much above the base's, more or less."""
    return replace(arm, nats=[nats + by * (1 + 0.1 * (i % 3)) for i, nats in enumerate(NATS)])


MANY = 80
"""Layers of a model in which there are 25 sets matched with the pick: ``lay_out(..., n_layers=MANY)``."""


def sets_of_layers(rights: Sequence[int]) -> list[Laid]:
    """Arms with random layers, as an experiment would draw them, and so many problems of algebra right."""
    drawn = zip(rights, random_sets(MANY, PICKED), strict=False)
    return [Laid(f"random-layers-{i}", (right, 10), layers) for i, (right, layers) in enumerate(drawn)]


def concluded(folder: Path, arms: Sequence[Laid], claim: str, **changes: Any) -> Conclusion:
    """The one conclusion whose claim has these words."""
    (found,) = (one for one in collected(folder, arms, **changes).conclusions if claim in one.claim)
    return found


def collected(folder: Path, arms: Sequence[Laid], **changes: Any) -> Experiment:
    return collect(lay_out(folder, arms, **changes))


EVERY_KIND = [
    replace(BASE, nats=NATS),
    harmed(PICK, 1.0),
    harmed(Laid("all-layers", (70, 40), tuple(range(8))), 90.0),
    *(harmed(arm, 1.5) for arm in sets_of_layers([30, 35, 40])),
    harmed(Laid("depth-matched", (5, 4), (1, 4)), 2.0),
    harmed(Laid("scalpel", (21, 10)), 0.1),
    *(harmed(Laid(f"layer-{layer}", (25 + layer, 10), (layer,)), 0.3) for layer in range(4)),
    harmed(Laid("donor", (75, 45), tuple(range(8))), 95.0),
]
"""Arms of nearly all kinds, as an experiment may have them."""


def ahead(plan: ExperimentPlan, **known: Any) -> Prospect:
    """What is ahead of a plan of which nothing is run: two tasks of 540 and 60 problems."""
    tasks = (TaskAhead(ALGEBRA, 540, 0.5, 256), TaskAhead(GEOMETRY, 60, 0.5, 256))
    nothing = Prospect(plan, frozenset(), tasks, None, documents=300, minutes=None)
    return nothing._replace(**known)
