"""The gate: which decoder layers a recipe selects, decided or computed.

Decided: ``layers: "9, 11-13"``. Computed: ``diagnosis: diagnosis.json`` with
``select: top_k=6``. Both together must agree. A diagnosis beside decided layers, without a rule,
does not touch the gate: a scalpel ranks its features by it.
"""

from pathlib import Path

from sae_merge_method.artifacts.diagnosis import diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.recipe import Gate
from sae_merge_method.errors import RecipeError
from sae_merge_method.layers import format_layers, parse_layers
from sae_merge_method.selection import parse_rule, select_layers


def selected_layers(gate: Gate, n_layers: int | None = None) -> tuple[int, ...]:
    """The layers that a gate selects, ascending and at least one.

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
    layers, diagnosis, select = gate.layers, gate.diagnosis, gate.select
    if diagnosis is None and select is not None:
        raise RecipeError(f'select: "{select}" needs diagnosis: the scores to select from')
    if diagnosis is not None and select is None and layers is None:
        raise RecipeError(f'diagnosis: "{diagnosis}" needs select: a rule such as top_k=6')
    if layers is None and diagnosis is None:
        raise RecipeError('no gate: expected parameters layers: "9, 11-13", or diagnosis: and select:')
    decided = None if layers is None else parse_layers(layers, n_layers)
    computed = None
    if diagnosis is not None and select is not None:
        path = diagnosis_path(Path(diagnosis))
        found = read_diagnosis(path)
        if n_layers is not None and found.model.n_layers != n_layers:
            raise RecipeError(
                f"{path} is of a model with {found.model.n_layers} layers ({found.model.id}), "
                f"the base has {n_layers}"
            )
        computed = select_layers(parse_rule(select), found.scores(), found.q_values())
        if not computed:
            raise RecipeError(f"{select} selects no layer of {path}: nothing would be edited")
    if decided is not None and computed is not None and decided != computed:
        raise RecipeError(
            f'layers "{format_layers(decided)}" and {select} of {diagnosis} '
            f'("{format_layers(computed)}") disagree: keep one of them'
        )
    chosen = decided if decided is not None else computed
    assert chosen is not None
    return chosen
