"""A diagnosis of modules, from the rule that chooses among them to the recipe that opens them."""

import pytest
import yaml

from sae_merge_method.artifacts.recipe import Gate, RecipeText
from sae_merge_method.errors import SaeError
from sae_merge_method.layers import Unit, parse_units
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.evidence import recorded_scores
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, WrittenRecipe, make_recipe
from sae_merge_method.recipe.gate import selected_layers
from sae_merge_method.recipe.methods import parse_recipe
from tests.diagnoses import save_diagnosis

EVERY = parse_units("0-3.attn, 0-3.mlp")
SCORES: dict[Unit, float] = dict(zip(EVERY, (0.1, 0.2, 0.9, 0.3, 0.25, 0.15, 0.4, 0.8), strict=True))


@pytest.fixture(scope="module")
def diagnosis(models, tmp_path_factory) -> str:
    return str(save_diagnosis(tmp_path_factory.mktemp("modules") / "diagnosis", models.base, SCORES))


def written(models, diagnosis: str, **given: object) -> WrittenRecipe:
    asked = {
        "diagnosis": diagnosis,
        "base": str(models.base),
        "donor": str(models.donor),
        "select": "top_k=2",
    }
    return make_recipe(RecipeSettings.model_validate(asked | given))


def test_the_modules_that_score_highest_become_the_gate(models, diagnosis):
    recipe = written(models, diagnosis)
    assert recipe.layers == parse_units("1.attn, 3.mlp")
    assert recipe.text.startswith("# top_k=2 of kl_bits chose modules 1.attn, 3.mlp of 4 layers, ")
    parsed = yaml.safe_load(recipe.text)
    assert parsed["parameters"]["layers"] == "1.attn, 3.mlp"
    named = [part["sources"][0]["layer_range"] for part in parsed["slices"] if len(part["sources"]) > 1]
    assert named == [[1, 2], [3, 4]]  # mergekit reads the donor in these layers alone


def test_a_recipe_keeps_scores_and_saes_of_modules_and_check_holds_the_gate_against_them(models, diagnosis):
    text = written(models, diagnosis).text
    record = parse_recipe(text, "r").sae_evidence
    assert record is not None and recorded_scores(record) == SCORES
    assert set(record["saes"]) == {str(unit) for unit in EVERY}
    checked = check_recipe(RecipeText(text, "r"))
    assert not checked.faults
    said = [finding.text for finding in checked.findings]
    assert "modules 1.attn, 3.mlp of 4 layers" in said
    assert "every tensor of the selected modules stands in every donor, in the base's shape" in said
    faulty = check_recipe(RecipeText(text.replace("1.attn, 3.mlp", "1.attn, 3.attn"), "r"))
    assert any(
        "chooses modules 1.attn, 3.mlp, the gate has 1.attn, 3.attn" in one.text for one in faulty.faults
    )


def test_a_gate_is_computed_from_the_scores_of_modules(diagnosis):
    assert selected_layers(Gate(diagnosis=diagnosis, select="top_k=2"), 4) == parse_units("1.attn, 3.mlp")


def test_a_scalpel_by_saes_of_modules_is_refused_with_the_reason(models, diagnosis):
    with pytest.raises(
        SaeError, match=r"is of modules .*: what an SAE of attention or of an MLP reads is not"
    ):
        written(models, diagnosis, method="sae_scalpel", parameters={"rank": 2})
