"""The gate: decided layers, layers computed from a diagnosis, and both held against each other."""

import pytest

from sae_merge_method.artifacts.recipe import Gate, GateText
from sae_merge_method.errors import RecipeError, UsageError
from sae_merge_method.layers import LayerModule
from sae_merge_method.merge import methods as mergekit_side
from sae_merge_method.recipe.gate import selected_layers
from sae_merge_method.recipe.methods import METHODS, parse_recipe
from tests.attributions import save_attribution
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text


@pytest.fixture
def diagnosis(tmp_path, models) -> str:
    return str(save_diagnosis(tmp_path / "diagnosis", models.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}))


def test_layers_are_decided_or_computed(diagnosis):
    assert selected_layers(Gate(layers="0, 2-3")) == (0, 2, 3)
    assert selected_layers(Gate(diagnosis=diagnosis, select="top_k=2")) == (1, 3)


def test_parts_of_layers_are_decided_by_name():
    assert selected_layers(Gate(layers="3.mlp, 0, 1.attn"), 4) == (
        0,
        LayerModule(1, "attn"),
        LayerModule(3, "mlp"),
    )
    with pytest.raises(UsageError, match="layer 4 is out of range"):
        selected_layers(Gate(layers="4.attn"), 4)


def test_a_part_does_not_agree_with_the_whole_layer(diagnosis):
    both = Gate(layers="1, 3.attn", diagnosis=diagnosis, select="top_k=2")
    with pytest.raises(RecipeError, match=r'"1, 3\.attn" and top_k=2 .* disagree'):
        selected_layers(both, 4)


def test_layers_are_computed_from_a_score_that_knows_the_donor(tmp_path, models):
    attribution = str(save_attribution(tmp_path / "attribution", models.base, models.donor))
    gate = Gate(diagnosis=attribution, score="attributed_gain", select="top_k=2")
    assert selected_layers(gate, 4) == (1, 3)
    assert selected_layers(gate.model_copy(update={"score": "lewis"}), 4) == (2, 3)
    with pytest.raises(RecipeError, match="is of a model with 4 layers .*, the base has 6"):
        selected_layers(gate, 6)
    with pytest.raises(UsageError, match="unknown score 'probe_gain'"):
        selected_layers(gate.model_copy(update={"score": "probe_gain"}), 4)
    with pytest.raises(UsageError, match="differs needs q-values"):
        selected_layers(gate.model_copy(update={"select": "differs=0.05"}), 4)


def test_a_diagnosis_without_a_rule_does_not_touch_decided_layers():
    assert selected_layers(Gate(layers="2", diagnosis="nowhere")) == (2,)


def test_layers_and_a_diagnosis_that_disagree_are_an_error(diagnosis):
    both = Gate(layers="1, 3", diagnosis=diagnosis, select="top_k=2")
    assert selected_layers(both, 4) == (1, 3)
    for layers in ("0, 3", "1-3", "2"):
        with pytest.raises(RecipeError, match=rf'"{layers}" and top_k=2 .* \("1, 3"\) disagree'):
            selected_layers(both.model_copy(update={"layers": layers}), 4)


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({}, RecipeError, "no gate: expected parameters layers: "),
        ({"select": "top_k=2"}, RecipeError, 'select: "top_k=2" needs diagnosis'),
        ({"diagnosis": "d"}, RecipeError, 'diagnosis: "d" needs select'),
        ({"layers": "1", "score": "lewis"}, RecipeError, 'score: "lewis" needs diagnosis: and select:'),
        ({"layers": "1", "diagnosis": "d", "score": "lewis"}, RecipeError, 'score: "lewis" needs diagnosis:'),
        ({"layers": "1-9"}, UsageError, "layer 9 is out of range"),
        ({"diagnosis": "{diagnosis}", "select": "threshold=2"}, RecipeError, "threshold=2 selects no layer"),
        ({"diagnosis": "{diagnosis}", "select": "best=2"}, UsageError, "unknown selection rule 'best=2'"),
    ],
)
def test_half_a_gate_and_an_empty_one_are_errors(diagnosis, keys, error, message):
    with pytest.raises(error, match=message):
        selected_layers(Gate(**{key: text.format(diagnosis=diagnosis) for key, text in keys.items()}), 4)


def test_the_number_of_layers_is_held_against_the_diagnosis(diagnosis):
    for n_layers in (3, 6):
        with pytest.raises(RecipeError, match=f"is of a model with 4 layers .*, the base has {n_layers}"):
            selected_layers(Gate(diagnosis=diagnosis, select="top_k=2"), n_layers)


@pytest.mark.parametrize("key", Gate.model_fields)
def test_every_key_of_the_gate_is_one_string_that_mergekit_cannot_interpolate(models, key):
    assert Gate.model_fields[key].description
    with pytest.raises(RecipeError, match=rf"parameters\.{key}: expected one quoted string"):
        parse_recipe(recipe_text(models.base, models.donor, f"{key}: [1, 3]"), "recipe.yml")


def test_a_new_key_of_the_gate_is_in_mergekits_signature_by_itself(monkeypatch):
    """A key is a field of Gate and what selected_layers makes of it; no other source file lists the keys."""

    class WiderGate(Gate):
        without: GateText = None
        """Layers to leave out."""

    monkeypatch.setattr(mergekit_side, "Gate", WiderGate)
    for name, row in METHODS.items():
        method = mergekit_side._mergekit_method.__wrapped__(name, row)
        assert "without" in {parameter.name for parameter in method.spec.parameters}
