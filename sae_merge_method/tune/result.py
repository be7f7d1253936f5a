"""What ``tune.json`` says of a search that came to an end."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.tune import Asked, LayerShare, PartShare, Tune, TunedText
from sae_merge_method.artifacts.tuned_edits import SearchedEdit
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.models.parts import PARTS
from sae_merge_method.recipe.precision import rounding_of
from sae_merge_method.tune.bench import LOSSES, SLOPES, Bench
from sae_merge_method.tune.effects import effect
from sae_merge_method.tune.exam import ANSWERS, Exam, Panel
from sae_merge_method.tune.judge import JudgedWinner
from sae_merge_method.tune.search import Allowed, Candidate, Searched
from sae_merge_method.tune.settings import TuneSettings
from sae_merge_method.tune.splits import CHOICE, REPORT, SPLITS

ALPHA = 0.05
"""Level of the tests."""


class Texts(NamedTuple):
    """What losses are of."""

    target: Corpus
    controls: tuple[Corpus, ...]


def result_of(
    asked: TuneSettings,
    edited: EditedModel,
    panel: Panel,
    texts: Texts,
    allowed: Allowed,
    searched: Searched,
    finalists: Sequence[Candidate],
    judged: JudgedWinner,
    recipe: str,
) -> Tune:
    """The whole record; all that it asks of the panel was measured before."""
    bench, model = panel.bench, edited.model
    of_base, *of_donors = map(fingerprint, edited.checkpoints)
    in_choice = {one.edit for one in finalists}
    return Tune(
        base=asked.base,
        donors=asked.donor,
        base_fingerprint=of_base,
        donor_fingerprints=tuple(of_donors),
        n_layers=bench.n_layers,
        budget=allowed.nats,
        points=asked.budget.points,
        budget_weight=allowed.weight,
        alpha=ALPHA,
        target=_text(texts.target, bench, None),
        controls=tuple(_text(one, bench, number) for number, one in enumerate(texts.controls)),
        task=_asked(panel, panel.task),
        guard=_asked(panel, panel.guard),
        families=asked.families,
        steps=asked.steps,
        dtype=str(model.dtype).removeprefix("torch."),
        rounding=str(rounding_of(asked)),
        layers=_layers(searched, bench.modules),
        donors_alone=tuple(effect(panel, one, ALPHA) for one in searched.donors),
        candidates=tuple(
            SearchedEdit(
                family=one.family,
                shape=one.shape.name,
                units=one.edit.units,
                weights=one.edit.weights,
                search=effect(panel, one.measured, ALPHA),
                choice=effect(panel, bench.measure(one.edit, CHOICE), ALPHA, guarded=True)
                if one.edit in in_choice
                else None,
            )
            for one in searched.candidates
        ),
        winner=judged.winner,
        rivals=judged.rivals,
        beside_curve=judged.beside_curve,
        equal_gain=judged.equal_gain,
        evaluations=bench.asked(LOSSES),
        answers=bench.asked(ANSWERS),
        slopes=bench.asked(SLOPES),
        recipe_sha256=sha256(recipe.encode()).hexdigest(),
        settings=asked.recorded(model.device.type),
    )


def _layers(searched: Searched, there: npt.NDArray[np.bool_]) -> tuple[LayerShare, ...]:
    layers, modules, costly = *searched.attribution, searched.attribution.costly
    return tuple(
        LayerShare(
            layer=layer,
            gain=gain,
            damage=damage,
            stands_out=layer in costly,
            parts={
                part: PartShare(gain=modules.gain[layer, nth], damage=modules.damage[layer, nth])
                for nth, part in enumerate(PARTS)
                if there[layer, nth]
            },
        )
        for layer, (gain, damage) in enumerate(zip(layers.gain.tolist(), layers.damage.tolist(), strict=True))
    )


def _text(corpus: Corpus, bench: Bench, control: int | None) -> TunedText:
    sides = {name: bench.side(name, control) for name in SPLITS}
    nats = {
        name: measured.target_nats if control is None else measured.control_nats[control]
        for name in SPLITS
        for measured in [bench.measure(bench.base, name)]
    }
    return TunedText(
        name=corpus.name,
        sha256=corpus.sha256,
        texts={name: len(side.documents) for name, side in sides.items()},
        sources=None if corpus.sources is None else {name: len(side.tokens) for name, side in sides.items()},
        tokens={name: sum(side.tokens) for name, side in sides.items()},
        base={name: sum(nats[name]) / sum(side.tokens) for name, side in sides.items()},
    )


def _asked(panel: Panel, exam: Exam | None) -> Asked | None:
    if exam is None:
        return None
    return Asked(
        name=exam.name,
        metric=exam.metric,
        sha256=exam.sha256,
        problems=exam.sizes,
        base={part: exam.mean(panel.bench, panel.bench.base, part) for part in (CHOICE, REPORT)},
    )
