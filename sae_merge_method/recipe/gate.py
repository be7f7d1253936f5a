"""The gate: which decoder layers, or parts of them, a recipe selects, decided or computed.

Decided: ``layers: "9, 11-13"`` or ``layers: "9, 11.attn, 13.mlp"``. Computed:
``diagnosis: diagnosis.json`` with ``select: top_k=6``, or ``diagnosis: attribution.json`` with
``score: attributed_gain`` as well. Both together must agree. A diagnosis beside decided layers, without a
rule, does not touch the gate: a scalpel ranks its features by it. The keys are declared in
:class:`~sae_merge_method.artifacts.recipe.Gate`; what they mean stands here and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.artifacts.attribution import attribution_path, read_attribution
from sae_merge_method.artifacts.diagnosis import diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.recipe import Gate
from sae_merge_method.errors import RecipeError
from sae_merge_method.layers import Unit, format_layers, parse_units
from sae_merge_method.selection import choose_layers, parse_rule


def selected_layers(gate: Gate, n_layers: int | None = None) -> tuple[Unit, ...]:
    """What a gate selects, in the order of depth and at least one layer or part of one.

    Args:
        gate: As the recipe writes it; a diagnosis' path is relative to the working folder, as
            mergekit's own paths are.
        n_layers: Layers of the base model where known; ranges are checked against it.

    Raises:
        RecipeError: Neither or only half of the ways is given, they disagree, or no layer
            is selected.
        ArtifactError: The diagnosis cannot be read.
        UsageError: ``layers`` or ``select`` is malformed or out of range.
    """
    if gate.score is not None and (gate.diagnosis is None or gate.select is None):
        raise RecipeError(
            f'score: "{gate.score}" needs diagnosis: and select: the attribution that it is of, and a rule'
        )
    if gate.diagnosis is None and gate.select is not None:
        raise RecipeError(f'select: "{gate.select}" needs diagnosis: the scores to select from')
    decided = None if gate.layers is None else parse_units(gate.layers, n_layers)
    if gate.diagnosis is not None and gate.select is not None:
        computed = _computed(gate, gate.select, n_layers)
        if decided is not None and decided != computed:
            raise RecipeError(
                f'layers "{format_layers(decided)}" and {gate.select} of {gate.diagnosis} '
                f'("{format_layers(computed)}") disagree: keep one of them'
            )
        return computed
    if decided is not None:
        return decided
    if gate.diagnosis is not None:
        raise lacks_rule(gate)
    raise RecipeError('no gate: expected parameters layers: "9, 11-13", or diagnosis: and select:')


def names_all(gate: Gate) -> bool:
    """Whether a gate is told by how many layers there are: "all" of them, or a part of each."""
    return gate.layers is not None and "all" in gate.layers


def lacks_rule(gate: Gate) -> RecipeError:
    """What is wrong with a gate that names scores and no rule."""
    return RecipeError(f'diagnosis: "{gate.diagnosis}" needs select: a rule such as top_k=6')


def scores_file(gate: Gate) -> Path | None:
    """The file whose scores compute a gate: a diagnosis, or an attribution; None where it names neither."""
    if gate.diagnosis is None:
        return None
    named = Path(gate.diagnosis)
    return diagnosis_path(named) if gate.score is None else attribution_path(named)


class _Scored(NamedTuple):
    """What a rule takes layers by."""

    model: str
    n_layers: int
    scores: Mapping[Any, float]
    q_values: Mapping[Any, float] | None


def _computed(gate: Gate, rule: str, n_layers: int | None) -> tuple[Unit, ...]:
    """What a rule takes of a diagnosis' scores, or of an attribution's."""
    path = scores_file(gate)
    assert path is not None  # the caller's condition
    scored = _scored(path, gate.score)
    if n_layers is not None and scored.n_layers != n_layers:
        raise RecipeError(
            f"{path} is of a model with {scored.n_layers} layers ({scored.model}), the base has {n_layers}"
        )
    layers = choose_layers(parse_rule(rule), scored.scores, scored.q_values)
    if not layers:
        raise RecipeError(f"{rule} selects no layer of {path}: nothing would be edited")
    return layers


def _scored(path: Path, score: str | None) -> _Scored:
    if score is None:
        diagnosis = read_diagnosis(path)
        model = diagnosis.model
        return _Scored(model.id, model.n_layers, diagnosis.scores(), diagnosis.q_values())
    attribution = read_attribution(path)
    return _Scored(attribution.base.id, len(attribution.target.layers), attribution.scores_by(score), None)
