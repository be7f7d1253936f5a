"""One way from a recipe's text to what it means on its base; what is not asked for may be missing."""

import pytest

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import RecipeError, SaeError, UsageError
from sae_merge_method.recipe.resolved import open_recipe, resolve_recipe
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.recipes import recipe_text

SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}


@pytest.fixture
def diagnosis(tmp_path, models):
    return save_diagnosis(tmp_path / "diagnosis", models.base, SCORES) / "diagnosis.json"


def test_a_recipe_is_resolved_to_layers_diagnosis_and_plan(models, diagnosis):
    text = recipe_text(models.base, models.donor, f'diagnosis: "{diagnosis}", select: top_k=2')
    resolved = resolve_recipe(RecipeText(text, "r"))
    assert resolved.layers == resolved.plan.layers == (1, 3)
    assert resolved.diagnosis is not None and resolved.diagnosis.path == diagnosis
    assert resolved.plan.donors == (str(models.donor),)
    assert resolved.base.folder == models.base


def test_layers_that_are_known_take_the_place_of_the_gate(models):
    text = recipe_text(models.base, models.donor, 'diagnosis: "gone.json", select: top_k=2')
    assert open_recipe(RecipeText(text, "r")).with_layers((2,)).plan.layers == (2,)


def test_the_layers_are_known_even_where_the_scalpels_saes_are_not(models):
    text = recipe_text(models.base, models.donor, 'layers: "1", sae: "./gone_{layer}", features: "3"')
    text = text.replace("sae_stethoscope", "sae_scalpel")
    assert open_recipe(RecipeText(text, "r")).layers == (1,)
    with pytest.raises(SaeError, match="gone_1"):
        resolve_recipe(RecipeText(text, "r"))


def test_a_diagnosis_of_another_model_is_refused_wherever_it_is_named(tmp_path, models, diagnosis):
    other = tiny.gemma3_text(tmp_path / "other", 5, vocabulary=64)
    text = recipe_text(other, models.donor, f'layers: "1, 3", diagnosis: "{diagnosis}", select: top_k=2')
    with pytest.raises(RecipeError, match="holds other weights"):
        resolve_recipe(RecipeText(text, "r"))
    resolved = open_recipe(RecipeText(recipe_text(other, models.donor), "r"))
    with pytest.raises(RecipeError, match="holds other weights"):
        resolved.any_diagnosis(diagnosis)


def test_any_diagnosis_is_the_given_the_named_or_the_recorded_one(tmp_path, models, diagnosis):
    plain = recipe_text(models.base, models.donor)
    recorded = recipe_text(models.base, models.donor, tail=f"sae_evidence: {{path: {diagnosis}}}")
    assert open_recipe(RecipeText(recorded, "r")).any_diagnosis().path == diagnosis
    assert open_recipe(RecipeText(plain, "r")).any_diagnosis(diagnosis.parent).path == diagnosis
    with pytest.raises(RecipeError, match="does not say which diagnosis it was made from"):
        open_recipe(RecipeText(plain, "r")).any_diagnosis()


def test_a_base_with_an_adapter_is_refused(models):
    with pytest.raises(UsageError, match="expected a whole checkpoint, not an adapter"):
        open_recipe(RecipeText(recipe_text(f"{models.base}+{models.donor}", models.donor), "r"))
